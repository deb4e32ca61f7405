//! Every change that the API knows, made by clients that remember what they were answered.

pub(crate) mod client;
pub(crate) mod random;
pub(crate) mod world;
