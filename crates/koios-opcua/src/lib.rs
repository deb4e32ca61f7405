//! koios-opcua
