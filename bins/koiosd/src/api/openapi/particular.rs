//! What single operations can fail with, beyond what follows from their shape.
//!
//! The tests' client compares each answer of the daemon with it.

use crate::api::error::Code;

/// The codes that are particular to an operation.
pub(super) fn codes(operation: &str) -> &'static [Code] {
    use Code as C;
    match operation {
        "certificates_generate" => {
            &[C::NameTaken, C::HostnameInvalid, C::UnknownDevice, C::UnsupportedKey, C::OperationInProgress]
        }
        "certificates_upload" => PAIR_WITH_NAME,
        "certificates_patch" | "devices_import" => &[C::NameTaken, C::UnknownCertificate],
        "certificates_set_default" => &[C::CertificateNotUsable, C::UnknownCertificate],
        "certificates_delete" => &[C::DefaultCertificateRequired],
        "certificates_assign" => &[C::UnknownDevice],
        "certificates_regenerate" => &[C::HostnameInvalid, C::UnsupportedKey],
        "certificates_replace" => PAIR,
        "certificates_create_csr" => {
            &[C::CertificateNotUsable, C::OperationInProgress, C::UnsupportedKey, C::FilesMissing]
        }
        "certificates_show_csr" | "certificates_drop_csr" => &[C::NoPendingRequest],
        "certificates_install" => &[
            C::NoPendingRequest,
            C::CertificateUnreadable,
            C::KeyMismatch,
            C::ApplicationUriChanged,
            C::CertificateExists,
        ],
        "certificates_certificate_der"
        | "certificates_certificate_pem"
        | "certificates_chain_pem"
        | "certificates_private_key_pem"
        | "certificates_encrypted_private_key_pem"
        | "certificates_bundle" => &[C::FilesMissing],
        "devices_create" => &[C::NameTaken, C::UnknownCertificate],
        "devices_patch" => &[C::NameTaken, C::UnknownCertificate, C::PasswordRequired],
        // They take no body, and no other than `{}`.
        "devices_enable" | "devices_disable" => &[C::MalformedRequest, C::PayloadTooLarge],
        "devices_approve" => &[C::ThumbprintMismatch],
        "devices_test_device" | "devices_test_unsaved" => {
            &[C::UnknownCertificate, C::PasswordRequired, C::TargetNotAllowed]
        }
        "discovery_endpoints" => &[C::TargetNotAllowed],
        // It is never looked at beyond being none.
        "events_ticket" => &[C::MalformedRequest, C::PayloadTooLarge],
        "tokens_revoke" => &[C::LastAdminToken],
        "trust_add" => &[C::CertificateUnreadable, C::CertificateExists],
        "trust_add_revocation_list" => &[C::CrlUnreadable, C::CrlExists],
        _ => &[],
    }
}

const PAIR: &[Code] = &[
    Code::CertificateExists,
    Code::CertificateUnreadable,
    Code::PrivateKeyUnreadable,
    Code::PassphraseRequired,
    Code::PassphraseWrong,
    Code::UnsupportedKey,
    Code::KeyMismatch,
    Code::ApplicationUriChanged,
];

const PAIR_WITH_NAME: &[Code] = &[
    Code::NameTaken,
    Code::CertificateExists,
    Code::CertificateUnreadable,
    Code::PrivateKeyUnreadable,
    Code::PassphraseRequired,
    Code::PassphraseWrong,
    Code::UnsupportedKey,
    Code::KeyMismatch,
];
