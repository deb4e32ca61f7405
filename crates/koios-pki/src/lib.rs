//! koios-pki
