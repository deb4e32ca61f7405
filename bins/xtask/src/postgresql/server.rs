//! A server of its own: a fresh cluster in a temporary folder, on a free port of the loopback interface.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::interrupt;

/// The programs of a server, and who may run them.
pub(super) struct Installation {
    programs: PathBuf,
    pub(super) version: String,
    /// PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
}

impl Installation {
    pub(super) fn find() -> Result<Self> {
        let programs = programs().context("PostgreSQL is not installed (Debian's package: postgresql)")?;
        let version = Command::new(programs.join("postgres")).arg("--version").output()?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let user = if geteuid().is_root() { Some(unprivileged()?) } else { None };
        let setpriv = Command::new("setpriv").arg("--version").stdout(Stdio::null()).status();
        if !setpriv.is_ok_and(|status| status.success()) {
            bail!("setpriv is not installed (Debian's package: util-linux)");
        }
        Ok(Self { programs, version, user })
    }

    /// One of the programs, as the unprivileged user; it ends when we end, however we do.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        if let Some((uid, gid)) = self.user {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        command.args(["--pdeathsig", "INT", "--"]).arg(self.programs.join(name));
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

/// On the path, or where Debian has them; of the newest version.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    std::env::split_paths(&path)
        .chain(versions.into_iter().rev().map(|(_, programs)| programs))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// The package's own user, else nobody.
fn unprivileged() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
    let ids = |name: &str| {
        let fields: Vec<&str> =
            users.lines().find(|line| line.split(':').next() == Some(name))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).context("there is neither a user postgres nor a user nobody")
}

/// A running server; stopped when dropped.
pub(super) struct Server {
    child: Child,
    port: u16,
    password: String,
    folder: TempDir,
}

impl Server {
    pub(super) fn start(installation: &Installation) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("koios-postgresql-").tempdir()?;
        let password = password()?;
        let password_file = folder.path().join("password");
        fs::write(&password_file, &password)?;
        fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))?;
        if let Some((uid, gid)) = installation.user {
            chown(&password_file, Some(uid), Some(gid))?;
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let data = folder.path().join("data");
        let made = installation
            .program("initdb")
            // Lists are paged in the order of bytes, as in SQLite.
            .args(["--locale=C", "--encoding=UTF8", "--no-sync", "--username=koios"])
            // It crosses the loopback interface alone; a proof by SCRAM costs an unoptimised client more than its test.
            .arg("--auth=password")
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("--pgdata")
            .arg(&data)
            .output()
            .context("initdb cannot be started")?;
        if !made.status.success() {
            bail!("initdb ended with {}: {}", made.status, String::from_utf8_lossy(&made.stderr));
        }
        let mut taken = 0;
        loop {
            match Self::listen(installation, &data, folder.path())? {
                Some((child, port)) => return Ok(Self { child, port, password, folder }),
                // Somebody else took the port meanwhile.
                None if taken < 5 => taken += 1,
                None => bail!("the server does not start; its log: {}", log_of(folder.path())),
            }
        }
    }

    /// `None` when it ended again.
    fn listen(installation: &Installation, data: &Path, folder: &Path) -> Result<Option<(Child, u16)>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = File::create(folder.join("server.log"))?;
        let mut postgres = installation.program("postgres");
        postgres.arg("-D").arg(data).arg("-p").arg(port.to_string());
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        let child =
            postgres.stdout(Stdio::null()).stderr(log).spawn().context("postgres cannot be started")?;
        let mut child = Stopping(Some(child));
        let status = data.join("postmaster.pid");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && !interrupt::is_requested() {
            if child.running()?.try_wait()?.is_some() {
                return Ok(None);
            }
            // Its last line: <https://www.postgresql.org/docs/current/storage-file-layout.html>.
            if fs::read_to_string(&status).is_ok_and(|lines| lines.trim_end().ends_with("ready")) {
                return Ok(child.0.take().map(|child| (child, port)));
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the server does not become ready; its log: {}", log_of(folder))
    }

    pub(super) fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://koios:{}@{}/postgres?sslmode=disable", self.password, self.address())
    }

    /// Its log of statements.
    pub(super) fn stop(mut self) -> Result<StatementLog> {
        stop(&mut self.child)?;
        Ok(StatementLog(self))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = stop(&mut self.child);
    }
}

/// What a server that was stopped has executed; gone when dropped.
pub(super) struct StatementLog(Server);

impl StatementLog {
    pub(super) fn path(&self) -> PathBuf {
        self.0.folder.path().join("log/statements.json")
    }
}

/// A server on its way up, stopped when it does not get there.
struct Stopping(Option<Child>);

impl Stopping {
    fn running(&mut self) -> Result<&mut Child> {
        self.0.as_mut().context("a server that is on its way up")
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = stop(child);
        }
    }
}

/// "Fast": sessions are ended, and none is waited for.
fn stop(child: &mut Child) -> Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    kill_process(Pid::from_child(child), Signal::INT).context("the server cannot be stopped")?;
    let end = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!("the server did not end by itself");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("server.log")).unwrap_or_else(|error| error.to_string())
}

/// Everybody on this machine reaches the port.
fn password() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The data lives as long as the tests; what was executed is logged when it is done, a line of JSON each.
const SETTINGS: [&str; 14] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=400",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "logging_collector=on",
    "log_destination=jsonlog",
    "log_directory=../log",
    "log_filename=statements.log",
    "log_rotation_size=0",
    "log_rotation_age=0",
    "log_min_duration_statement=0",
];

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);
