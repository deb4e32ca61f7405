//! Many connects of one client.

use crate::Result;
use crate::client::{Client, Task};
use crate::scene::Own;
use crate::spent::Spent;

/// What a client is to do: once fetch the endpoints, then connect many times.
#[derive(Clone, Copy)]
pub(crate) struct Visits<'a> {
    pub(crate) url: &'a str,
    pub(crate) own: &'a Own,
    /// Connects that are not told of.
    pub(crate) warmup: usize,
    pub(crate) iterations: usize,
}

impl Visits<'_> {
    /// What each iteration took; `None` when the client is not installed.
    pub(crate) fn of(self, client: Client) -> Result<Option<Vec<Spent>>> {
        let counts = [("warmup", self.warmup), ("iterations", self.iterations)];
        let result = client
            .run(&Task { url: self.url, own: self.own, counts })
            .map_err(|error| format!("{}: {error}", client.name()))?;
        let Some(result) = result else { return Ok(None) };
        let iterations = result["iterations"].as_array().ok_or("no iterations")?;
        Ok(Some(iterations.iter().filter_map(Spent::from_json).collect()))
    }
}
