//! Entry points for the fuzz targets in `fuzz/`: each takes any bytes and panics only when a promise is broken. Not
//! part of the API.

pub use crate::backup::fuzz as backup;
