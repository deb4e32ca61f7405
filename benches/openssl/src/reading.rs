//! Reading a certificate and asking it what a detail page shows.

use std::hint::black_box;

use foreign_types_shared::ForeignTypeRef;
use koios_pki::{Certificate, CertificateChain};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef};

use crate::material::Material;
use crate::measure::Comparison;

pub fn run(material: &Material, blocks: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for (name, der) in [
        ("RSA 2048, self-signed", material.self_signed.der()),
        ("RSA 2048, issued", material.rsa.leaf().der()),
        ("P-256, issued", material.ec.leaf().der()),
    ] {
        let parse = Comparison::of(
            blocks,
            || drop(black_box(Certificate::from_der(der))),
            || drop(black_box(X509::from_der(der))),
        );
        rows.push(parse.row(&format!("parse ({name})")));
        let inspect = Comparison::of(blocks, || ask_koios(der), || ask_openssl(der));
        rows.push(inspect.row(&format!("parse + inspect ({name})")));
    }
    let (ours, theirs) =
        (&material.self_signed, X509::from_der(material.self_signed.der()).expect("a certificate"));
    let thumbprints = Comparison::of(
        blocks,
        || _ = black_box((ours.thumbprint_sha1(), ours.thumbprint_sha256())),
        || {
            drop(black_box(theirs.digest(MessageDigest::sha1())));
            drop(black_box(theirs.digest(MessageDigest::sha256())));
        },
    );
    rows.push(thumbprints.row("both thumbprints"));
    let blob = material.rsa.to_der_blob();
    let chain = Comparison::of(
        blocks,
        || drop(black_box(CertificateChain::from_der_blob(&blob, 16))),
        || {
            for certificate in material.rsa.iter() {
                drop(black_box(X509::from_der(certificate.der())));
            }
        },
    );
    rows.push(chain.row("parse a chain of three"));
    rows
}

/// Everything `Inspection` holds but the thumbprints, which have a row of their own, and the names as text. It reads on
/// demand, so each of its answers is asked for.
fn ask_koios(der: &[u8]) {
    let certificate = Certificate::from_der(der).expect("a certificate");
    black_box((certificate.subject(), certificate.issuer()));
    let inspection = certificate.inspect();
    black_box((inspection.version(), inspection.serial_number(), inspection.signature_algorithm()));
    black_box((inspection.subject().attributes(), inspection.issuer().attributes()));
    black_box((inspection.validity(), inspection.time_encodings()));
    black_box((inspection.validity().not_before.to_string(), inspection.validity().not_after.to_string()));
    black_box((inspection.key(), certificate.public_key().expect("a key")));
    black_box(inspection.extensions());
}

/// The same facts as far as OpenSSL has functions for them.
fn ask_openssl(der: &[u8]) {
    let certificate = X509::from_der(der).expect("a certificate");
    black_box(certificate.version());
    black_box(certificate.serial_number().to_bn().expect("a number").to_vec());
    black_box(certificate.signature_algorithm().object().nid());
    ask_name(certificate.subject_name());
    ask_name(certificate.issuer_name());
    black_box((certificate.not_before().to_string(), certificate.not_after().to_string()));
    let key = certificate.public_key().expect("a key");
    black_box((key.id(), key.bits(), key.public_key_to_der().expect("a key")));
    for name in certificate.subject_alt_names().into_iter().flatten() {
        black_box((
            name.uri().map(str::to_owned),
            name.dnsname().map(str::to_owned),
            name.ipaddress().map(<[u8]>::to_vec),
        ));
    }
    black_box(certificate.subject_key_id().map(|id| id.as_slice().to_vec()));
    black_box(certificate.authority_key_id().map(|id| id.as_slice().to_vec()));
    black_box(certificate.authority_serial().is_some());
    // SAFETY: the pointer is that of a live certificate; the functions only read it.
    unsafe {
        let pointer = certificate.as_ptr();
        black_box((
            openssl_sys::X509_get_extension_flags(pointer),
            openssl_sys::X509_get_key_usage(pointer),
            openssl_sys::X509_get_extended_key_usage(pointer),
        ));
    }
}

fn ask_name(name: &X509NameRef) {
    for entry in name.entries() {
        let text = entry.data().to_string().expect("text");
        black_box((entry.object().nid() == Nid::COMMONNAME, text.len()));
    }
}
