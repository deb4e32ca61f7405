//! Step 9: each certificate may be used for what it is used for (OPC 10000-6 §6.2.2 to §6.2.4, RFC 5280 §4.2.1).
//!
//! - Leaf: RSA keys need the four bits of OPC 10000-6 §6.2.2, others digitalSignature; a self-signed one also
//!   keyCertSign. Servers need serverAuth, clients clientAuth, where there is an extended key usage; RSA certificates
//!   must have one. It is no authority; basicConstraints may be absent, as was usual before 1.05.
//! - User: digitalSignature, no authority; the extended key usage is not looked at.
//! - Issuer: basicConstraints with cA, its path length, and keyCertSign where there is a key usage (whether there must
//!   be one is contradictory in OPC 10000-6). An extended key usage of an authority says nothing about what it issues.

use super::{PeerRole, SelfSignedAuthority, TrustErrorKind};
use crate::{Certificate, KeyAlgorithm};

pub(super) struct Leaf {
    pub(super) role: PeerRole,
    pub(super) self_signed: bool,
    /// Whether what [`SelfSignedAuthority::AcceptPathLenZero`] asks for is given, its path length apart.
    pub(super) authority: SelfSignedAuthority,
}

/// All that is wrong with the use of the peer's own certificate.
pub(super) fn leaf_faults(certificate: &Certificate, leaf: &Leaf) -> Vec<TrustErrorKind> {
    let mut faults = Vec::new();
    if let Some(constraints) = certificate.basic_constraints()
        && constraints.ca
    {
        let accepted = leaf.authority == SelfSignedAuthority::AcceptPathLenZero
            && leaf.self_signed
            && constraints.path_len == Some(0);
        if !accepted {
            faults.push(TrustErrorKind::IsAuthority { critical: constraints.critical });
        }
    }
    key_usage_faults(certificate, leaf, &mut faults);
    extended_key_usage_fault(certificate, leaf.role, &mut faults);
    faults
}

/// All that is wrong with the use of an issuer, which has `authorities_below` authorities between itself and the leaf.
pub(super) fn issuer_faults(certificate: &Certificate, authorities_below: usize) -> Vec<TrustErrorKind> {
    let mut faults = Vec::new();
    match certificate.basic_constraints() {
        Some(constraints) if constraints.ca => {
            let too_long = constraints.path_len.filter(|path_len| usize::from(*path_len) < authorities_below);
            if let Some(path_len) = too_long {
                let critical = constraints.critical;
                faults.push(TrustErrorKind::PathTooLong { path_len, found: authorities_below, critical });
            }
        }
        _ => faults.push(TrustErrorKind::NotAnAuthority),
    }
    if let Some(usage) = certificate.key_usage()
        && !usage.key_cert_sign()
    {
        let missing = vec!["keyCertSign"];
        faults.push(TrustErrorKind::KeyUsageIncomplete { missing, critical: usage.is_critical() });
    }
    faults
}

fn key_usage_faults(certificate: &Certificate, leaf: &Leaf, faults: &mut Vec<TrustErrorKind>) {
    let Some(usage) = certificate.key_usage() else {
        faults.push(TrustErrorKind::KeyUsageMissing);
        return;
    };
    let all = matches!(certificate.key_algorithm(), KeyAlgorithm::Rsa { .. }) && leaf.role != PeerRole::User;
    let bits = [
        ("digitalSignature", true, usage.digital_signature()),
        ("nonRepudiation", all, usage.non_repudiation()),
        ("keyEncipherment", all, usage.key_encipherment()),
        ("dataEncipherment", all, usage.data_encipherment()),
    ];
    let missing: Vec<_> =
        bits.into_iter().filter(|(_, needed, set)| *needed && !set).map(|(name, ..)| name).collect();
    if !missing.is_empty() {
        faults.push(TrustErrorKind::KeyUsageIncomplete { missing, critical: usage.is_critical() });
    }
    // A formality: RFC 5280 forbids the bit here, and verifying its own signature uses the key for nothing.
    // So a critical key usage does not make it mandatory.
    if leaf.self_signed && leaf.role != PeerRole::User && !usage.key_cert_sign() {
        faults.push(TrustErrorKind::KeyCertSignMissing);
    }
}

fn extended_key_usage_fault(certificate: &Certificate, role: PeerRole, faults: &mut Vec<TrustErrorKind>) {
    let expected = match role {
        PeerRole::Server => "serverAuth",
        PeerRole::Client => "clientAuth",
        PeerRole::User => return,
    };
    let rsa = matches!(certificate.key_algorithm(), KeyAlgorithm::Rsa { .. });
    match certificate.extended_key_usage() {
        None if rsa => faults.push(TrustErrorKind::ExtendedKeyUsageMissing { expected }),
        None => {}
        Some(usage) => {
            let allowed = if role == PeerRole::Server { usage.server_auth() } else { usage.client_auth() };
            if !allowed {
                let found = usage.purposes().iter().map(ToString::to_string).collect();
                let critical = usage.is_critical();
                faults.push(TrustErrorKind::ExtendedKeyUsageIncomplete { expected, found, critical });
            }
        }
    }
}
