//! The servers reject, trust, restart and refuse as interoperability tests rely on it.

use std::net::TcpStream;

use koios_testkit::{
    CertificateSpec, KeyUsage, Mode, Policy, Server, ServerCertificate, ServerOptions, Stack,
    TestCertificate, revocation_list, start_or_skip,
};
use opcua::types::StatusCode;

use crate::client::{APPLICATION_URI, Visit};

fn client_certificate() -> TestCertificate {
    CertificateSpec::application(APPLICATION_URI).named("Koios test client").make()
}

/// node-opcua notices changes in its folders after a while: asks again until it lets the client in.
fn pay_until_welcome(visit: &Visit<'_>, server: &Server) -> Result<(), StatusCode> {
    let mut result = visit.pay(server);
    for _ in 0..100 {
        if result.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        result = visit.pay(server);
    }
    result
}

fn assert_says_untrusted(stack: Stack, result: Result<(), StatusCode>) {
    let expected: &[StatusCode] = match stack {
        Stack::AsyncOpcua => &[StatusCode::BadCertificateUntrusted, StatusCode::BadSecurityChecksFailed],
        Stack::Asyncua => &[StatusCode::BadCertificateUntrusted],
        _ => &[StatusCode::BadSecurityChecksFailed],
    };
    let status = result.expect_err("an unknown certificate is refused");
    assert!(expected.contains(&status), "{stack} answered {status}");
}

fn an_unknown_certificate_is_rejected_until_its_file_is_moved_to_trusted(stack: Stack) {
    let Some(server) = start_or_skip(stack, ServerOptions::default()) else { return };
    let certificate = client_certificate();
    let visit = Visit::with(&certificate);

    assert_says_untrusted(stack, visit.pay(&server));
    let rejected = server.wait_for_rejected(&certificate.sha1());
    assert_says_untrusted(stack, visit.pay(&server));

    let trusted = server.trust_rejected(&certificate.sha1());

    assert_eq!(trusted.file_name(), rejected.file_name());
    assert_eq!(pay_until_welcome(&visit, &server), Ok(()));
    assert_eq!(server.rejected_certificates(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn open62541_refuses_an_unknown_certificate_and_takes_it_once_it_is_trusted_at_a_start() {
    let Some(mut server) = start_or_skip(Stack::Open62541, ServerOptions::default()) else { return };
    let certificate = client_certificate();
    let visit = Visit::with(&certificate);
    assert_says_untrusted(Stack::Open62541, visit.pay(&server));
    server.trust_der(certificate.der());
    server.restart();
    assert_eq!(visit.pay(&server), Ok(()));
    let (user, password) = ("op", "wrong");
    Visit { user: Some((user, password)), ..visit }.pay(&server).expect_err("a wrong password");
}

#[test]
fn async_opcua_rejects_a_certificate_until_its_file_is_moved_to_trusted() {
    an_unknown_certificate_is_rejected_until_its_file_is_moved_to_trusted(Stack::AsyncOpcua);
}

#[test]
fn node_opcua_rejects_a_certificate_until_its_file_is_moved_to_trusted() {
    an_unknown_certificate_is_rejected_until_its_file_is_moved_to_trusted(Stack::NodeOpcua);
}

#[test]
fn asyncua_refuses_a_certificate_until_its_file_lies_in_trusted_and_again_without_it() {
    let Some(server) = start_or_skip(Stack::Asyncua, ServerOptions::default()) else { return };
    let certificate = client_certificate();
    let visit = Visit::with(&certificate);

    assert_says_untrusted(Stack::Asyncua, visit.pay(&server));
    server.trust_der(certificate.der());
    assert_eq!(visit.pay(&server), Ok(()));
    server.distrust(&certificate.sha1());
    assert_says_untrusted(Stack::Asyncua, visit.pay(&server));
}

fn everything_that_is_offered_works(stack: Stack) {
    let certificate = client_certificate();
    let options = ServerOptions { none_endpoint: true, ..ServerOptions::trusting(&[&certificate]) };
    let Some(server) = start_or_skip(stack, options) else { return };
    for policy in Policy::RSA {
        for mode in Mode::ALL {
            let visit = Visit { security: Some((policy, mode)), ..Visit::with(&certificate) };
            assert_eq!(visit.pay(&server), Ok(()), "{stack} with {policy:?} and {mode:?}");
        }
    }
    let visit = Visit { security: None, ..Visit::with(&certificate) };
    assert_eq!(visit.pay(&server), Ok(()), "{stack} without security");
}

#[test]
fn async_opcua_speaks_all_policies_and_modes() {
    everything_that_is_offered_works(Stack::AsyncOpcua);
}

#[test]
fn asyncua_speaks_all_policies_and_modes() {
    everything_that_is_offered_works(Stack::Asyncua);
}

#[test]
fn node_opcua_speaks_all_policies_and_modes() {
    everything_that_is_offered_works(Stack::NodeOpcua);
}

fn users_are_asked_for_their_password(stack: Stack) {
    let certificate = client_certificate();
    let options = ServerOptions { anonymous: false, ..ServerOptions::trusting(&[&certificate]) };
    let Some(server) = start_or_skip(stack, options) else { return };
    let with = |user, password| Visit { user: Some((user, password)), ..Visit::with(&certificate) };
    assert_eq!(with("op", "secret").pay(&server), Ok(()));
    let refusals = [StatusCode::BadUserAccessDenied, StatusCode::BadIdentityTokenRejected];
    for wrong in [with("op", "wrong"), with("nobody", "secret")] {
        let status = wrong.pay(&server).expect_err("refused");
        assert!(refusals.contains(&status), "{stack} answered {status}");
    }
    Visit::with(&certificate).pay(&server).expect_err("nobody comes in without a name");
}

#[test]
fn async_opcua_asks_users_for_their_password() {
    users_are_asked_for_their_password(Stack::AsyncOpcua);
}

#[test]
fn asyncua_asks_users_for_their_password() {
    users_are_asked_for_their_password(Stack::Asyncua);
}

#[test]
fn node_opcua_asks_users_for_their_password() {
    users_are_asked_for_their_password(Stack::NodeOpcua);
}

fn bad_certificates_are_refused_by_name(stack: Stack, without_key_usage: StatusCode) {
    let expired = CertificateSpec::application(APPLICATION_URI).expired().make();
    let other_uri = CertificateSpec::application("urn:koios:test:somebody-else").make();
    let no_usage = CertificateSpec {
        key_usage: vec![KeyUsage::DigitalSignature],
        ..CertificateSpec::application(APPLICATION_URI)
    }
    .make();
    let options = ServerOptions::trusting(&[&expired, &other_uri, &no_usage]);
    let Some(server) = start_or_skip(stack, options) else { return };
    for (certificate, expected) in [
        (&expired, StatusCode::BadCertificateTimeInvalid),
        (&other_uri, StatusCode::BadCertificateUriInvalid),
        (&no_usage, without_key_usage),
    ] {
        assert_eq!(Visit::with(certificate).pay(&server), Err(expected), "{stack}");
    }
}

#[test]
fn asyncua_checks_time_uri_and_usage() {
    bad_certificates_are_refused_by_name(Stack::Asyncua, StatusCode::BadCertificateUseNotAllowed);
}

#[test]
fn node_opcua_checks_time_uri_and_usage() {
    bad_certificates_are_refused_by_name(Stack::NodeOpcua, StatusCode::BadCertificateUseNotAllowed);
}

#[test]
fn an_authority_that_is_trusted_vouches_for_its_certificates_unless_revoked() {
    let authority = CertificateSpec::authority("Koios test authority").make();
    let good = CertificateSpec::issued_application(APPLICATION_URI, &authority).make();
    let revoked = CertificateSpec::issued_application(APPLICATION_URI, &authority).make();
    for (stack, refusal) in [
        (Stack::Asyncua, StatusCode::BadCertificateRevoked),
        (Stack::NodeOpcua, StatusCode::BadSecurityChecksFailed),
        (Stack::Open62541, StatusCode::BadSecurityChecksFailed),
    ] {
        let options = ServerOptions {
            revocation_lists: vec![revocation_list(&authority, &[&revoked])],
            ..ServerOptions::trusting(&[&authority])
        };
        let Some(server) = start_or_skip(stack, options) else { continue };
        assert_eq!(Visit::with(&good).pay(&server), Ok(()), "{stack}");
        assert_eq!(Visit::with(&revoked).pay(&server), Err(refusal), "{stack}");
    }
}

fn a_restarted_server_keeps_port_and_trust_and_takes_a_new_certificate(stack: Stack) {
    let certificate = client_certificate();
    let Some(mut server) = start_or_skip(stack, ServerOptions::trusting(&[&certificate])) else { return };
    let visit = Visit::with(&certificate);
    assert_eq!(visit.pay(&server), Ok(()));
    let (url, own) = (server.endpoint_url.clone(), server.certificate().clone());

    server.stop();
    TcpStream::connect(("127.0.0.1", server.port())).expect_err("nobody listens");
    server.resume();
    assert_eq!(server.endpoint_url, url);
    assert_eq!(server.certificate().sha1(), own.sha1());
    assert_eq!(visit.pay(&server), Ok(()));

    server.replace_certificate(ServerCertificate::Replaced);
    assert_eq!(server.endpoint_url, url);
    assert_ne!(server.certificate().sha1(), own.sha1());
    assert_ne!(server.certificate().key_pem(), own.key_pem());
    assert_eq!(visit.pay(&server), Ok(()));
}

#[test]
fn async_opcua_restarts_on_its_port() {
    a_restarted_server_keeps_port_and_trust_and_takes_a_new_certificate(Stack::AsyncOpcua);
}

#[test]
fn asyncua_restarts_on_its_port() {
    a_restarted_server_keeps_port_and_trust_and_takes_a_new_certificate(Stack::Asyncua);
}

#[test]
fn node_opcua_restarts_on_its_port() {
    a_restarted_server_keeps_port_and_trust_and_takes_a_new_certificate(Stack::NodeOpcua);
}

#[test]
fn servers_present_expired_and_larger_certificates_too() {
    let certificate = client_certificate();
    for stack in Stack::COMMON {
        let trusting = ServerOptions::trusting(&[&certificate]);
        let expired = ServerOptions { certificate: ServerCertificate::Expired, ..trusting.clone() };
        let larger = ServerOptions { key_bits: 4096, ..trusting };
        for options in [expired, larger] {
            let Some(server) = start_or_skip(stack, options) else { continue };
            assert_eq!(Visit::with(&certificate).pay(&server), Ok(()), "{stack}");
        }
    }
}

#[test]
fn node_opcua_sends_its_chain() {
    let certificate = client_certificate();
    let options =
        ServerOptions { certificate: ServerCertificate::Chain, ..ServerOptions::trusting(&[&certificate]) };
    let Some(server) = start_or_skip(Stack::NodeOpcua, options) else { return };
    assert_eq!(server.certificate().chain().len(), 2);
    // async-opcua's client refuses chains before it sends anything: that is how we see that there is one.
    assert_eq!(Visit::with(&certificate).pay(&server), Err(StatusCode::BadCertificateInvalid));
}

#[test]
fn a_server_without_security_offers_nothing_secure() {
    let certificate = client_certificate();
    for stack in Stack::COMMON {
        // asyncua judges a client's certificate without security too, and this client always sends one.
        let options =
            ServerOptions { trusted: vec![certificate.der().to_vec()], ..ServerOptions::without_security() };
        let Some(server) = start_or_skip(stack, options) else { continue };
        let open = Visit { security: None, ..Visit::with(&certificate) };
        assert_eq!(open.pay(&server), Ok(()), "{stack}");
        Visit::with(&certificate).pay(&server).expect_err("no secure endpoint");
    }
}

#[test]
fn a_dropped_server_leaves_nobody_at_its_port() {
    for stack in Stack::COMMON {
        let Some(server) = start_or_skip(stack, ServerOptions::default()) else { continue };
        let port = server.port();
        TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        drop(server);
        TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
    }
}
