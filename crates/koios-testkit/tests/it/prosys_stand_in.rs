//! The stand-in keeps certificates as the Prosys OPC UA Simulation Server does.

use std::fs;
use std::path::Path;

use koios_testkit::{CertificateSpec, Mode, Policy, ProsysStandIn, TestCertificate};
use opcua::types::StatusCode;

use crate::client::{APPLICATION_URI, Visit};

fn files_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn stranger() -> TestCertificate {
    CertificateSpec::application(APPLICATION_URI).make()
}

#[test]
fn a_stranger_is_refused_when_the_channel_opens_and_moving_the_file_lets_it_in_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = ProsysStandIn::start(folder.path(), 0).unwrap();
    assert_eq!(server.trusted(), folder.path().join("CA/certs"));
    assert_eq!(server.rejected(), folder.path().join("CA/rejected"));
    let certificate = stranger();
    let visit = |security| Visit { security, ..Visit::with(&certificate) }.pay_to(&server.endpoint_url);
    let best = Some((Policy::Basic256Sha256, Mode::SignAndEncrypt));

    assert_eq!(visit(best), Err(StatusCode::BadSecurityChecksFailed));
    let name = format!("{}.der", certificate.sha1());
    assert_eq!(name, name.to_uppercase().replace(".DER", ".der"));
    assert_eq!(files_in(server.rejected()), [name.as_str()]);
    let rejected = server.rejected().join(&name);
    assert_eq!(fs::read(&rejected).unwrap(), certificate.der());
    assert_eq!(visit(None), Ok(()), "without security there is no certificate to trust");

    let trusted = server.trusted().join("any-name.der");
    fs::copy(&rejected, &trusted).unwrap();
    assert_eq!(visit(best), Err(StatusCode::BadSecurityChecksFailed), "a copy left behind is a veto");
    fs::rename(&rejected, &trusted).unwrap();
    for policy in Policy::RSA {
        for mode in Mode::ALL {
            assert_eq!(visit(Some((policy, mode))), Ok(()), "{policy:?} {mode:?}");
        }
    }

    fs::remove_file(&trusted).unwrap();
    assert_eq!(visit(best), Err(StatusCode::BadSecurityChecksFailed));
    assert_eq!(files_in(server.rejected()), [name]);
}

/// Trust is not all: the server behind the gate looks at the rest.
#[test]
fn a_trusted_certificate_that_has_expired_stays_outside() {
    let folder = tempfile::tempdir().unwrap();
    let server = ProsysStandIn::start(folder.path(), 0).unwrap();
    let expired = CertificateSpec::application(APPLICATION_URI).expired().make();
    fs::write(server.trusted().join("expired.der"), expired.der()).unwrap();
    let answer = Visit::with(&expired).pay_to(&server.endpoint_url);
    assert_eq!(answer, Err(StatusCode::BadCertificateTimeInvalid));
    assert_eq!(files_in(server.rejected()), [""; 0]);
}
