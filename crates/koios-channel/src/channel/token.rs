use crate::error::Fault;
use crate::symmetric::{ReceivingKeys, SendingKeys};
use crate::wire::limit;

/// A security token of the channel and the keys it stands for; none on a channel without security.
pub(super) struct Token {
    id: u32,
    keys: Option<(SendingKeys, ReceivingKeys)>,
    /// How many chunks went out under it.
    sent: usize,
}

impl Token {
    pub(super) const fn new(id: u32, keys: Option<(SendingKeys, ReceivingKeys)>) -> Self {
        Self { id, keys, sent: 0 }
    }

    /// # Errors
    /// When sequence numbers would come again under the same keys: nothing but they keeps two chunks from being encrypted
    /// alike.
    pub(super) fn count_sent(&mut self, chunks: usize) -> Result<(), Fault> {
        let sent = self.sent.saturating_add(chunks);
        if self.keys.is_some() && sent > MAX_SENT {
            return Err(limit("chunks under one token", sent, MAX_SENT));
        }
        self.sent = sent;
        Ok(())
    }

    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    pub(super) const fn keys(&self) -> Option<&(SendingKeys, ReceivingKeys)> {
        self.keys.as_ref()
    }
}

/// The token in use and the one before.
///
/// After a renewal we send with the new token at once; the server may answer with the old one until it has seen the
/// new (OPC 10000-4 §5.6.2). The old one is forgotten with the first message under the new: TCP keeps the order.
#[derive(Default)]
pub(super) struct Tokens {
    current: Option<Token>,
    previous: Option<Token>,
}

impl Tokens {
    pub(super) fn install(&mut self, token: Token) {
        self.previous = self.current.replace(token);
    }

    pub(super) const fn current_mut(&mut self) -> Option<&mut Token> {
        self.current.as_mut()
    }

    pub(super) fn by_id(&self, id: u32) -> Option<&Token> {
        [&self.current, &self.previous].into_iter().flatten().find(|token| token.id == id)
    }

    /// A message under `id` was good.
    pub(super) fn used(&mut self, id: u32) {
        if self.current.as_ref().is_some_and(|current| current.id == id) {
            self.previous = None;
        }
    }
}

/// Fewer than there are sequence numbers before they wrap, wherever they began.
const MAX_SENT: usize = 0x8000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_token_lives_until_the_new_one_was_used_by_the_server() {
        let mut tokens = Tokens::default();
        tokens.install(Token::new(1, None));
        tokens.install(Token::new(2, None));
        assert_eq!(tokens.current_mut().map(|token| token.id()), Some(2));
        tokens.used(1);
        assert!(tokens.by_id(1).is_some() && tokens.by_id(2).is_some());
        tokens.used(2);
        assert!(tokens.by_id(1).is_none() && tokens.by_id(2).is_some() && tokens.by_id(3).is_none());
    }
}
