//! A key and a self-signed certificate, up to the PEM of both.

use std::hint::black_box;

use koios_pki::{
    ApplicationUri, HostName, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity, common_name_for,
    self_signed,
};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509NameBuilder};
use time::macros::datetime;

use crate::measure::Comparison;

pub fn run(rsa_runs: usize, blocks: usize) -> Vec<String> {
    let cases: [(_, _, MakeKey, _); 5] = [
        ("RSA 2048", KeySpec::Rsa2048, || rsa(2048), rsa_runs),
        ("RSA 3072", KeySpec::Rsa3072, || rsa(3072), rsa_runs),
        ("RSA 4096", KeySpec::Rsa4096, || rsa(4096), rsa_runs),
        ("P-256", KeySpec::EcP256, || ec(Nid::X9_62_PRIME256V1), blocks),
        ("P-384", KeySpec::EcP384, || ec(Nid::SECP384R1), blocks),
    ];
    cases
        .into_iter()
        .map(|(name, spec, peer, blocks)| {
            Comparison::of(blocks, || ours(spec), || theirs(peer(), spec == KeySpec::EcP384))
                .row(&format!("key and certificate, {name}"))
        })
        .collect()
}

type MakeKey = fn() -> PKey<Private>;

fn ours(spec: KeySpec) {
    let host = HostName::parse("gw01.plant.example").expect("a host name");
    let mut params = SelfSignedParams::new(
        common_name_for(&host).expect("a short host name"),
        "Koios",
        ApplicationUri::for_certificate(&host, "plant-a-certificate"),
        Validity::starting_at(datetime!(2026-11-23 10:00 UTC), 1095),
        SerialNumber::from_random_bytes([0x5A; 16]),
    );
    params.dns_names = vec![host.to_string()];
    let key = PrivateKey::generate(spec).expect("randomness");
    let certificate = self_signed(&params, &key).expect("sound parameters");
    black_box((certificate.to_pem(), key.to_pem().secret_bytes().len()));
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).expect("randomness")).expect("a key")
}

fn ec(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("randomness")).expect("a key")
}

fn theirs(key: PKey<Private>, sha384: bool) {
    let certificate = build(&key, sha384).expect("a certificate");
    black_box((certificate.to_pem().expect("PEM"), key.private_key_to_pem_pkcs8().expect("PEM").len()));
}

fn build(key: &PKey<Private>, sha384: bool) -> Result<X509, openssl::error::ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "Koios@gw01.plant.example")?;
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "Koios")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    let serial = BigNum::from_slice(&[0x5A; 16])?.to_asn1_integer()?;
    certificate.set_serial_number(&serial)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    let (not_before, not_after) = (Asn1Time::from_unix(1_795_000_000)?, Asn1Time::from_unix(1_890_000_000)?);
    certificate.set_not_before(&not_before)?;
    certificate.set_not_after(&not_after)?;
    certificate.set_pubkey(key)?;
    certificate.append_extension(BasicConstraints::new().critical().build()?)?;
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature().non_repudiation().key_cert_sign();
    certificate.append_extension(usage.key_encipherment().data_encipherment().build()?)?;
    certificate.append_extension(ExtendedKeyUsage::new().client_auth().server_auth().build()?)?;
    let context = certificate.x509v3_context(None, None);
    let alternative = SubjectAlternativeName::new()
        .uri("urn:koios:gw01.plant.example:plant-a-certificate")
        .dns("gw01.plant.example")
        .build(&context)?;
    let identifier = SubjectKeyIdentifier::new().build(&context)?;
    certificate.append_extension(alternative)?;
    certificate.append_extension(identifier)?;
    certificate.sign(key, if sha384 { MessageDigest::sha384() } else { MessageDigest::sha256() })?;
    Ok(certificate.build())
}
