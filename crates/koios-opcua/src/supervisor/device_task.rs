//! One enabled device: connect, run, fail, wait, again.

use std::sync::Arc;
use std::time::Duration;

use koios_store::DeviceId;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::{self, End};
use super::isolation::isolated;
use super::registry::Used;
use super::schedule::Schedule;
use super::shared::Shared;
use crate::code::Code;
use crate::plan::{DevicePlan, target_of};
use crate::preflight::preflight;
use crate::verdict::Verdict;

/// What a device is told; each number counts the times it was said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Orders {
    /// Close the session and end.
    pub(super) stop: bool,
    /// Something that the connection is made of has changed: connect anew.
    pub(super) reconnect: u64,
    /// Trust in the server may have changed: a device that waits tries, one that runs looks whether it still may.
    pub(super) recheck: u64,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    device: DeviceId,
    used: Arc<Used>,
    mut orders: watch::Receiver<Orders>,
) {
    let mut schedule = Schedule::new(shared.settings.retry_max);
    shared.update(device, |status| status.set_starting()).await;
    loop {
        orders.mark_unchanged();
        let life = connection::live(Arc::clone(&shared), device, Arc::clone(&used), orders.clone());
        let (verdict, ran) = match isolated(life).await {
            Ok(End::Stopped) => return,
            Ok(End::Changed) => {
                schedule.reset();
                shared.update(device, |status| status.set_starting()).await;
                continue;
            }
            Ok(End::Failed { verdict, ran }) => (verdict, ran),
            Err(verdict) => {
                tracing::error!(device.id = %device, "the attempt panicked");
                (verdict, false)
            }
        };
        if ran {
            schedule.reset();
        }
        let delay = schedule.failed(verdict.code, rand::random());
        let due = delay.map(|delay| Instant::now() + delay);
        let next_attempt_at = delay.map(|delay| OffsetDateTime::now_utc() + delay);
        shared
            .update(device, |status| status.set_failed(&verdict, schedule.failures(), next_attempt_at))
            .await;
        match wait(&shared, device, verdict.code, due, &mut orders).await {
            Woken::Stopped => return,
            Woken::Told => {
                schedule.reset();
                shared.update(device, |status| status.set_starting()).await;
            }
            Woken::Due => {
                shared.update(device, |status| status.next_attempt_at = None).await;
            }
        }
    }
}

enum Woken {
    Stopped,
    Told,
    Due,
}

async fn wait(
    shared: &Shared,
    device: DeviceId,
    code: Code,
    due: Option<Instant>,
    orders: &mut watch::Receiver<Orders>,
) -> Woken {
    let dues = async {
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None if code.is_preflight() => until_preflight_passes(shared, device).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        changed = orders.changed() => {
            // The sender is gone when the supervisor is.
            if changed.is_err() || orders.borrow().stop { Woken::Stopped } else { Woken::Told }
        }
        () = dues => Woken::Due,
    }
}

/// Looks at what lies on this machine, never at the server: a file put back is a change that nobody announces, and so
/// is the day on which a certificate becomes valid.
async fn until_preflight_passes(shared: &Shared, device: DeviceId) {
    const LOOK_EVERY: Duration = Duration::from_secs(5);
    loop {
        tokio::time::sleep(LOOK_EVERY.min(shared.settings.retry_max)).await;
        if passes_preflight(shared, device).await {
            return;
        }
    }
}

async fn passes_preflight(shared: &Shared, device: DeviceId) -> bool {
    let Ok(device) = shared.store.device(device).await else { return false };
    let Ok(plan) = DevicePlan::of(&shared.store, &device).await else { return false };
    let Ok(target) = target_of(&shared.store, &plan, &shared.settings.fallback_application_uri).await else {
        return false;
    };
    let clock = shared.clock().await;
    let judged: Result<_, Box<Verdict>> =
        preflight(target.security_mode, target.security_policy, &target.client, clock);
    judged.is_ok()
}
