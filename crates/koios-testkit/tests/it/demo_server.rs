//! The demo server, as a newcomer meets it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use koios_testkit::{CertificateSpec, TestCertificate};
use opcua::types::StatusCode;

use crate::client::{APPLICATION_URI, Visit};

struct Demo {
    process: Child,
    endpoint_url: String,
    move_command: String,
}

impl Demo {
    fn start(pki_dir: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo-server"))
            .args(["--port", "0", "--pki-dir"])
            .arg(pki_dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let endpoint_url =
            lines.find_map(|line| Some(line.strip_prefix("demo-server ready on ")?.to_owned())).unwrap();
        let move_command = lines.find(|line| line.starts_with("  mv ")).unwrap();
        // Reads on, so that the server never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, endpoint_url, move_command }
    }

    fn visit(&self, certificate: &TestCertificate) -> Result<(), StatusCode> {
        Visit::with(certificate).pay_to(&self.endpoint_url)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn the_printed_command_lets_a_rejected_client_in_and_the_certificate_stays_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    // A name that a shell would take apart.
    let pki_dir = folder.path().join("the server's pki");
    let certificate = CertificateSpec::application(APPLICATION_URI).make();
    {
        let demo = Demo::start(&pki_dir);
        assert_eq!(demo.visit(&certificate), Err(StatusCode::BadCertificateUntrusted));
        assert_eq!(demo.visit(&certificate), Err(StatusCode::BadSecurityChecksFailed));

        let moved = Command::new("sh").args(["-c", &demo.move_command]).status().unwrap();

        assert!(moved.success());
        assert_eq!(demo.visit(&certificate), Ok(()));
    }
    let own = std::fs::read(pki_dir.join("own/cert.der")).unwrap();
    let demo = Demo::start(&pki_dir);
    assert_eq!(std::fs::read(pki_dir.join("own/cert.der")).unwrap(), own);
    assert_eq!(demo.visit(&certificate), Ok(()));
}

#[test]
fn an_unknown_option_is_answered_with_the_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo-server")).arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: demo-server"));
}
