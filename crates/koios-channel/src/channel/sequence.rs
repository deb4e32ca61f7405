use crate::error::Fault;

/// How sequence numbers run, which the policy says (OPC 10000-6 §6.7.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// From 1; they wrap before the greatest number, to anything below 1024.
    Legacy,
    /// From 0 to the greatest number, and then to 0.
    Full,
}

/// The sequence numbers of what we send, shared by OPN and MSG, not reset by a renewal (OPC 10000-6 §6.7.2.4).
#[derive(Debug)]
pub(super) struct SentSequence {
    numbering: Numbering,
    next: u32,
}

impl SentSequence {
    pub(super) const fn new(numbering: Numbering) -> Self {
        let next = match numbering {
            Numbering::Legacy => 1,
            Numbering::Full => 0,
        };
        Self { numbering, next }
    }

    pub(super) const fn next(&mut self) -> u32 {
        let number = self.next;
        self.next = match self.numbering {
            Numbering::Legacy if number >= WRAP_FROM => 1,
            Numbering::Legacy | Numbering::Full => number.wrapping_add(1),
        };
        number
    }
}

/// The sequence numbers of what we receive: any to begin with, then one by one.
#[derive(Debug)]
pub(super) struct ReceivedSequence {
    numbering: Numbering,
    last: Option<u32>,
}

impl ReceivedSequence {
    pub(super) const fn new(numbering: Numbering) -> Self {
        Self { numbering, last: None }
    }

    /// The number of what came in last; 0 before anything did.
    pub(super) const fn last(&self) -> u32 {
        match self.last {
            Some(last) => last,
            None => 0,
        }
    }

    /// # Errors
    /// When `number` does not follow the last one: a message was lost, repeated or forged.
    pub(super) fn accept(&mut self, number: u32) -> Result<(), Fault> {
        if let Some(previous) = self.last {
            let follows = previous.checked_add(1) == Some(number);
            let wraps = match self.numbering {
                Numbering::Legacy => previous >= WRAP_FROM && number < WRAP_BELOW,
                Numbering::Full => previous == u32::MAX && number == 0,
            };
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
        let mut sent = SentSequence::new(Numbering::Legacy);
        assert_eq!((sent.next(), sent.next()), (1, 2));
        let mut sent = SentSequence { numbering: Numbering::Legacy, next: WRAP_FROM };
        assert_eq!((sent.next(), sent.next()), (WRAP_FROM, 1));
    }

    #[test]
    fn policies_on_curves_use_all_numbers_from_zero_on() {
        let mut sent = SentSequence::new(Numbering::Full);
        assert_eq!((sent.next(), sent.next()), (0, 1));
        let mut sent = SentSequence { numbering: Numbering::Full, next: u32::MAX };
        assert_eq!((sent.next(), sent.next()), (u32::MAX, 0));
        let mut received = ReceivedSequence { numbering: Numbering::Full, last: Some(WRAP_FROM) };
        received.accept(1).unwrap_err();
        received.accept(WRAP_FROM + 1).unwrap();
        let mut received = ReceivedSequence { numbering: Numbering::Full, last: Some(u32::MAX) };
        received.accept(1).unwrap_err();
        received.accept(0).unwrap();
    }

    #[test]
    fn a_repeated_or_skipped_number_is_refused() {
        let mut received = ReceivedSequence::new(Numbering::Legacy);
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
        let mut received = ReceivedSequence { numbering: Numbering::Legacy, last: Some(WRAP_FROM) };
        received.accept(1023).unwrap();
        received.accept(1024).unwrap();
        let mut received = ReceivedSequence { numbering: Numbering::Legacy, last: Some(WRAP_FROM - 1) };
        received.accept(0).unwrap_err();
        let mut received = ReceivedSequence { numbering: Numbering::Legacy, last: Some(u32::MAX) };
        received.accept(1024).unwrap_err();
        received.accept(0).unwrap();
    }
}
