//! `koiosd test`: one Test from a shell, without store and daemon.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use koios_opcua::{
    ClientIdentity, ClockReading, Code, DeprecatedPolicies, EndpointUrl, EndpointUrlError, IdentityError,
    Recognition, RemedyLink, SecurityMode, SecurityPolicy, ServerIdentity, ServerTrust, StageReport, Target,
    TestReport, UserIdentity, recognise, test_watched,
};
use koios_pki::{CertificateChain, ReadError, read_certificates, read_pair};
use zeroize::Zeroizing;

use crate::{
    api::connection_tests::TestReportBody,
    command_line::{TestArguments, TestMode},
    command_runtime::command_runtime,
    secret_file,
    service::connection_tests::TestedDevice,
    system_host::system_host,
};

/// Why there was no Test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestCommandError {
    /// The endpoint is none.
    #[error("the endpoint cannot be read; it looks like opc.tcp://press4:4840")]
    Endpoint(#[from] EndpointUrlError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Certificate and key cannot be used.
    #[error("the client certificate cannot be used")]
    Pair(#[from] ReadError),
    /// Certificate and key do not belong together.
    #[error("the client certificate cannot be used")]
    Identity(#[from] IdentityError),
    /// The certificate that the server must have cannot be read.
    #[error("the server's certificate cannot be read")]
    ServerCertificate(#[source] ReadError),
    /// There is no such policy, or not here.
    #[error("{0:?} is no security policy of this build; auto takes the best one that the server offers")]
    Policy(String),
    /// A mode that protects needs a certificate.
    #[error("this mode needs --certificate")]
    NoCertificate,
    /// Nobody reads the report.
    #[error("the report cannot be written")]
    Output(#[source] io::Error),
    /// The runtime did not start.
    #[error("the runtime cannot be started")]
    Runtime(#[source] io::Error),
}

/// Makes the Test, and answers the exit code that tells how it went.
///
/// # Errors
/// [`TestCommandError`] when nothing was tested.
pub fn test(arguments: &TestArguments) -> Result<u8, TestCommandError> {
    let target = target(arguments)?;
    let runtime = command_runtime().map_err(TestCommandError::Runtime)?;
    let mut show = |stage: &StageReport| {
        if !arguments.json {
            // A reader that is gone shows when the report is written.
            writeln!(io::stdout(), "{}", line(stage)).ok();
        }
    };
    let report = runtime.block_on(test_watched(&target, ClockReading::system(), &mut show));
    let code = exit_code(report.verdict.code);
    print(report, &target, arguments.json).map_err(TestCommandError::Output)?;
    Ok(code)
}

fn target(arguments: &TestArguments) -> Result<Target, TestCommandError> {
    let host = system_host();
    let mut target = Target::new(EndpointUrl::parse(&arguments.endpoint)?, format!("urn:koios:{host}"));
    if let Some(identity) = identity(arguments)? {
        target = target.secured(SecurityMode::SignAndEncrypt, identity);
    }
    match arguments.mode {
        Some(TestMode::None) => target.security_mode = SecurityMode::None,
        Some(_) if arguments.certificate.is_none() => return Err(TestCommandError::NoCertificate),
        Some(TestMode::Sign) => target.security_mode = SecurityMode::Sign,
        Some(TestMode::SignAndEncrypt) | None => {}
    }
    if arguments.policy != "auto" {
        let policy = SecurityPolicy::from_name(&arguments.policy)
            .filter(|policy| *policy != SecurityPolicy::None && koios_channel::is_spoken(*policy))
            .ok_or_else(|| TestCommandError::Policy(arguments.policy.clone()))?;
        target.security_policy = Some(policy);
        // Who names one on the command line has switched it on.
        target.deprecated_policies = DeprecatedPolicies::Allowed;
    }
    if let (Some(user_name), Some(file)) = (&arguments.user, &arguments.password_file) {
        target.user = UserIdentity::UserName { user_name: user_name.clone(), password: first_line(file)? };
    }
    if let Some(file) = &arguments.server_certificate {
        let expected = read_certificates(&read(file)?).map_err(TestCommandError::ServerCertificate)?;
        target.server_trust = ServerTrust::Pin { expected: Some(expected) };
    }
    target.timeout = Duration::from_secs(arguments.timeout.into());
    Ok(target)
}

fn identity(arguments: &TestArguments) -> Result<Option<Arc<ClientIdentity>>, TestCommandError> {
    let Some(certificate) = &arguments.certificate else { return Ok(None) };
    let certificate = Zeroizing::new(read(certificate)?);
    let key = arguments.private_key.as_deref().map(read).transpose()?.map(Zeroizing::new);
    let passphrase = arguments.passphrase_file.as_deref().map(first_line).transpose()?;
    let (chain, key) = read_pair(
        &certificate,
        key.as_ref().map(|key| key.as_slice()),
        passphrase.as_ref().map(|text| text.as_str()),
    )?;
    Ok(Some(Arc::new(ClientIdentity::new(chain, key)?)))
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, TestCommandError> {
    let path = path.as_ref();
    fs::read(path).map_err(|source| TestCommandError::File { path: path.to_owned(), source })
}

fn first_line(path: impl AsRef<Path>) -> Result<Zeroizing<String>, TestCommandError> {
    let path = path.as_ref();
    secret_file::first_line(path).map_err(|source| TestCommandError::File { path: path.to_owned(), source })
}

fn line(stage: &StageReport) -> String {
    let StageReport { stage, outcome, duration, detail, .. } = stage;
    let detail = detail.as_deref().unwrap_or_default();
    let line = format!("{stage:18} {:7} {:8.1} ms  {detail}", outcome.as_str(), duration.as_secs_f64() * 1e3);
    line.trim_end().to_owned()
}

fn print(report: TestReport, target: &Target, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &TestReportBody::from(TestedDevice { device: None, report }))?;
        return writeln!(out);
    }
    let verdict = report.verdict;
    writeln!(out, "\n{}", verdict.message)?;
    if let Some(detail) = verdict.detail {
        writeln!(out, "{detail}")?;
    }
    if let Some(status) = verdict.status_code {
        writeln!(out, "The server said {}.", status.name())?;
    }
    for cause in verdict.causes {
        writeln!(out, "  {}: {}", cause.confidence.as_str(), cause.explanation)?;
    }
    let guide = report.server.as_ref().filter(|_| verdict.code.is_certificate_refusal()).and_then(|server| {
        let said = ServerIdentity::of(&server.description, server.build_info.as_ref());
        let Recognition { guide, by, .. } = recognise(&said, target.endpoint_url.as_str());
        by.map(|_| guide)
    });
    // There is no API here to look for the guide: it follows itself, where there is one.
    for remedy in verdict.remedy.iter().filter(|remedy| remedy.link != Some(RemedyLink::TrustGuide)) {
        writeln!(out, "  - {}", remedy.text)?;
    }
    if let Some(guide) = guide {
        writeln!(out, "\nIt says that it is {guide}. There:")?;
        for (number, step) in (1..).zip(&guide.steps) {
            writeln!(out, "  {number}. {step}")?;
        }
        let leaf = target.client.chain().map(CertificateChain::leaf);
        if let (Some(place), Some(leaf)) = (&guide.rejected_location, leaf) {
            let name = guide.rejected_file_name(leaf).map(|name| format!(", as {name}")).unwrap_or_default();
            writeln!(out, "  Refused certificates: {place}{name}")?;
        }
    }
    Ok(())
}

fn exit_code(code: Code) -> u8 {
    match code {
        Code::Connected => 0,
        code if code.is_certificate_refusal() => 10,
        Code::ServerCertificateUntrusted
        | Code::ServerCertificateChanged
        | Code::ServerCertificateExpired
        | Code::ServerCertificateHostMismatch
        | Code::ServerCertificateUriMismatch
        | Code::ServerCertificateRevoked
        | Code::ServerCertificateChainIncomplete
        | Code::ServerCertificateRevocationUnknown
        | Code::ServerCertificateInvalid => 11,
        Code::HostNotFound
        | Code::ConnectionRefused
        | Code::HostUnreachable
        | Code::Timeout
        | Code::NotOpcUa
        | Code::ConnectionClosed => 12,
        Code::UserIdentityRejected | Code::UserIdentityNotOffered | Code::PasswordWouldBeInClear => 13,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_exit_code_of_its_kind() {
        for code in Code::ALL {
            let expected = match code.as_str() {
                "connected" => 0,
                name if code.message().starts_with("Certificate rejected by server") => {
                    assert!(name.starts_with("certificate_"));
                    10
                }
                name if name.starts_with("server_certificate_") => 11,
                "host_not_found" | "connection_refused" | "host_unreachable" | "timeout" | "not_opc_ua"
                | "connection_closed" => 12,
                "user_identity_rejected" | "user_identity_not_offered" | "password_would_be_in_clear" => 13,
                _ => 1,
            };
            assert_eq!(exit_code(code), expected, "{code:?}");
        }
    }
}
