use crate::error::Fault;

/// The sequence numbers of what we send: from 1, shared by OPN and MSG, not reset by a renewal (OPC 10000-6 §6.7.2.4).
#[derive(Debug, Default)]
pub(super) struct SentSequence {
    last: u32,
}

impl SentSequence {
    pub(super) const fn next(&mut self) -> u32 {
        self.last = if self.last >= WRAP_FROM { 1 } else { self.last + 1 };
        self.last
    }
}

/// The sequence numbers of what we receive: any to begin with, then one by one.
#[derive(Debug, Default)]
pub(super) struct ReceivedSequence {
    last: Option<u32>,
}

impl ReceivedSequence {
    /// # Errors
    /// When `number` does not follow the last one: a message was lost, repeated or forged.
    pub(super) fn accept(&mut self, number: u32) -> Result<(), Fault> {
        if let Some(previous) = self.last {
            let follows = previous.checked_add(1) == Some(number);
            let wraps = previous >= WRAP_FROM && number < WRAP_BELOW;
            if !follows && !wraps {
                return Err(Fault::SequenceNumber { previous, received: number });
            }
        }
        self.last = Some(number);
        Ok(())
    }
}

/// OPC 10000-6 §6.7.2.4: a number wraps once it is greater than `UInt32::MAX - 1024`, …
const WRAP_FROM: u32 = u32::MAX - 1024;
/// … and the first one after is less than 1024.
const WRAP_BELOW: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_start_at_one_and_wrap_before_the_end() {
        let mut sent = SentSequence::default();
        assert_eq!((sent.next(), sent.next()), (1, 2));
        let mut sent = SentSequence { last: WRAP_FROM - 1 };
        assert_eq!((sent.next(), sent.next()), (WRAP_FROM, 1));
    }

    #[test]
    fn a_repeated_or_skipped_number_is_refused() {
        let mut received = ReceivedSequence::default();
        received.accept(51).unwrap();
        received.accept(52).unwrap();
        for number in [52, 51, 54, 0, 1] {
            assert_eq!(
                received.accept(number),
                Err(Fault::SequenceNumber { previous: 52, received: number })
            );
        }
        received.accept(53).unwrap();
    }

    #[test]
    fn numbers_may_wrap_where_the_standard_lets_them_and_only_there() {
        let mut received = ReceivedSequence { last: Some(WRAP_FROM) };
        received.accept(1023).unwrap();
        received.accept(1024).unwrap();
        let mut received = ReceivedSequence { last: Some(WRAP_FROM - 1) };
        received.accept(0).unwrap_err();
        let mut received = ReceivedSequence { last: Some(u32::MAX) };
        received.accept(1024).unwrap_err();
        received.accept(0).unwrap();
    }
}
