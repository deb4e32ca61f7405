use std::time::Duration;

/// What one conversation may cost, whatever the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest chunk, in bytes, in both directions.
    ///
    /// One number, because servers in the field echo HELLO's two sizes unswapped: with two different ones they would
    /// send chunks we refuse.
    pub buffer_size: u32,
    /// Longest message, in bytes, after its chunks are joined.
    pub max_message: u32,
    /// Most chunks of one message.
    pub max_chunks: u32,
    /// Most certificates in a chain a server sends.
    pub max_chain: usize,
    /// The life we ask for a channel's token; the server may shorten it.
    pub token_lifetime: Duration,
}

impl Default for Limits {
    /// 64 KiB chunks, which all stacks take; 4 MiB messages in at most 512 chunks; chains of 10; tokens of an hour.
    fn default() -> Self {
        Self {
            buffer_size: 65_536,
            max_message: 4 << 20,
            max_chunks: 512,
            max_chain: 10,
            token_lifetime: Duration::from_secs(3600),
        }
    }
}
