//! A client certificate with issuers: as much of the chain is sent as the server takes.

use koios_testkit::{CertificateSpec, ServerOptions, revocation_list};

use crate::client::{URI, report, secured, servers};

#[test]
fn a_certificate_with_its_issuer_connects_everywhere_once_it_is_trusted() {
    let authority = CertificateSpec::authority("Plant authority").make();
    let issued = CertificateSpec::issued_application(URI, &authority).make();
    let options = ServerOptions {
        // The authority for the stacks that know authorities, the leaf for the one that does not.
        trusted: vec![authority.der().to_vec(), issued.der().to_vec()],
        revocation_lists: vec![revocation_list(&authority, &[])],
        ..ServerOptions::default()
    };
    for server in servers(&options) {
        let report = report(&secured(&server, &issued));
        assert!(report.verdict.is_success(), "{}: {:?}", server.stack(), report.verdict);
    }
}
