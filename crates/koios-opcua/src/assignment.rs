//! Which certificate a device really uses, and why: a pure function of values.

use koios_pki::SecurityMode;

/// The certificate that a device presents, and where that choice comes from.
///
/// `Id` is whatever the caller names its certificates by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the rule has these four outcomes; a fifth must break every caller"
)]
pub enum EffectiveCertificate<Id> {
    /// The mode is `None`: no certificate is presented, whatever is assigned.
    NotNeeded,
    /// The device names this certificate.
    Own(Id),
    /// The device names none, so it uses the default.
    Default(Id),
    /// A secure mode, no certificate of its own, and no default: the store is empty.
    Missing,
}

impl<Id> EffectiveCertificate<Id> {
    /// The certificate to present, if any.
    pub fn id(self) -> Option<Id> {
        match self {
            Self::Own(id) | Self::Default(id) => Some(id),
            Self::NotNeeded | Self::Missing => None,
        }
    }

    /// Whether the certificate is used because it is the default, not because the device names it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        matches!(self, Self::Default(_))
    }
}

/// The effective certificate of a device: its own, else the default, else none; with mode `None` none at all.
///
/// ```
/// use koios_opcua::{EffectiveCertificate, SecurityMode, effective_certificate};
///
/// assert_eq!(effective_certificate(SecurityMode::Sign, None, Some(7)), EffectiveCertificate::Default(7));
/// assert_eq!(effective_certificate(SecurityMode::None, Some(3), Some(7)), EffectiveCertificate::NotNeeded);
/// ```
pub fn effective_certificate<Id>(
    mode: SecurityMode,
    assigned: Option<Id>,
    default: Option<Id>,
) -> EffectiveCertificate<Id> {
    if mode == SecurityMode::None {
        return EffectiveCertificate::NotNeeded;
    }
    match (assigned, default) {
        (Some(own), _) => EffectiveCertificate::Own(own),
        (None, Some(default)) => EffectiveCertificate::Default(default),
        (None, None) => EffectiveCertificate::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECURE: [SecurityMode; 2] = [SecurityMode::Sign, SecurityMode::SignAndEncrypt];

    #[test]
    fn r1_mode_none_needs_no_certificate_whatever_is_assigned() {
        for assigned in [None, Some(1)] {
            for default in [None, Some(2)] {
                let effective = effective_certificate(SecurityMode::None, assigned, default);
                assert_eq!(effective, EffectiveCertificate::NotNeeded);
                assert_eq!(effective.id(), None);
            }
        }
    }

    #[test]
    fn r4_a_device_without_its_own_certificate_uses_the_default() {
        for mode in SECURE {
            assert_eq!(effective_certificate(mode, None, Some(2)), EffectiveCertificate::Default(2));
            assert!(effective_certificate(mode, None, Some(2)).is_default());
        }
    }

    #[test]
    fn r11_a_certificate_of_its_own_comes_before_the_default() {
        for mode in SECURE {
            for default in [None, Some(2)] {
                assert_eq!(effective_certificate(mode, Some(1), default), EffectiveCertificate::Own(1));
            }
            // The default assigned by name stays the device's own when the default moves.
            assert!(!effective_certificate(mode, Some(2), Some(2)).is_default());
        }
    }

    #[test]
    fn a_secure_mode_and_an_empty_store_leave_nothing_to_present() {
        for mode in SECURE {
            assert_eq!(effective_certificate::<u8>(mode, None, None), EffectiveCertificate::Missing);
        }
    }
}
