//! koios-testkit
