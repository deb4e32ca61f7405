//! The table.

use koios_pki::{
    CertificateType, PeerRole, SelfSignedAuthority, Suppression, Suppressions, TrustStatus, UnknownRevocation,
};
use rcgen::{
    BasicConstraints, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};
use time::Duration;

use super::scene::Who::{Cross, Leaf, Looped, OtherRoot, Plant, Root, Twin};
use super::scene::{Extra, Kind, OK, Scene, name, set_extension};
use super::{Case, case};
use crate::samples::NOW;
use crate::trust_pki::{children, der, entry, extension, reason, serial_der};

#[rustfmt::skip]
pub(super) fn all() -> Vec<Case> {
    use TrustStatus as S;
    let no = |step, status, depth| Err((step, status, depth));
    vec![
        case("sound", Ok(()), Some(OK), "", |_| {}),
        case("plant in the blob", Ok(()), Some(OK), "", |s| { s.issuers = &[]; s.sent = &[Plant]; }),
        case("plant in blob and list", Ok(()), Some(OK), "", |s| s.sent = &[Plant]),
        case("plant missing", no(2, S::ChainIncomplete, 0), Some(20), "", |s| s.issuers = &[]),
        case("root not trusted", no(5, S::Untrusted, 0), Some(19), "", |s| { s.trusted = &[]; s.issuers = &[Plant, Root]; }),
        case("leaf expired", no(6, S::TimeInvalid, 0), Some(10), "", |s| s.leaf.not_after = NOW - Duration::HOUR),
        case("plant expired", no(6, S::IssuerTimeInvalid, 1), Some(10), "", |s| s.plant.not_after = NOW - Duration::HOUR),
        case("root expired", no(6, S::IssuerTimeInvalid, 2), Some(10), "", |s| s.root.not_after = NOW - Duration::HOUR),
        case("leaf not yet valid", no(6, S::TimeInvalid, 0), Some(9), "", |s| s.leaf.not_before = NOW + Duration::HOUR),
        case("plant not yet valid", no(6, S::IssuerTimeInvalid, 1), Some(9), "", |s| s.plant.not_before = NOW + Duration::HOUR),
        case("root not yet valid", no(6, S::IssuerTimeInvalid, 2), Some(9), "", |s| s.root.not_before = NOW + Duration::HOUR),
        case("leaf's signature", no(3, S::CertificateInvalid, 0), Some(7), "", |s| s.leaf_forged = true),
        case("plant's signature", no(3, S::CertificateInvalid, 1), Some(7), "", |s| s.plant_forged = true),
        case("leaf without keyUsage", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| s.leaf.key_usages.clear()),
        case("leaf on a curve without extKeyUsage", Ok(()), Some(OK), "", |s| s.leaf.extended_key_usages.clear()),
        case("client's leaf for servers only", no(9, S::UseNotAllowed, 0), Some(26), "", |s| s.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        case("server's leaf for clients only", no(9, S::UseNotAllowed, 0), Some(26), "", |s| { s.role = PeerRole::Server; s.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]; }),
        case("server", Ok(()), Some(OK), "", |s| s.role = PeerRole::Server),
        case("plant is no authority", no(9, S::IssuerUseNotAllowed, 1), Some(79), "", |s| s.plant.is_ca = IsCa::ExplicitNoCa),
        case("plant without keyCertSign", no(9, S::IssuerUseNotAllowed, 1), Some(79), "", |s| s.plant.key_usages = vec![KeyUsagePurpose::CrlSign]),
        case("root's path length 0", no(9, S::IssuerUseNotAllowed, 2), Some(25), "", |s| s.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        case("root's path length 1", Ok(()), Some(OK), "", |s| s.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
        case("plant's path length 0", Ok(()), Some(OK), "", |s| s.plant.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        case("unknown extension", Ok(()), Some(OK), "", |s| s.leaf.custom_extensions.push(unknown(false))),
        case("unknown critical extension of the leaf", no(1, S::CertificateInvalid, 0), Some(34), "", |s| s.leaf.custom_extensions.push(unknown(true))),
        case("unknown critical extension of the plant", no(1, S::CertificateInvalid, 1), Some(34), "", |s| s.plant.custom_extensions.push(unknown(true))),
        case("no list of the plant", no(10, S::RevocationUnknown, 0), Some(3), "", |s| s.plant_list = None),
        case("no list of the root", no(10, S::IssuerRevocationUnknown, 1), Some(3), "", |s| s.root_list = None),
        case("plant's list expired", no(10, S::RevocationUnknown, 0), Some(12), "", |s| s.plant_list = Some(|l, _| l.next_update = Some(NOW - Duration::HOUR))),
        case("plant's list not yet valid", no(10, S::RevocationUnknown, 0), Some(11), "", |s| s.plant_list = Some(|l, _| l.this_update = NOW + Duration::HOUR)),
        case("plant's list without an end", no(10, S::RevocationUnknown, 0), Some(OK), "RFC 5280 §5.1.2.5 requires nextUpdate; OpenSSL takes a list without it as current for ever", |s| s.plant_list = Some(|l, _| l.next_update = None)),
        case("unknown critical extension of the list", no(10, S::RevocationUnknown, 0), Some(36), "", |s| s.plant_list = Some(|l, _| l.extensions.push(extension(99, true, &[5, 0])))),
        case("leaf revoked", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.revoke(c))),
        case("plant revoked", no(11, S::IssuerRevoked, 1), Some(23), "", |s| s.root_list = Some(|l, c| l.revoke(c))),
        case("leaf on hold", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.entries.push(entry(&serial_der(c), &[reason(6)])))),
        case("host matches", Ok(()), Some(OK), "", |s| { s.role = PeerRole::Server; s.host = Some("GW01.plant.example"); }),
        case("host differs", no(7, S::HostNameInvalid, 0), Some(62), "", |s| { s.role = PeerRole::Server; s.host = Some("gw02.plant.example"); }),
        case("address matches", Ok(()), Some(OK), "", |s| { s.role = PeerRole::Server; s.host = Some("192.0.2.7"); }),
        case("address differs", no(7, S::HostNameInvalid, 0), Some(64), "", |s| { s.role = PeerRole::Server; s.host = Some("192.0.2.8"); }),
        case("URI matches", Ok(()), None, "", |s| s.uri = Some("urn:test:leaf")),
        case("URI differs", no(8, S::UriInvalid, 0), None, "", |s| s.uri = Some("urn:test:other")),
        case("expired and overlooked", Ok(()), None, "", |s| { s.leaf.not_after = NOW - Duration::HOUR; s.suppressed = Suppressions::NONE.with(Suppression::Time); }),
        case("plant expired, the leaf's time overlooked", no(6, S::IssuerTimeInvalid, 1), None, "", |s| { s.plant.not_after = NOW - Duration::HOUR; s.suppressed = Suppressions::NONE.with(Suppression::Time); }),
        case("no list and unknown allowed", Ok(()), None, "", |s| { s.plant_list = None; s.unknown = UnknownRevocation::Allow; }),
        case("revoked and unknown allowed", no(11, S::Revoked, 0), None, "", |s| { s.plant_list = Some(|l, c| l.revoke(c)); s.unknown = UnknownRevocation::Allow; }),
        case("plant without keyUsage", Ok(()), Some(92), "OPC 10000-6 contradicts itself on whether an authority needs a keyUsage; RFC 5280 and OpenSSL's strict mode ask for it", |s| s.plant.key_usages.clear()),
        case("leaf revoked as superseded", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.entries.push(entry(&serial_der(c), &[reason(4)])))),
        case("leaf revoked for its key", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.entries.push(entry(&serial_der(c), &[reason(1)])))),
        case("root's list expired", no(10, S::IssuerRevocationUnknown, 1), Some(12), "", |s| s.root_list = Some(|l, _| l.next_update = Some(NOW - Duration::HOUR))),
        case("root's list not yet valid", no(10, S::IssuerRevocationUnknown, 1), Some(11), "", |s| s.root_list = Some(|l, _| l.this_update = NOW + Duration::HOUR)),
        case("root is no authority", no(9, S::IssuerUseNotAllowed, 2), Some(79), "", |s| s.root.is_ca = IsCa::ExplicitNoCa),
        case("no list and the leaf's overlooked", Ok(()), None, "", |s| { s.plant_list = None; s.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown); }),
        case("no list of the root and the leaf's overlooked", no(10, S::IssuerRevocationUnknown, 1), None, "", |s| { s.root_list = None; s.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown); }),
        case("revoked and unknown lists overlooked", no(11, S::Revoked, 0), None, "", |s| { s.plant_list = Some(|l, c| l.revoke(c)); s.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown); }),
        // Self-signed leaves.
        case("alone and trusted", Ok(()), Some(OK), "", |s| { alone(s); }),
        case("alone and not trusted", no(5, S::Untrusted, 0), Some(18), "", |s| { alone(s); s.trusted = &[]; }),
        case("alone, another trusted", no(5, S::Untrusted, 0), Some(18), "", |s| { alone(s); s.trusted = &[Root]; }),
        case("alone and in the issuer list only", no(5, S::Untrusted, 0), Some(18), "", |s| { alone(s); s.trusted = &[]; s.issuers = &[Leaf]; }),
        case("alone and expired", no(6, S::TimeInvalid, 0), Some(10), "", |s| { alone(s); s.leaf.not_after = NOW - Duration::HOUR; }),
        case("alone and not yet valid", no(6, S::TimeInvalid, 0), Some(9), "", |s| { alone(s); s.leaf.not_before = NOW + Duration::HOUR; }),
        case("alone, with a forged signature", no(3, S::CertificateInvalid, 0), Some(7), "", |s| { alone(s); s.leaf_forged = true; }),
        case("alone without keyCertSign", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| { alone(s); s.leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature]; }),
        case("alone without keyCertSign, overlooked", Ok(()), None, "", |s| { alone(s); s.leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature]; s.suppressed = Suppressions::NONE.with(Suppression::Usage); }),
        case("alone with cA TRUE and path length 0", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| { alone(s); s.leaf.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)); }),
        case("alone with cA TRUE and path length 0, accepted by choice", Ok(()), None, "", |s| { alone(s); s.leaf.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)); s.self_signed_authority = SelfSignedAuthority::AcceptPathLenZero; }),
        case("alone with cA TRUE and no path length, accepted by choice", no(9, S::UseNotAllowed, 0), None, "", |s| { alone(s); s.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained); s.self_signed_authority = SelfSignedAuthority::AcceptPathLenZero; }),
        case("alone in the role of a user", Ok(()), None, "", |s| { alone(s); s.role = PeerRole::User; }),
        // Chains and where their parts are.
        case("root sent and not trusted", no(5, S::Untrusted, 0), Some(19), "", |s| { s.trusted = &[]; s.sent = &[Plant, Root]; }),
        case("plant in the issuer list grants no trust", no(5, S::Untrusted, 0), Some(19), "", |s| { s.trusted = &[]; s.issuers = &[Plant, Root]; }),
        case("plant trusted, root an issuer", Ok(()), Some(2), LISTS, |s| { s.trusted = &[Plant]; s.issuers = &[Root]; }),
        case("plant trusted, root unknown", no(2, S::ChainIncomplete, 1), Some(2), "", |s| { s.trusted = &[Plant]; s.issuers = &[]; }),
        case("leaf trusted, its issuers known", Ok(()), Some(19), LISTS, |s| { s.trusted = &[Leaf]; s.issuers = &[Plant, Root]; }),
        case("leaf trusted, its issuers unknown", no(2, S::ChainIncomplete, 0), Some(20), "", |s| { s.trusted = &[Leaf]; s.issuers = &[]; }),
        case("leaf trusted, the root unknown", no(2, S::ChainIncomplete, 1), Some(20), "", |s| { s.trusted = &[Leaf]; s.issuers = &[Plant]; }),
        case("all trusted", Ok(()), Some(OK), "", |s| s.trusted = &[Leaf, Plant, Root]),
        case("chain sent in another order", Ok(()), Some(OK), "", |s| { s.issuers = &[]; s.sent = &[Root, Plant]; }),
        case("certificates sent twice", Ok(()), Some(OK), "", |s| { s.issuers = &[]; s.sent = &[Plant, Plant, Leaf, Plant]; }),
        case("strangers sent along", Ok(()), Some(OK), "", |s| s.sent = &[OtherRoot, Twin, Plant]),
        case("only strangers sent", no(2, S::ChainIncomplete, 0), Some(20), "", |s| { s.issuers = &[]; s.sent = &[OtherRoot, Root]; }),
        case("twin of the plant in the list only", no(3, S::CertificateInvalid, 0), Some(85), "", |s| { s.issuers = &[Twin]; s.leaf_bare = true; }),
        case("twin of the plant in the list only, told apart by its key", no(2, S::ChainIncomplete, 0), Some(20), "", |s| s.issuers = &[Twin]),
        case("twin of the plant before it", Ok(()), Some(OK), "", |s| s.issuers = &[Twin, Plant]),
        case("twin of the plant before it, told apart by signatures only", Ok(()), Some(85), NO_AKI, |s| { s.issuers = &[Twin, Plant]; s.leaf_bare = true; s.more_lists = &[Extra::OfTwin]; }),
        case("issued by the twin, whose list is there", Ok(()), Some(8), "OpenSSL chooses a list by its issuer's name, here that of the other key, and does not look for another", |s| { s.by_twin = true; s.issuers = &[Plant, Twin]; s.more_lists = &[Extra::OfTwin]; }),
        case("issued by the twin, whose list is not there", no(10, S::RevocationUnknown, 0), Some(3), "", |s| { s.by_twin = true; s.issuers = &[Twin]; s.plant_list = None; }),
        case("issued by the twin, the list of the plant is there", no(10, S::RevocationUnknown, 0), Some(8), "", |s| { s.by_twin = true; s.issuers = &[Twin]; }),
        case("cross-signed by another root that is trusted", Ok(()), Some(OK), "", |s| { s.trusted = &[OtherRoot]; s.issuers = &[Cross]; s.more_lists = &[Extra::OfOtherRoot]; }),
        case("cross-signed both ways, one root trusted", Ok(()), Some(19), "OpenSSL builds one chain and, when it ends at another root, does not come back", |s| { s.trusted = &[OtherRoot]; s.issuers = &[Plant, Cross, Root]; s.more_lists = &[Extra::OfOtherRoot]; }),
        case("cross-signed, and nobody's root trusted", no(5, S::Untrusted, 0), Some(19), "", |s| { s.trusted = &[]; s.issuers = &[Plant, Cross, Root, OtherRoot]; s.more_lists = &[Extra::OfOtherRoot]; }),
        case("a loop beside the root", Ok(()), Some(OK), "", |s| s.sent = &[Looped, Plant]),
        case("a loop and no root", no(2, S::ChainIncomplete, 2), Some(20), "", |s| { s.trusted = &[]; s.issuers = &[Plant, Looped]; }),
        case("root's signature forged", no(3, S::CertificateInvalid, 2), Some(7), "", |s| s.root_forged = true),
        // Keys and signatures.
        case("all on P-384", Ok(()), Some(OK), "", |s| s.keys = [Kind::P384; 3]),
        case("leaf on P-256 under P-384", Ok(()), Some(OK), "", |s| s.keys = [Kind::P384, Kind::P384, Kind::P256]),
        case("leaf on P-384 under P-256", no(4, S::PolicyCheckFailed, 0), Some(OK), KEYS_OF_POLICY, |s| s.keys = [Kind::P256, Kind::P256, Kind::P384]),
        case("plant on P-384 under P-256", no(4, S::PolicyCheckFailed, 1), Some(OK), KEYS_OF_POLICY, |s| s.keys = [Kind::P256, Kind::P384, Kind::P256]),
        case("leaf on P-521", no(4, S::PolicyCheckFailed, 0), Some(OK), KEYS_OF_POLICY, |s| s.keys = [Kind::P256, Kind::P256, Kind::P521]),
        case("leaf with Ed25519", no(4, S::PolicyCheckFailed, 0), Some(OK), KEYS_OF_POLICY, |s| s.keys = [Kind::P256, Kind::P256, Kind::Ed25519]),
        case("all of RSA 2048", Ok(()), Some(OK), "", |s| rsa(s, [Kind::Rsa2048; 3])),
        case("RSA 2048 under 3072 under 4096", Ok(()), Some(OK), "", |s| rsa(s, [Kind::Rsa4096, Kind::Rsa3072, Kind::Rsa2048])),
        case("RSA 3072 under 2048", no(4, S::PolicyCheckFailed, 0), Some(OK), KEYS_OF_POLICY, |s| rsa(s, [Kind::Rsa2048, Kind::Rsa2048, Kind::Rsa3072])),
        case("authority of RSA 3072 under 2048", no(4, S::PolicyCheckFailed, 1), Some(OK), KEYS_OF_POLICY, |s| rsa(s, [Kind::Rsa2048, Kind::Rsa3072, Kind::Rsa2048])),
        case("RSA where P-256 is asked for", no(4, S::PolicyCheckFailed, 0), None, "", |s| { rsa(s, [Kind::Rsa2048; 3]); s.certificate_type = Some(CertificateType::EccNistP256); }),
        case("P-256 where RSA is asked for", no(4, S::PolicyCheckFailed, 0), None, "", |s| s.certificate_type = Some(CertificateType::RsaSha256)),
        case("P-256 where P-256 is asked for", Ok(()), None, "", |s| s.certificate_type = Some(CertificateType::EccNistP256)),
        case("P-384 where P-256 is asked for", Ok(()), None, "", |s| { s.keys = [Kind::P384; 3]; s.certificate_type = Some(CertificateType::EccNistP256); }),
        case("P-256 where P-384 is asked for", no(4, S::PolicyCheckFailed, 0), None, "", |s| s.certificate_type = Some(CertificateType::EccNistP384)),
        case("RSA 4096 where the least is asked for", no(4, S::PolicyCheckFailed, 0), None, "", |s| { rsa(s, [Kind::Rsa4096; 3]); s.certificate_type = Some(CertificateType::RsaMin); }),
        case("RSA 2048 where the least is asked for", Ok(()), None, "", |s| { rsa(s, [Kind::Rsa2048; 3]); s.certificate_type = Some(CertificateType::RsaMin); }),
        case("P-256 where RSA is asked for, overlooked", Ok(()), None, "", |s| { s.certificate_type = Some(CertificateType::RsaSha256); s.suppressed = Suppressions::NONE.with(Suppression::PolicyCheck); }),
        case("inner and outer algorithm differ", no(1, S::CertificateInvalid, 0), Some(78), "", |s| s.leaf_fields = Some(|f| f[2] = der(0x30, &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3]))),
        // Usages.
        case("RSA leaf without digitalSignature", no(9, S::UseNotAllowed, 0), Some(26), "", |s| without(s, KeyUsagePurpose::DigitalSignature)),
        case("RSA leaf without nonRepudiation", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| without(s, KeyUsagePurpose::ContentCommitment)),
        case("RSA leaf without keyEncipherment", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| without(s, KeyUsagePurpose::KeyEncipherment)),
        case("RSA leaf without dataEncipherment", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| without(s, KeyUsagePurpose::DataEncipherment)),
        case("RSA leaf without extKeyUsage", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| { rsa(s, [Kind::Rsa2048; 3]); s.leaf.extended_key_usages.clear(); }),
        case("RSA leaf for code signing only", no(9, S::UseNotAllowed, 0), Some(26), "", |s| { rsa(s, [Kind::Rsa2048; 3]); s.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]; }),
        case("leaf on a curve that only agrees on keys", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| s.leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        case("leaf on a curve with more usages", Ok(()), Some(OK), "", |s| s.leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement, KeyUsagePurpose::ContentCommitment]),
        case("usage overlooked, but the extension is critical", no(9, S::UseNotAllowed, 0), None, "", |s| { s.leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement]; s.suppressed = Suppressions::NONE.with(Suppression::Usage); }),
        case("role overlooked, the extension is not critical", Ok(()), None, "", |s| { s.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]; s.suppressed = Suppressions::NONE.with(Suppression::Usage); }),
        case("any extended usage is no role", no(9, S::UseNotAllowed, 0), Some(26), "", |s| s.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        case("leaf is an authority", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| { s.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained); s.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign); }),
        case("leaf without basicConstraints", Ok(()), Some(OK), "", |s| s.leaf.is_ca = IsCa::NoCa),
        case("leaf may sign certificates without being an authority", Ok(()), Some(82), "OPC 10000-6 §6.2.2 demands keyCertSign of self-signed application certificates, so the bit without cA is everyday", |s| s.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign)),
        case("plant without cRLSign", no(10, S::RevocationUnknown, 0), Some(35), "", |s| s.plant.key_usages = vec![KeyUsagePurpose::KeyCertSign]),
        case("root without cRLSign", no(10, S::IssuerRevocationUnknown, 1), Some(35), "", |s| s.root.key_usages = vec![KeyUsagePurpose::KeyCertSign]),
        case("plant without basicConstraints", no(9, S::IssuerUseNotAllowed, 1), Some(79), "", |s| s.plant_fields = Some(|f| set_extension(f, 19, None))),
        case("a user's certificate has no URI, role and host", Ok(()), None, "", |s| { s.role = PeerRole::User; s.leaf.subject_alt_names.clear(); s.leaf.extended_key_usages.clear(); }),
        // Names.
        case("no alternative name", Ok(()), Some(OK), "", |s| s.leaf.subject_alt_names.clear()),
        case("no alternative name, a URI asked for", no(8, S::UriInvalid, 0), None, "", |s| { s.leaf.subject_alt_names.clear(); s.uri = Some("urn:test:leaf"); }),
        case("no URI among the names", Ok(()), Some(OK), "", |s| { s.leaf.subject_alt_names.remove(0); }),
        case("URI is the second name", Ok(()), Some(OK), "", |s| s.leaf.subject_alt_names.rotate_left(1)),
        case("URI is the second name and asked for", Ok(()), None, "", |s| { s.leaf.subject_alt_names.rotate_left(1); s.uri = Some("urn:test:leaf"); }),
        case("two URIs, the second asked for", Ok(()), None, "", |s| { s.leaf.subject_alt_names.insert(0, SanType::URI("urn:test:first".try_into().unwrap())); s.uri = Some("urn:test:leaf"); }),
        case("URI differs in case", no(8, S::UriInvalid, 0), None, "", |s| s.uri = Some("urn:test:Leaf")),
        case("URI overlooked is still refused", no(8, S::UriInvalid, 0), None, "", |s| { s.uri = Some("urn:test:other"); s.suppressed = everything(); }),
        case("host in another case", Ok(()), Some(OK), "", |s| { s.role = PeerRole::Server; s.host = Some("gw01.PLANT.example"); }),
        case("host with the root's dot", Ok(()), Some(62), "Trailing dots are cut here, as everywhere in the product; OpenSSL compares them", |s| { s.role = PeerRole::Server; s.host = Some("gw01.plant.example."); }),
        case("host under a wildcard", no(7, S::HostNameInvalid, 0), Some(OK), "OPC 10000-4 §6.1.3 knows no wildcards", |s| { s.role = PeerRole::Server; s.leaf.subject_alt_names[1] = SanType::DnsName("*.plant.example".try_into().unwrap()); s.host = Some("gw01.plant.example"); }),
        case("host in the Common Name only", no(7, S::HostNameInvalid, 0), Some(62), "", |s| { s.role = PeerRole::Server; s.leaf.distinguished_name.push(DnType::CommonName, "gw09.plant.example"); s.host = Some("gw09.plant.example"); }),
        case("host differs, overlooked", Ok(()), None, "", |s| { s.role = PeerRole::Server; s.host = Some("gw02.plant.example"); s.suppressed = Suppressions::NONE.with(Suppression::HostName); }),
        case("host of a client is not asked", Ok(()), None, "", |s| s.host = Some("gw02.plant.example")),
        case("IPv6 address matches", Ok(()), Some(OK), "", |s| { s.role = PeerRole::Server; s.leaf.subject_alt_names.push(SanType::IpAddress("2001:db8::7".parse().unwrap())); s.host = Some("2001:db8:0::7"); }),
        case("address as a name does not count", no(7, S::HostNameInvalid, 0), Some(64), "", |s| { s.role = PeerRole::Server; s.leaf.subject_alt_names[2] = SanType::DnsName("192.0.2.9".try_into().unwrap()); s.host = Some("192.0.2.9"); }),
        case("empty subject", no(1, S::CertificateInvalid, 0), Some(OK), PROFILE, |s| s.leaf_fields = Some(|f| { f[5] = vec![0x30, 0]; let san = [0x30, 0x0F, 0x86, 0x0D, b'u', b'r', b'n', b':', b't', b'e', b's', b't', b':', b'l', b'e', b'a', b'f']; set_extension(f, 17, Some(extension(17, true, &san))); })),
        case("issuer re-encoded as PrintableString", Ok(()), Some(OK), "", |s| s.leaf_fields = Some(|f| f[3] = name(0x13, "Plant"))),
        case("issuer in another case", no(2, S::ChainIncomplete, 0), Some(OK), "Names are compared byte for byte, but for PrintableString and UTF8String; OpenSSL folds case", |s| s.leaf_fields = Some(|f| f[3] = name(0x0C, "PLANT"))),
        case("issuer with the attributes in another order", no(2, S::ChainIncomplete, 0), Some(20), "", |s| s.leaf_fields = Some(|f| { let mut rdns = children(&f[3]); rdns.reverse(); f[3] = der(0x30, &rdns.concat()); })),
        // Identifiers, serial numbers and versions.
        case("leaf without authorityKeyIdentifier", Ok(()), Some(85), NO_AKI, |s| s.leaf_bare = true),
        case("key identifier of the authority differs", no(2, S::ChainIncomplete, 0), Some(20), "", |s| { s.issuers = &[Twin]; }),
        case("wrong key identifier, right signature", Ok(()), Some(20), "Key identifiers rank candidates and never veto a signature that verifies", |s| s.leaf_fields = Some(|f| set_extension(f, 35, Some(extension(35, false, &[0x30, 6, 0x80, 4, 1, 2, 3, 4]))))),
        case("leaf without subjectKeyIdentifier", Ok(()), Some(OK), "", |s| s.leaf_fields = Some(|f| set_extension(f, 14, None))),
        case("plant without subjectKeyIdentifier", Ok(()), Some(86), "RFC 5280 asks for it, OPC 10000-6 does not; lint says so", |s| s.plant_fields = Some(|f| set_extension(f, 14, None))),
        case("serial number zero", Ok(()), Some(OK), "", |s| { s.plant_list = Some(|_, _| {}); s.leaf.serial_number = Some(vec![0].into()); }),
        case("serial number negative", Ok(()), Some(OK), "", |s| s.leaf_fields = Some(|f| f[1] = vec![2, 1, 0x85])),
        case("serial number of 25 octets", Ok(()), Some(OK), "", |s| s.leaf_fields = Some(|f| f[1] = der(2, &[0x11; 25]))),
        case("negative serial number revoked", no(11, S::Revoked, 0), Some(23), "", |s| { s.leaf_fields = Some(|f| f[1] = vec![2, 1, 0x85]); s.plant_list = Some(|l, c| l.revoke(c)); }),
        case("the positive twin of a negative serial number revoked", Ok(()), Some(OK), "", |s| { s.leaf_fields = Some(|f| f[1] = vec![2, 1, 0x85]); s.plant_list = Some(|l, _| l.entries.push(entry(&[2, 1, 0x7B], &[]))); }),
        case("leaf of version 1", no(1, S::CertificateInvalid, 0), Some(OK), PROFILE, |s| s.leaf_fields = Some(|f| { f.remove(0); f.pop(); })),
        case("plant of version 1", no(1, S::CertificateInvalid, 1), Some(79), "", |s| s.plant_fields = Some(|f| { f.remove(0); f.pop(); })),
        case("name constraints of the plant", no(1, S::CertificateInvalid, 1), Some(47), "", |s| s.plant_fields = Some(|f| set_extension(f, 30, Some(extension(30, true, &[0x30, 0x0F, 0xA0, 0x0D, 0x30, 0x0B, 0x82, 9, b'o', b't', b'h', b'e', b'r', b'.', b'c', b'o', b'm']))))),
        case("name constraints of the plant, kept", no(1, S::CertificateInvalid, 1), Some(OK), "Name constraints are not applied here, so a certificate with them is refused", |s| s.plant_fields = Some(|f| set_extension(f, 30, Some(extension(30, true, &[0x30, 0x13, 0xA0, 0x11, 0x30, 0x0F, 0x82, 13, b'p', b'l', b'a', b'n', b't', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e']))))),
        case("critical certificate policies", Ok(()), Some(OK), "", |s| s.leaf_fields = Some(|f| set_extension(f, 32, Some(extension(32, true, &[0x30, 6, 0x30, 4, 6, 2, 0x2A, 3]))))),
        case("an extension twice", no(1, S::CertificateInvalid, 0), Some(20), "", |s| s.leaf_fields = Some(|f| { let twice = children(children(&f[7])[0]).into_iter().chain(children(children(&f[7])[0]).into_iter().take(1)).collect::<Vec<_>>().concat(); f[7] = der(0xA3, &der(0x30, &twice)); })),
        // Revocation lists.
        case("list of the plant with a forged signature", no(10, S::RevocationUnknown, 0), Some(8), "", |s| { s.plant_list = None; s.more_lists = &[Extra::PlantsForged]; }),
        case("list of the plant with a forged signature beside a good one", Ok(()), Some(OK), "", |s| s.more_lists = &[Extra::PlantsForged]),
        case("lists of others only", no(10, S::RevocationUnknown, 0), Some(3), "", |s| { s.plant_list = None; s.more_lists = &[Extra::OfOtherRoot]; }),
        case("delta list only", no(10, S::RevocationUnknown, 0), Some(23), "", |s| { s.plant_list = None; s.more_lists = &[Extra::PlantsDelta]; }),
        case("delta list that revokes beside a complete one", Ok(()), Some(OK), "", |s| s.more_lists = &[Extra::PlantsDelta]),
        case("older list that revokes beside a newer one", Ok(()), Some(OK), "", |s| s.more_lists = &[Extra::PlantsOlderThatRevokes]),
        case("newer list that revokes beside an older one", no(11, S::Revoked, 0), Some(23), "", |s| s.more_lists = &[Extra::PlantsNewerThatRevokes]),
        case("indirect list", no(10, S::RevocationUnknown, 0), Some(3), "", |s| s.plant_list = Some(|l, _| l.extensions.push(extension(28, true, &[0x30, 3, 0x84, 1, 0xFF])))),
        case("list for authorities only", no(10, S::RevocationUnknown, 0), Some(44), "", |s| s.plant_list = Some(|l, _| l.extensions.push(extension(28, true, &[0x30, 3, 0x82, 1, 0xFF])))),
        case("list of version 1", Ok(()), Some(OK), "", |s| s.plant_list = Some(|l, _| { l.version = None; l.extensions.clear(); })),
        case("list without number", Ok(()), Some(OK), "", |s| s.plant_list = Some(|l, _| l.extensions.clear())),
        case("leaf taken off the list again", Ok(()), Some(OK), "", |s| s.plant_list = Some(|l, c| l.entries.push(entry(&serial_der(c), &[reason(8)])))),
        case("another certificate revoked", Ok(()), Some(OK), "", |s| s.plant_list = Some(|l, _| l.entries.push(entry(&[2, 1, 99], &[])))),
        case("unknown critical extension of an entry", no(10, S::RevocationUnknown, 0), Some(36), "", |s| s.plant_list = Some(|l, _| l.entries.push(entry(&[2, 1, 99], &[extension(99, true, &[5, 0])])))),
        case("expired list that revokes", no(11, S::Revoked, 0), Some(12), "", |s| s.plant_list = Some(|l, c| { l.next_update = Some(NOW - Duration::HOUR); l.revoke(c); })),
        case("expired list that revokes, unknown allowed", no(11, S::Revoked, 0), None, "", |s| { s.unknown = UnknownRevocation::Allow; s.plant_list = Some(|l, c| { l.next_update = Some(NOW - Duration::HOUR); l.revoke(c); }); }),
        case("no list at all and unknown allowed", Ok(()), None, "", |s| { s.plant_list = None; s.root_list = None; s.unknown = UnknownRevocation::Allow; }),
        case("plant revoked and unknown allowed", no(11, S::IssuerRevoked, 1), None, "", |s| { s.root_list = Some(|l, c| l.revoke(c)); s.unknown = UnknownRevocation::Allow; }),
        // Each suppression on its defect and on another one.
        case("plant expired, overlooked", Ok(()), None, "", |s| { s.plant.not_after = NOW - Duration::HOUR; s.suppressed = Suppressions::NONE.with(Suppression::IssuerTime); }),
        case("leaf expired, the issuer's time overlooked", no(6, S::TimeInvalid, 0), None, "", |s| { s.leaf.not_after = NOW - Duration::HOUR; s.suppressed = Suppressions::NONE.with(Suppression::IssuerTime); }),
        case("no list of the root, overlooked", Ok(()), None, "", |s| { s.root_list = None; s.suppressed = Suppressions::NONE.with(Suppression::IssuerRevocationUnknown); }),
        case("no list of the plant, the issuer's overlooked", no(10, S::RevocationUnknown, 0), None, "", |s| { s.plant_list = None; s.suppressed = Suppressions::NONE.with(Suppression::IssuerRevocationUnknown); }),
        case("leaf on P-384 under P-256, overlooked", Ok(()), None, "", |s| { s.keys = [Kind::P256, Kind::P256, Kind::P384]; s.suppressed = Suppressions::NONE.with(Suppression::PolicyCheck); }),
        case("not trusted, all overlooked", no(5, S::Untrusted, 0), None, "", |s| { s.trusted = &[]; s.issuers = &[Plant, Root]; s.suppressed = everything(); }),
        case("revoked, all overlooked", no(11, S::Revoked, 0), None, "", |s| { s.plant_list = Some(|l, c| l.revoke(c)); s.suppressed = everything(); }),
        case("forged, all overlooked", no(3, S::CertificateInvalid, 0), None, "", |s| { s.leaf_forged = true; s.suppressed = everything(); }),
        case("incomplete, all overlooked", no(2, S::ChainIncomplete, 0), None, "", |s| { s.issuers = &[]; s.suppressed = everything(); }),
        case("plant is no authority, all overlooked", no(9, S::IssuerUseNotAllowed, 1), None, "", |s| { s.plant.is_ca = IsCa::ExplicitNoCa; s.suppressed = everything(); }),
    ]
}

/// The leaf signs itself and is trusted.
fn alone(scene: &mut Scene) {
    scene.alone = true;
    scene.trusted = &[Leaf];
    scene.issuers = &[];
    scene.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign);
    scene.plant_list = None;
    scene.root_list = None;
}

/// RSA keys, and a leaf with the usages of RSA.
fn rsa(scene: &mut Scene, keys: [Kind; 3]) {
    scene.keys = keys;
    scene.leaf.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::ContentCommitment,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::DataEncipherment,
    ];
}

fn without(scene: &mut Scene, usage: KeyUsagePurpose) {
    rsa(scene, [Kind::Rsa2048; 3]);
    scene.leaf.key_usages.retain(|other| *other != usage);
}

fn everything() -> Suppressions {
    Suppression::ALL.into_iter().collect()
}

/// OPC 10000-4 §6.1.3 trusts what its lists say; OpenSSL trusts roots.
const LISTS: &str = "The trusted list holds what is trusted, be it no root (OPC 10000-4 §6.1.3); OpenSSL wants a trusted root";
const NO_AKI: &str =
    "OPC 10000-6 asks for authorityKeyIdentifier, and lint says so; the chain is proven by its signatures";
const KEYS_OF_POLICY: &str =
    "OPC 10000-6 §6.1 bounds keys by policy and by the issuer's key; RFC 5280 does not";

fn unknown(critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(critical);
    extension
}
const PROFILE: &str = "OPC UA asks more of an application certificate than RFC 5280 does";
