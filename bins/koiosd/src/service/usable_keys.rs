//! Which keys can connect: what no security policy of the channel takes is made, kept and shown, but not assigned.

use koios_pki::{KeyAlgorithm, SecurityPolicy};
use koios_store::CertificateRecord;

use super::error::ServiceError;

/// Whether any security policy takes such a key.
fn can_connect(key: &KeyAlgorithm) -> bool {
    let types = SecurityPolicy::SECURE.into_iter().filter_map(SecurityPolicy::certificate_type);
    types.into_iter().any(|certificate_type| certificate_type.allows_key(key))
}

/// Refuses to give a key to devices that cannot connect with it; `field` is what asks for that.
pub(crate) fn expect_can_connect(field: &'static str, key: &KeyAlgorithm) -> Result<(), ServiceError> {
    if can_connect(key) { Ok(()) } else { Err(ServiceError::KeyCannotConnect { field, key: key.clone() }) }
}

/// Refuses a new key, of a kind that cannot connect, in the place of one that devices use.
pub(crate) fn expect_successor_can_connect(
    field: &'static str,
    record: &CertificateRecord,
    key: &KeyAlgorithm,
) -> Result<(), ServiceError> {
    let in_use = record.is_default || record.device_count > 0;
    if in_use && can_connect(record.chain.leaf().key_algorithm()) {
        expect_can_connect(field, key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use koios_pki::{Curve, KeySpec};

    use super::*;

    #[test]
    fn keys_that_some_policy_takes_can_connect_and_others_cannot() {
        assert!(can_connect(&KeySpec::Rsa2048.algorithm()));
        assert!(can_connect(&KeySpec::Rsa4096.algorithm()));
        assert!(!can_connect(&KeyAlgorithm::Rsa { bits: 1024 }));
        assert!(!can_connect(&KeyAlgorithm::Other { oid: "1.3.101.112".to_owned() }));
        let curves = SecurityPolicy::SECURE.iter().any(|policy| policy.name().starts_with("ECC_"));
        assert_eq!(can_connect(&KeyAlgorithm::Ec { curve: Curve::P256 }), curves);
    }
}
