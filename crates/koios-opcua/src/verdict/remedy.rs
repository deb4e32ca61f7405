//! What to do, per code.

use super::{Remedy, RemedyLink};
use crate::code::Code;

/// The steps towards a cure, in order.
pub(super) fn remedy_for(code: Code) -> Vec<Remedy> {
    match code {
        Code::Connected => Vec::new(),
        Code::CertificateRejectedByServer => trust_steps(),
        Code::CertificateTimeInvalidAtServer => vec![
            say("Compare the clocks of the server and of this machine, and correct the wrong one."),
            say(
                "If the certificate is expired, regenerate or replace it and let the server trust the new one.",
            ),
        ],
        Code::CertificateUriMismatch => {
            vec![say("Use a certificate that carries its application URI in the subject alternative name; \
                 those that Koios generates do.")]
        }
        Code::CertificateUsageNotAllowed => {
            vec![say("Use a certificate with the key usages of an OPC UA application: digital signature, \
                 non-repudiation, key encipherment, data encipherment, and client authentication; \
                 those that Koios generates have them.")]
        }
        Code::CertificateRevoked => {
            vec![say("Ask who issued the certificate for a new one, and replace it.")]
        }
        Code::CertificateChainIncomplete => vec![
            say("Import every issuer of the certificate at the server, with its revocation list."),
            say("Upload the certificate together with its issuers, so that they are sent along."),
        ],
        Code::CertificateRevocationUnknown => vec![
            say("Import the revocation list (CRL) of every issuer at the server; an empty one will do."),
            say("If the server does not trust the issuer yet, import the issuer's certificate there, too."),
        ],
        Code::CertificateInvalidAtServer => vec![
            say("Read the server's log: it names the reason that it does not send."),
            say("Try a certificate that Koios generated; what servers are known to demand, it has."),
        ],
        Code::CertificateExpired => {
            vec![say("Regenerate or replace the certificate, then let the server trust the new one.")]
        }
        Code::CertificateNotYetValid => {
            vec![say("Check the clock of this machine, or wait until the certificate is valid.")]
        }
        Code::CertificateFilesMissing => {
            vec![say("Put the certificate's files back, or regenerate the certificate.")]
        }
        Code::CertificateKeyMismatch => {
            vec![say("Replace the certificate with a pair that belongs together, or regenerate it.")]
        }
        Code::CertificateKeySize => {
            vec![say("Assign a certificate whose RSA key has 2048 to 4096 bits, or regenerate this one so.")]
        }
        Code::CertificateKeyTypeUnsupported => vec![say(
            "Assign a certificate whose kind of key the security policy takes (RSA, or P-256 and P-384 for the ECC \
             policies), or set the policy to auto.",
        )],
        Code::NoCertificate => {
            vec![say("Generate or upload a certificate; the first one becomes the default.")]
        }
        Code::DeprecatedPolicyRefused => vec![
            say(
                "Choose auto, or a current policy that the server offers; renew the server's software if it offers none.",
            ),
            say(
                "If the server has no other: switch the deprecated policies on in the configuration, and log in without \
                 a password.",
            ),
        ],
        Code::HostNotFound => {
            vec![say("Check the spelling of the host name, and that this machine can resolve it; \
                      or use the server's IP address.")]
        }
        Code::TargetNotAllowed => vec![say(
            "Add the server's network to test_allowed_networks in the configuration, if Koios is to connect there.",
        )],
        Code::ConnectionRefused => {
            vec![say("Check that the server runs, and that the port of the endpoint URL is its port.")]
        }
        Code::HostUnreachable => {
            vec![say("Check the network, routes and firewalls between this machine and the server.")]
        }
        Code::Timeout => vec![
            say("Check host and port, and that no firewall drops the connection."),
            say("If the server is slow, raise the device's timeout."),
        ],
        Code::NotOpcUa => {
            vec![say("Correct the port of the endpoint URL; the usual port of OPC UA servers is 4840.")]
        }
        Code::EndpointUrlRejected => {
            vec![say("Correct the path of the endpoint URL, or leave it out and let discovery find it.")]
        }
        Code::ConnectionClosed => vec![say(
            "Check that the port is that of an OPC UA server, and that the server takes more connections.",
        )],
        Code::NoMatchingEndpoint => vec![say(
            "Choose a security mode and policy that the server offers, or enable the wanted one at the server.",
        )],
        Code::ServerCertificateChanged => vec![
            approve(
                "Compare the thumbprint of the new certificate with the one at the server itself. \
                     If they are equal, approve it.",
            ),
            say(
                "If nobody renewed the server's certificate, somebody else may answer in its place: do not approve.",
            ),
        ],
        Code::ServerCertificateUntrusted => vec![
            look(
                "Compare the thumbprint with the one shown at the server itself. If they are equal, trust the certificate.",
            ),
            say(
                "Or set the device's server certificate policy to pin: it then remembers exactly this certificate.",
            ),
        ],
        Code::ServerCertificateExpired => vec![
            say("Compare the clocks of the server and of this machine, and correct the wrong one."),
            say("Renew the certificate at the server."),
            say("Until then the policy pin accepts exactly this certificate, expired as it is."),
        ],
        Code::ServerCertificateHostMismatch => vec![
            say("Use one of the host names or addresses in the certificate in the endpoint URL."),
            say(
                "Behind NAT or an alias: switch the device's host-name check off (server_host_name_check); everything else \
                 is still checked.",
            ),
        ],
        Code::ServerCertificateUriMismatch => vec![
            say("Renew the certificate at the server, so that it holds the server's application URI."),
            say("Until then the policy pin accepts exactly this certificate."),
        ],
        Code::ServerCertificateRevoked => vec![
            say("Do not connect: ask who runs the authority why the certificate was revoked."),
            say("Give the server a new certificate."),
        ],
        Code::ServerCertificateChainIncomplete => vec![
            look(
                "Add the certificate of the missing authority to the list issuer, or to trusted to trust all it issues, \
                 with its revocation list.",
            ),
            say("Or configure the server to send its whole chain."),
        ],
        Code::ServerCertificateRevocationUnknown => {
            vec![look("Add the current revocation list (CRL) of the authority; an empty one will do.")]
        }
        Code::ServerCertificateInvalid => {
            vec![say("Give the server a certificate with an RSA key of 2048 to 4096 bits.")]
        }
        Code::HandshakeFailed => vec![
            say("Read the server's log: it names the reason that it does not send."),
            download("Check that the server trusts this certificate."),
            say("Try another security policy."),
        ],
        Code::ServerSilent => vec![
            say("Read the server's log: it names the reason that it does not send."),
            say("Test with security mode none: if that works, the server's secured endpoint does not."),
        ],
        Code::UserIdentityRejected => vec![say(
            "The certificate is accepted. Check user name and password, and that the account is not locked.",
        )],
        Code::UserIdentityNotOffered => {
            vec![say("Choose a user identity that the server offers, or enable this kind at the server.")]
        }
        Code::PasswordWouldBeInClear => {
            vec![say("Use the security mode sign and encrypt, or an endpoint that encrypts passwords.")]
        }
        Code::TooManySessions => {
            vec![say("Close sessions that are not needed, or raise the server's limit.")]
        }
        Code::ClockSkew => vec![say("Correct the clock of the server or of this machine.")],
        Code::ServerError => vec![say("Read the server's log around the time of this attempt.")],
        Code::Internal => vec![say("Report this error with the log around the time of this attempt.")],
    }
}

/// Adds what an authority's certificates need besides: many servers refuse one that is trusted itself while its issuer is
/// not known, or has no revocation list there.
pub(super) fn mind_issuers(code: Code, remedy: &mut Vec<Remedy>) {
    if code != Code::CertificateRejectedByServer {
        return;
    }
    let step = say(
        "The certificate was issued by an authority: import the certificates of its issuers and their revocation lists \
         (CRLs) at the server as well. To trust the certificate alone is not enough for many servers.",
    );
    // Before the restart and the next Test.
    let at = remedy.len().saturating_sub(2);
    remedy.insert(at, step);
}

fn trust_steps() -> Vec<Remedy> {
    vec![
        Remedy {
            text: "Follow the trust guide for the server's product, or in general:".to_owned(),
            link: Some(RemedyLink::TrustGuide),
        },
        download("Download the certificate as .der."),
        say(
            "At the server, trust it: move it from the rejected to the trusted certificates (move, do not copy), \
             or import the .der there. Compare the thumbprint.",
        ),
        say("Restart the server if it reads its trust list only at start."),
        say("Test again; an enabled device connects by itself."),
    ]
}

fn say(text: &str) -> Remedy {
    Remedy { text: text.to_owned(), link: None }
}

fn download(text: &str) -> Remedy {
    Remedy { text: text.to_owned(), link: Some(RemedyLink::CertificateDownload) }
}

fn look(text: &str) -> Remedy {
    Remedy { text: text.to_owned(), link: Some(RemedyLink::TrustLists) }
}

fn approve(text: &str) -> Remedy {
    Remedy { text: text.to_owned(), link: Some(RemedyLink::ServerCertificate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_an_authority_is_not_trusted_by_moving_it_alone() {
        let mut remedy = remedy_for(Code::CertificateRejectedByServer);
        let own = remedy.clone();
        mind_issuers(Code::CertificateRejectedByServer, &mut remedy);
        assert_eq!(remedy.len(), own.len() + 1);
        let added = remedy.iter().position(|step| step.text.contains("revocation lists")).unwrap();
        let moved = remedy.iter().position(|step| step.text.contains("move")).unwrap();
        let tested = remedy.iter().position(|step| step.text.starts_with("Test again")).unwrap();
        assert!(moved < added && added < tested, "{remedy:?}");
    }
}
