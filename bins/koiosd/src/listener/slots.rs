//! How many connections each address has.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A refusal is told so often at most: whoever opens thousands of connections must not fill the log.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Counts the connections of each address, for all workers together.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    each: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_address: HashMap<IpAddr, usize>,
    told_at: Option<Instant>,
}

/// One connection; its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    address: Option<IpAddr>,
    taken: Arc<Mutex<Taken>>,
}

impl Slots {
    pub(super) fn new(each: usize) -> Self {
        Self { each, taken: Arc::default() }
    }

    /// A place for another connection; `None` when the address has as many as it may have.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<Slot> {
        let address = address.map(counted);
        if let Some(address) = address {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let count = taken.by_address.entry(address).or_default();
            if *count >= self.each {
                if taken.told_at.is_none_or(|told_at| told_at.elapsed() >= TOLD_EVERY) {
                    taken.told_at = Some(Instant::now());
                    tracing::warn!(
                        %address,
                        max_connections_per_address = self.each,
                        "an address has as many connections as it may have; more of them are closed"
                    );
                }
                return None;
            }
            *count += 1;
        }
        Some(Slot { address, taken: self.taken.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// Whoever has an IPv6 address has its whole /64 (RFC 6177).
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places_and_an_ipv6_network_has_them_together() {
        let slots = Slots::new(2);
        let take = |address: &str| slots.take(Some(address.parse().unwrap()));
        let held = [take("10.0.0.1").unwrap(), take("::ffff:10.0.0.1").unwrap()];
        assert!(take("10.0.0.1").is_none());
        let _other = take("10.0.0.2").unwrap();
        drop(held);
        let _again = take("10.0.0.1").unwrap();
        let _network = [take("fd00::1").unwrap(), take("fd00::2").unwrap()];
        assert!(take("fd00::3").is_none() && take("fd00:0:0:1::3").is_some());
        assert!(slots.take(None).is_some());
        drop((_other, _again, _network));
        assert!(slots.taken.lock().unwrap().by_address.is_empty());
    }
}
