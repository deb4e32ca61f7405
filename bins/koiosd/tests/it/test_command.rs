//! `koiosd test`: one Test from a shell.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use koios_testkit::{
    CertificateSpec, OddKind, OddPeer, ServerOptions, Stack, TestCertificate, start_or_skip,
};
use serde_json::Value;
use tempfile::TempDir;

fn koiosd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_koiosd")).arg("test").args(arguments).output().expect("koiosd starts")
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn of(made: &TestCertificate) -> Self {
        let files = Self { folder: TempDir::new().expect("a folder") };
        files.write("certificate.pem", made.pem().as_bytes());
        files.write("key.pem", made.key_pem().as_bytes());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        std::fs::write(self.path(name), content).expect("a writable folder");
        text(&self.path(name))
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
fn ends(arguments: &[&str], code: i32, said: &str) {
    let output = koiosd(arguments);
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
    assert!(printed.contains(said), "{arguments:?}: {printed}");
}

#[test]
fn each_stage_is_told_when_it_is_over_and_not_at_the_end() {
    let peer = OddPeer::start(OddKind::Silent);
    let mut child = Command::new(env!("CARGO_BIN_EXE_koiosd"))
        .args(["test", &peer.endpoint_url(), "--timeout", "300"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("koiosd starts");
    let mut told = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    // The server says nothing for five minutes: what is read before that was told on the way.
    while !told.contains("connect") {
        assert!(lines.read_line(&mut told).expect("text") > 0, "{told}");
    }
    assert!(child.try_wait().expect("a child").is_none(), "it waits for the server");
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn the_exit_code_tells_how_it_went_and_the_output_why() {
    let own = CertificateSpec::application("urn:plant:shell").make();
    let stranger = CertificateSpec::application("urn:plant:stranger").with_shared_key(2048, 1).make();
    let files = Files::of(&own);
    let (certificate, key) = (text(&files.path("certificate.pem")), text(&files.path("key.pem")));
    let strange = files.write("strange.pem", stranger.pem().as_bytes());
    let strange_key = files.write("strange-key.pem", stranger.key_pem().as_bytes());
    let password = files.write("password", b"secret\n");
    let wrong = files.write("wrong", b"guessed\n");
    let options = ServerOptions { none_endpoint: true, ..ServerOptions::trusting(&[&own]) };
    let server = koios_testkit::start(Stack::AsyncOpcua, options).expect("always there");
    let url = server.endpoint_url.as_str();
    let pair = [url, "--certificate", &certificate, "--private-key", &key];
    let with = |more: &[&'static str]| [pair.as_slice(), more].concat();

    ends(&[url], 0, "Connected");
    ends(&pair, 0, "SignAndEncrypt");
    ends(&with(&["--mode", "sign", "--policy", "Basic256Sha256"]), 0, "Sign, Basic256Sha256");
    let strange_pair = [url, "--certificate", &strange, "--private-key", &strange_key];
    ends(&strange_pair, 10, "Certificate rejected by server");
    ends(&[pair.as_slice(), &["--server-certificate", &strange]].concat(), 11, "another certificate");
    for (file, code, said) in [(&password, 0, "Connected"), (&wrong, 13, "refused the user")] {
        ends(&[pair.as_slice(), &["--user", "op", "--password-file", file]].concat(), code, said);
    }
    ends(&with(&["--policy", "ECC_nistP256"]), 1, "kind of key");
    let silent = OddPeer::start(OddKind::Silent);
    let silent = silent.endpoint_url();
    ends(&[&silent, "--timeout", "1"], 12, "No answer within the timeout");
    ends(&["opc.tcp://127.0.0.1:1"], 12, "refused");

    for (arguments, said) in [
        (vec!["http://plc"], "opc.tcp://"),
        (vec![url, "--mode", "sign"], "--certificate"),
        (vec![url, "--policy", "Basic1024"], "no security policy"),
        (vec![url, "--certificate", "/nowhere.pem"], "/nowhere.pem"),
        (vec![url, "--certificate", &certificate, "--private-key", &strange_key], "client certificate"),
        (vec![url, "--user", "op"], "--password-file"),
        (vec![url, "--timeout", "0"], "--timeout"),
    ] {
        ends(&arguments, 2, said);
    }
}

#[test]
fn a_refused_certificate_is_followed_by_the_guide_for_the_server() {
    let own = CertificateSpec::application("urn:plant:shell").make();
    let files = Files::of(&own);
    let Some(server) = start_or_skip(Stack::NodeOpcua, ServerOptions::default()) else { return };
    let (certificate, key) = (text(&files.path("certificate.pem")), text(&files.path("key.pem")));
    let arguments = [server.endpoint_url.as_str(), "--certificate", &certificate, "--private-key", &key];
    ends(&arguments, 10, "It says that it is node-opcua");
    let rejected = server.wait_for_rejected(&own.sha1());
    ends(&arguments, 10, rejected.file_name().unwrap().to_str().unwrap());
}

#[test]
fn the_report_as_json_is_that_of_the_rest_api_and_nothing_else_is_printed() {
    let server = koios_testkit::start(
        Stack::AsyncOpcua,
        ServerOptions { none_endpoint: true, ..ServerOptions::default() },
    )
    .expect("always there");
    let output = koiosd(&[&server.endpoint_url, "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!((report["code"].as_str(), report["outcome"].as_str()), (Some("connected"), Some("success")));
    assert_eq!(report["stages"].as_array().unwrap().len(), 11);
    assert!(report["server"]["build_info"].is_object(), "{report}");
    let output = koiosd(&["opc.tcp://127.0.0.1:1", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!((output.status.code(), report["code"].as_str()), (Some(12), Some("connection_refused")));
}
