use std::fmt;

use der::asn1::ObjectIdentifier;

/// An object identifier (X.660), displayed dotted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(ObjectIdentifier);

impl Oid {
    pub(crate) const fn new(oid: ObjectIdentifier) -> Self {
        Self(oid)
    }
}

impl PartialEq<str> for Oid {
    fn eq(&self, dotted: &str) -> bool {
        ObjectIdentifier::new(dotted).is_ok_and(|oid| oid == self.0)
    }
}

impl PartialEq<&str> for Oid {
    fn eq(&self, dotted: &&str) -> bool {
        *self == **dotted
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
