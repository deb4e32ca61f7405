//! Starts and stops the real binary.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use koios_store::{NewToken, Permission, Role, Store, StoreOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, Call};

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The admin token of daemons that tests start.
pub(crate) const ADMIN: &str = "admin-token-of-the-tests-0123456789abcdef";

/// A folder with a data directory in it, and what the daemon is started with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    folder: Arc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// A new folder; the admin token is [`ADMIN`].
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self { folder: Arc::new(folder), arguments: Vec::new(), environment: Vec::new() }
            .with_environment("KOIOS_BOOTSTRAP_TOKEN", ADMIN)
    }

    /// Without a default certificate: quicker, and the first one made becomes the default.
    pub(crate) fn empty() -> Self {
        Self::new().with_environment("KOIOS_CREATE_DEFAULT_CERTIFICATE", "false")
    }

    pub(crate) fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without_environment(mut self, name: &str) -> Self {
        self.environment.retain(|(given, _)| given != name);
        self
    }

    pub(crate) fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The command line: a free port, the data directory, nothing of the environment of whoever runs the tests.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_koiosd"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KOIOS_")) {
            command.env_remove(name);
        }
        command.env("KOIOS_LISTEN", "127.0.0.1:0").env("KOIOS_DATA_DIR", self.data_dir());
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).args(&self.arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Starts the daemon and waits for its ready line.
    #[track_caller]
    pub(crate) fn start(&self) -> Daemon {
        self.try_start().unwrap_or_else(|failed| panic!("not ready: {:?}\n{}", failed.status, failed.log))
    }

    /// Starts the daemon and waits for its ready line, or its end.
    pub(crate) fn try_start(&self) -> Result<Daemon, FailedStart> {
        let log_path = self.folder().join("log");
        let log = File::options().create(true).append(true).open(&log_path).expect("a log file");
        let said_before = log.metadata().expect("a log file").len();
        let mut child = self.command().stdout(Stdio::piped()).stderr(log).spawn().expect("the daemon starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a piped standard output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let Some(url) = line.strip_prefix("koiosd ready on ") else {
            let status = child.wait().expect("a child");
            let log = fs::read(&log_path).unwrap_or_default();
            let said_before = usize::try_from(said_before).expect("a short log");
            let log = String::from_utf8_lossy(&log[said_before..]).into_owned();
            return Err(FailedStart { status, log: line + &log });
        };
        Ok(Daemon { child, stdout, url: url.trim().to_owned(), log_path, setup: self.clone() })
    }

    /// Runs the daemon to its end, for starts that fail.
    pub(crate) fn run(&self) -> std::process::Output {
        self.command().output().expect("the daemon starts")
    }

    /// Runs a command to its end; answers exit code, standard output and standard error.
    pub(crate) fn ended(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command().args(arguments).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Adds tokens with the roles viewer, operator and admin (each named after its role, none may take keys out)
    /// to the data directory, in which a daemon ran before.
    pub(crate) fn add_tokens(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store =
                Store::open(StoreOptions::new(self.data_dir())).await.expect("the data directory opens");
            for role in [Role::Viewer, Role::Operator, Role::Admin] {
                store
                    .create_token(NewToken::new(role.as_str(), role, token_hash(role.as_str())))
                    .await
                    .expect("a token");
            }
            let mut expired = NewToken::new("expired", Role::Admin, token_hash("expired"));
            expired.expires_at = Some(time::OffsetDateTime::now_utc() - time::Duration::SECOND);
            expired.permissions = vec![Permission::DownloadPrivateKey];
            store.create_token(expired).await.expect("a token");
            store.close().await;
        });
    }
}

/// A start that did not come to its ready line.
#[derive(Debug)]
pub(crate) struct FailedStart {
    pub(crate) status: ExitStatus,
    /// What it said, without what earlier starts have said.
    pub(crate) log: String,
}

/// Every file below a folder, with its contents.
pub(crate) fn contents_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(contents_below(&path));
        } else {
            let contents = fs::read(&path).expect("a file");
            all.push((path, contents));
        }
    }
    all.sort();
    all
}

pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("32 bytes")
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    pub(crate) url: String,
    log_path: PathBuf,
    setup: Setup,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url
            .split_once("://")
            .map(|(_, text)| text)
            .and_then(|text| text.parse().ok())
            .expect("an address")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.setup.data_dir()
    }

    /// Everything on standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log_path).expect("a log file")
    }

    /// Waits until the log says so.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        let started = Instant::now();
        while !self.log().contains(text) {
            assert!(started.elapsed() < PATIENCE, "never said {text:?}: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A request as admin; a path without a leading `/` lies under `/api/v1`.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        let url = match path.starts_with('/') {
            true => format!("{}{path}", self.url),
            false => format!("{}/api/v1/{path}", self.url),
        };
        Call::new(method, url).token(ADMIN)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send()
    }

    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path).json(body).send()
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send()
    }

    /// Generates a certificate with that name for the host `gw01.plant.example`.
    #[track_caller]
    pub(crate) fn generate(&self, name: &str) -> Value {
        self.post("certificates/generate", &json!({ "name": name, "hostname": "gw01.plant.example" }))
            .expect(201)
    }

    /// The folder of a certificate's current files.
    pub(crate) fn files_of(&self, certificate: &Value) -> PathBuf {
        let id = certificate["id"].as_str().expect("an id");
        self.data_dir().join("certificates").join(id).join(certificate["generation"].to_string())
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end; answers the exit status and what else stood on standard output.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => panic!("the daemon does not end"),
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        (status, rest)
    }

    /// Stops the daemon in order.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.signal("TERM");
        let (status, _) = self.wait();
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
