//! The story of the README, told to a server: refused, filed, moved, connected; and again after regenerating.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::api::Daemon;
use super::failure::{Failure, Kind};
use super::folders::{Folders, name_of};
use super::patience::wait_for;
use super::settings::{REJECTED, Server, Settings, TRUSTED};
use super::terminal::{Seen, Terminal};
use super::verdict::Verdict;

pub(super) struct Story<'a> {
    settings: &'a Settings,
    endpoint: String,
    folders: Folders,
    daemon: Option<Daemon>,
    devices: Vec<String>,
    /// All that the server was shown.
    certificates: Vec<Vec<u8>>,
}

/// A certificate at the daemon, as it is now.
struct Certificate {
    id: String,
    sha1: String,
    sha256: String,
    der: Vec<u8>,
}

impl<'a> Story<'a> {
    pub(super) fn new(settings: &'a Settings, endpoint: String, folders: Folders) -> Self {
        Self { settings, endpoint, folders, daemon: None, devices: Vec::new(), certificates: Vec::new() }
    }

    pub(super) fn tell(
        &mut self,
        terminal: &mut Terminal,
        koiosd: &Path,
        scratch: &Path,
    ) -> Result<(), Failure> {
        terminal.say(&format!("server    {}", self.endpoint));
        terminal.say(&format!("trusted   {}", self.folders.trusted.display()));
        terminal.say(&format!("rejected  {}\n", self.folders.rejected.display()));
        let result = self.chapters(terminal, koiosd, scratch);
        if let (Err(_), Some(daemon)) = (&result, &self.daemon) {
            terminal.say(&format!("\nThe end of the daemon's log:\n{}\n", daemon.end_of_log()));
        }
        result
    }

    fn chapters(&mut self, terminal: &mut Terminal, koiosd: &Path, scratch: &Path) -> Result<(), Failure> {
        terminal.step("Start the daemon on an empty data directory", || {
            let daemon = Daemon::start(koiosd, scratch)?;
            let version = text(&daemon.get("system")?, "version");
            let seen = format!("koiosd {version} on {}", daemon.url());
            self.daemon = Some(daemon);
            Ok(Seen::new(vec![seen], ()))
        })?;
        terminal.step("Ask the server who it is and what it offers", || self.discover())?;
        let certificate =
            terminal.step("Generate a certificate, find it in the list, download it", || {
                let certificate = self.generate("Plant A Certificate")?;
                let listed = self.daemon()?.get("certificates?q=Plant%20A")?;
                if listed["items"][0]["id"] != certificate.id.as_str() {
                    return Err(Failure::other(format!("the certificate is not in the list: {listed}")));
                }
                Ok(Seen::new(
                    vec![format!("SHA-1 {}, {} bytes of DER", certificate.sha1, certificate.der.len())],
                    certificate,
                ))
            })?;
        let device = terminal.step("Create a device with it, and Test: the server refuses", || {
            let body = self.device(&certificate, Security::README);
            let device = text(&self.daemon()?.post("devices", &body)?, "id");
            self.devices.push(device.clone());
            let refused = self.refused(|| self.test_device(&device))?;
            Ok(Seen::new(vec![refused.said()], device))
        })?;
        let rejected =
            terminal.step("Look for the certificate among those that the server has rejected", || {
                let file = self.filed(&certificate)?;
                let said = self.guide(&device, &file)?;
                Ok(Seen::new(vec![name_of(&file), said], file))
            })?;
        terminal.step("Enable the device: it fails for the same reason", || {
            self.daemon()?.post(&format!("devices/{device}/enable"), &json!({}))?;
            let status = self.status(&device, |status| Ok(status["state"] == "failed"))?;
            let status = status.map_err(|status| Failure::other(format!("it does not fail: {status}")))?;
            if status["error_code"] != "certificate_rejected_by_server" {
                return Err(Failure::other(format!("it failed for another reason: {status}")));
            }
            Ok(Seen::new(vec![text(&status, "error_message")], ()))
        })?;
        terminal.step("Move the file to the trusted ones, as the server's operator would", || {
            let trusted = self.folders.trust(&rejected)?;
            Ok(Seen::new(vec![trusted.display().to_string()], ()))
        })?;
        terminal.step("Test again: connected", || {
            let report = self.accepted(&certificate, || self.test_device(&device))?;
            Ok(Seen::new(vec![whom(&report)], ()))
        })?;
        terminal.step("The device comes up by itself", || self.running(&device, &certificate))?;
        for security in Security::all().filter(|security| *security != Security::README) {
            terminal.step(&format!("A certificate of its own with {security}"), || self.cycle(security))?;
        }
        let renewed =
            terminal.step("Regenerate the first certificate: the server refuses the new one", || {
                let path = format!("certificates/{}/regenerate", certificate.id);
                let answer = self.daemon()?.post(&path, &json!({}))?;
                let renewed = self.download(&answer["certificate"])?;
                if renewed.sha256 == certificate.sha256 {
                    return Err(Failure::other("regenerating has changed nothing"));
                }
                let refused = self.refused(|| self.test_device(&device))?;
                Ok(Seen::new(vec![format!("SHA-1 {}", renewed.sha1), refused.said()], renewed))
            })?;
        terminal.step("Trust the new one: connected, and the device comes up by itself with it", || {
            let file = self.filed(&renewed)?;
            let mut seen = vec![name_of(&file), self.guide(&device, &file)?];
            self.folders.trust(&file)?;
            seen.push(whom(&self.accepted(&renewed, || self.test_device(&device))?));
            let running = self.running(&device, &renewed)?;
            Ok(running.after(seen))
        })
    }

    /// Takes away what this has brought, whatever came of it.
    pub(super) fn tidy(&mut self, terminal: &mut Terminal) -> Result<(), Failure> {
        // A device that goes on would be filed again.
        let Some(daemon) = self.daemon.take() else { return Ok(()) };
        terminal.step("Leave nothing behind", || {
            let ended = self.end(daemon);
            let files = match self.settings.keep {
                true => "kept: the certificates in the server's folders".to_owned(),
                false => {
                    let gone = self.folders.forget(&self.certificates)?;
                    format!("files with our certificates removed from the server's folders: {}", gone.len())
                }
            };
            ended?;
            Ok(Seen::new(vec!["the device is deleted, the daemon has ended".to_owned(), files], ()))
        })
    }

    fn end(&mut self, daemon: Daemon) -> Result<(), Failure> {
        for device in self.devices.drain(..) {
            daemon.delete(&format!("devices/{device}"))?;
        }
        Ok(daemon.stop()?)
    }

    fn daemon(&self) -> Result<&Daemon, Failure> {
        self.daemon.as_ref().ok_or_else(|| Failure::other("the daemon is not running"))
    }

    fn discover(&self) -> Result<Seen<()>, Failure> {
        let mut last = Verdict(Value::Null);
        let found = wait_for(self.settings.wait, || {
            let question = json!({ "endpoint_url": self.endpoint });
            last = Verdict(self.daemon()?.post("discovery/endpoints", &question)?);
            Ok((last.0["outcome"] == "success").then(|| last.clone()))
        })?;
        let Some(Verdict(found)) = found else {
            return Err(last.failure("the server was to list its endpoints"));
        };
        let endpoints: Vec<&Value> = found["endpoints"].as_array().into_iter().flatten().collect();
        let offers = |security: &Security| {
            endpoints.iter().any(|endpoint| {
                endpoint["security_mode"] == security.mode && endpoint["security_policy"] == security.policy
            })
        };
        let missing: Vec<_> = Security::all()
            .filter(|security| !offers(security))
            .map(|security| security.to_string())
            .collect();
        if !missing.is_empty() {
            let answer = json!({ "code": "no_matching_endpoint", "message": "No matching endpoint" });
            return Err(Verdict(answer)
                .failure(&format!("the server was to offer what it does not: {}", missing.join("; "))));
        }
        let server = &found["server"];
        let who = format!("{}, {}", text(server, "application_name"), text(server, "product_uri"));
        Ok(Seen::new(vec![who, format!("{} endpoints, ours among them", endpoints.len())], ()))
    }

    fn generate(&mut self, name: &str) -> Result<Certificate, Failure> {
        let body = json!({ "name": name });
        let answer = self.daemon()?.post("certificates/generate", &body)?;
        self.download(&answer)
    }

    fn download(&mut self, certificate: &Value) -> Result<Certificate, Failure> {
        let id = text(certificate, "id");
        let der = self.daemon()?.certificate(&id)?;
        // Before any server sees it.
        self.certificates.push(der.clone());
        let (sha1, sha256) = (text(certificate, "thumbprint_sha1"), text(certificate, "thumbprint_sha256"));
        Ok(Certificate { id, sha1, sha256, der })
    }

    fn device(&self, certificate: &Certificate, security: Security) -> Value {
        json!({
            "name": "Press 4",
            "endpoint_url": self.endpoint,
            "security_mode": security.mode,
            "security_policy": security.policy,
            "certificate_id": certificate.id,
        })
    }

    fn test_device(&self, device: &str) -> Result<Verdict, Failure> {
        Ok(Verdict(self.daemon()?.post(&format!("devices/{device}/test"), &json!({}))?))
    }

    /// From a stranger to a guest, with one policy in one mode.
    fn cycle(&mut self, security: Security) -> Result<Seen<()>, Failure> {
        let certificate = self.generate(&security.to_string())?;
        let body = self.device(&certificate, security);
        let test = || Ok(Verdict(self.daemon()?.post("devices/test", &body)?));
        let refused = self.refused(test)?;
        let file = self.filed(&certificate)?;
        self.folders.trust(&file)?;
        let accepted = self.accepted(&certificate, test)?;
        let endpoint = &accepted.0["endpoint"];
        if endpoint["security_mode"] != security.mode || endpoint["security_policy"] != security.policy {
            return Err(Failure::other(format!("it went to another endpoint: {endpoint}")));
        }
        Ok(Seen::new(vec![refused.said(), format!("moved {}", name_of(&file)), whom(&accepted)], ()))
    }

    fn refused(&self, test: impl Fn() -> Result<Verdict, Failure>) -> Result<Verdict, Failure> {
        let verdict = test()?;
        if verdict.is_untrusted() {
            return Ok(verdict);
        }
        let failure = verdict.failure("a certificate that nobody has trusted was to be refused as such");
        Err(match verdict.is_connected() {
            true => failure.advising("Does the server trust every client? Switch that off."),
            false => failure,
        })
    }

    /// Waits for the server to file a refused certificate.
    fn filed(&self, certificate: &Certificate) -> Result<PathBuf, Failure> {
        let found = wait_for(self.settings.patience, || self.folders.find_rejected(&certificate.der))?;
        found.ok_or_else(|| {
            let folder = self.folders.rejected.display();
            let others = match self.folders.rejected_names() {
                names if names.is_empty() => "it is empty".to_owned(),
                names => format!("there are {}", names.join(", ")),
            };
            Failure::new(
                Kind::Folders,
                format!(
                    "the server has refused the certificate, but for {} s no file in {folder} held it; {others}",
                    self.settings.patience.as_secs()
                ),
            )
            .advising(format!(
                "Is this the folder of the server at {}? Look where it keeps rejected certificates, and name the folder in \
                 {REJECTED}. In a container it must be a shared volume.",
                self.endpoint
            ))
        })
    }

    /// What the daemon's guide says of that file. On a real server a difference is news, not a failure.
    fn guide(&self, device: &str, file: &Path) -> Result<String, Failure> {
        let guide = self.daemon()?.get(&format!("devices/{device}/trust-guide"))?;
        let product = text(&guide["product"], "id");
        let named = guide["rejected_file_name"].as_str().unwrap_or("no file");
        if product == PRODUCT && named == name_of(file) {
            return Ok(format!("the trust guide of {product} names this file"));
        }
        let said = format!("the trust guide is that of {product} and names {named}, not {}", name_of(file));
        match self.settings.server {
            Server::StandIn => Err(Failure::other(said)),
            Server::Given { .. } => Ok(format!("NOTE: {said}; please report that")),
        }
    }

    /// Tests until the server has noticed that the file was moved. Whoever is refused meanwhile is filed again, and a file
    /// among the rejected is a veto: it is moved again.
    fn accepted(
        &self,
        certificate: &Certificate,
        test: impl Fn() -> Result<Verdict, Failure>,
    ) -> Result<Verdict, Failure> {
        let mut last = Verdict(Value::Null);
        let accepted = wait_for(self.settings.patience, || {
            last = test()?;
            if last.is_connected() {
                return Ok(Some(last.clone()));
            }
            if !last.is_untrusted() {
                return Err(last.failure("a trusted certificate was to be accepted"));
            }
            self.trust_again(certificate)?;
            Ok(None)
        })?;
        accepted.ok_or_else(|| {
            last.failure(&format!(
                "the certificate was to be accepted, {} s after its file was moved to {}",
                self.settings.patience.as_secs(),
                self.folders.trusted.display()
            ))
            .advising(format!(
                "Is this the folder of the server at {}? If it keeps trusted certificates elsewhere, name the folder in \
                 {TRUSTED}.",
                self.endpoint
            ))
            .advising("Does the server read its folders only when it starts? Then this cannot pass: please report that.")
            .advising("The server's own log says why it refuses.")
        })
    }

    fn trust_again(&self, certificate: &Certificate) -> Result<(), Failure> {
        match self.folders.find_rejected(&certificate.der)? {
            Some(file) => self.folders.trust(&file).map(drop),
            None => Ok(()),
        }
    }

    /// Looks at the status, and asks for nothing, until the device runs with that certificate.
    fn running(&self, device: &str, certificate: &Certificate) -> Result<Seen<()>, Failure> {
        let runs = self.status(device, |status| {
            // An attempt that the server refused while the file moved has filed the certificate once more.
            self.trust_again(certificate)?;
            Ok(status["state"] == "running"
                && status["certificate_thumbprint_sha256"] == certificate.sha256.as_str())
        })?;
        runs.map(|_| Seen::new(vec!["running".to_owned()], ())).map_err(|status| {
            Failure::other(format!(
                "a Test connects, but the device does not run with the certificate: {status}"
            ))
        })
    }

    /// The status that is looked for, or the last other one.
    fn status(
        &self,
        device: &str,
        is_it: impl Fn(&Value) -> Result<bool, Failure>,
    ) -> Result<Result<Value, Value>, Failure> {
        let mut last = Value::Null;
        let found = wait_for(RETRY_PATIENCE, || {
            last = self.daemon()?.get(&format!("devices/{device}/status"))?;
            Ok(is_it(&last)?.then(|| last.clone()))
        })?;
        Ok(found.ok_or(last))
    }
}

/// A mode with a policy, as the API writes them.
#[derive(Clone, Copy, PartialEq)]
struct Security {
    mode: &'static str,
    policy: &'static str,
}

impl Security {
    const README: Self = Self { mode: "sign_and_encrypt", policy: "Basic256Sha256" };

    fn all() -> impl Iterator<Item = Self> {
        let policies = ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"];
        let modes = ["sign", "sign_and_encrypt"];
        policies.into_iter().flat_map(move |policy| modes.map(|mode| Self { mode, policy }))
    }
}

impl std::fmt::Display for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in mode {}", self.policy, self.mode)
    }
}

/// To whom a Test has connected.
fn whom(report: &Verdict) -> String {
    let info = &report.0["server"]["build_info"];
    let parts = ["manufacturer_name", "product_name", "software_version"].map(|name| text(info, name));
    format!("{}: {}", report.said(), parts.join(" "))
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// In the daemon's catalogue of trust guides.
const PRODUCT: &str = "prosys-simulation-server";

/// A device is tried again every ten seconds at the latest; and a generous multiple.
const RETRY_PATIENCE: Duration = Duration::from_secs(60);
