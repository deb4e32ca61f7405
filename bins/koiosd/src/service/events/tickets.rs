//! Tickets: what opens one stream of events in place of a token, for clients that cannot send headers.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::service::{access::Caller, error::ServiceError};

/// How long a ticket may be used: a page opens its stream at once.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(30);

/// How many unused tickets there are of one token; one more takes the oldest one's place.
const KEPT_PER_TOKEN: usize = 16;

/// How many unused tickets there are in all.
const KEPT_IN_ALL: usize = 1024;

/// A ticket on its way to whoever asked for it. Only its hash is kept.
pub(crate) struct IssuedTicket {
    pub(crate) text: Zeroizing<String>,
    pub(crate) expires_at: OffsetDateTime,
}

#[derive(Debug)]
struct Ticket {
    caller: Caller,
    issued: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Tickets {
    kept: Mutex<HashMap<Vec<u8>, Ticket>>,
}

impl Tickets {
    pub(super) fn issue(&self, caller: &Caller, now: Instant) -> Result<IssuedTicket, ServiceError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| ServiceError::NoRandomness)?;
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, ticket| ticket.is_good(now));
        let own = kept.iter().filter(|(_, ticket)| ticket.caller.token.id == caller.token.id);
        let oldest = own.clone().min_by_key(|(_, ticket)| ticket.issued).map(|(hash, _)| hash.clone());
        if own.count() >= KEPT_PER_TOKEN
            && let Some(oldest) = oldest
        {
            kept.remove(&oldest);
        }
        if kept.len() >= KEPT_IN_ALL {
            return Err(ServiceError::TooManyTickets);
        }
        kept.insert(hash(&text), Ticket { caller: caller.clone(), issued: now });
        Ok(IssuedTicket { text, expires_at: OffsetDateTime::now_utc() + TICKET_LIFE })
    }

    pub(super) fn redeem(&self, text: &str, now: Instant) -> Option<Caller> {
        let ticket = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(text))?;
        ticket.is_good(now).then_some(ticket.caller)
    }
}

impl Ticket {
    fn is_good(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.issued) < TICKET_LIFE
    }
}

fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use koios_store::{NewToken, Role, Store, StoreOptions};

    use super::*;

    /// Callers with tokens of their own.
    async fn callers(count: u8) -> Vec<Caller> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path().join("data"))).await.unwrap();
        let mut callers = Vec::new();
        for number in 0..count {
            let new = NewToken::new(format!("{number}"), Role::Viewer, [number; 32]);
            callers.push(Caller { token: store.create_token(new).await.unwrap(), address: None, once: None });
        }
        store.close().await;
        callers
    }

    #[tokio::test]
    async fn a_ticket_is_good_once_and_for_half_a_minute() {
        let caller = &callers(1).await[0];
        let (tickets, now) = (Tickets::default(), Instant::now());
        let issue = |at| tickets.issue(caller, at).unwrap().text;
        let ticket = issue(now);
        assert_eq!(tickets.redeem(&ticket, now).unwrap().token.id, caller.token.id);
        assert!(tickets.redeem(&ticket, now).is_none(), "once");
        let (in_time, late) = (issue(now), issue(now));
        assert!(tickets.redeem(&in_time, now + TICKET_LIFE - Duration::from_millis(1)).is_some());
        assert!(tickets.redeem(&late, now + TICKET_LIFE).is_none());
        assert!(tickets.redeem("", now).is_none());
    }

    #[tokio::test]
    async fn tickets_differ_and_have_256_bits() {
        let caller = &callers(1).await[0];
        let tickets = Tickets::default();
        let texts: BTreeSet<String> =
            (0..100).map(|_| tickets.issue(caller, Instant::now()).unwrap().text.to_string()).collect();
        assert_eq!(texts.len(), 100);
        assert!(texts.iter().all(|text| URL_SAFE_NO_PAD.decode(text).unwrap().len() == 32));
    }

    #[tokio::test]
    async fn unused_tickets_are_bounded_and_of_one_token_the_newest_are_good() {
        let callers = callers(65).await;
        let (tickets, now) = (Tickets::default(), Instant::now());
        let at = |number: u64| now + Duration::from_millis(number);
        let texts: Vec<_> =
            (0..=16).map(|number| tickets.issue(&callers[0], at(number)).unwrap().text).collect();
        assert!(tickets.redeem(&texts[0], at(20)).is_none());
        assert!(tickets.redeem(&texts[1], at(20)).is_some());
        for caller in &callers[1..64] {
            for _ in 0..16 {
                tickets.issue(caller, at(20)).unwrap();
            }
        }
        tickets.issue(&callers[0], at(20)).unwrap();
        let refused = tickets.issue(&callers[64], at(20));
        assert!(matches!(refused, Err(ServiceError::TooManyTickets)));
        assert!(tickets.issue(&callers[64], at(20) + TICKET_LIFE).is_ok(), "the others are over");
    }
}
