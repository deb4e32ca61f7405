//! koios-store
