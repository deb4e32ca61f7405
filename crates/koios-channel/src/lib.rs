//! koios-channel
