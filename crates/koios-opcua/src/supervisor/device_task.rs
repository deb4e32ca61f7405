//! One enabled device: connect, run, fail, wait, again.

use std::sync::Arc;
use std::time::Duration;

use koios_store::DeviceId;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connect_queue::Standing;
use super::connection::{self, End};
use super::isolation::isolated;
use super::registry::Used;
use super::schedule::Schedule;
use super::shared::Shared;
use crate::code::Code;
use crate::plan::DevicePlan;
use crate::preflight::preflight_of;
use crate::presented::judge_presented;
use crate::stage::Stage;
use crate::verdict::Verdict;

/// What a device is told; each number counts the times it was said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Orders {
    /// Close the session and end.
    pub(super) stop: bool,
    /// Something that the connection is made of has changed: connect anew.
    pub(super) reconnect: u64,
    /// Trust in the server may have changed, or a person has saved the device: one that waits tries, one that runs
    /// looks whether it still may.
    pub(super) recheck: u64,
    /// The trust lists have changed: one that was refused for its server's certificate tries, one that runs looks whether
    /// it still may. Others wait on: a change that is not about them is no reason to try a password again.
    pub(super) trust_lists: u64,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    device: DeviceId,
    used: Arc<Used>,
    orders: watch::Receiver<Orders>,
    standing: Standing,
) {
    let live =
        |orders, standing| connection::live(Arc::clone(&shared), device, Arc::clone(&used), orders, standing);
    keep(&shared, device, orders, standing, live).await;
}

/// Lives one connection after the other until the device is to stop.
async fn keep<F>(
    shared: &Shared,
    device: DeviceId,
    mut orders: watch::Receiver<Orders>,
    mut standing: Standing,
    live: impl Fn(watch::Receiver<Orders>, Standing) -> F,
) where
    F: Future<Output = End> + Send + 'static,
{
    let mut schedule = Schedule::new(shared.connects.retry_max());
    shared.update(device, |status| status.set_starting()).await;
    let mut is_unreachable = false;
    loop {
        let begun = *orders.borrow_and_update();
        let (verdict, ran, login_refused) = match isolated(live(orders.clone(), standing)).await {
            Ok(End::Stopped) => return,
            Ok(End::Changed) => {
                schedule.reset();
                standing = standing_after_change(is_unreachable, begun, *orders.borrow());
                shared.update(device, |status| status.set_starting()).await;
                continue;
            }
            Ok(End::Failed { verdict, ran, login_refused }) => (verdict, ran, login_refused),
            Err(verdict) => {
                tracing::error!(device.id = %device, "the attempt panicked");
                (verdict, false, false)
            }
        };
        if ran {
            schedule.reset();
        }
        standing = if ran { Standing::Sound } else { Standing::Failing };
        is_unreachable = !ran && verdict.failed_stage.is_some_and(|stage| stage <= Stage::Hello);
        schedule.bound(shared.connects.retry_max());
        let delay = schedule.failed(verdict.code, login_refused, rand::random());
        let due = delay.map(|delay| Instant::now() + delay);
        let next_attempt_at = delay.map(|delay| OffsetDateTime::now_utc() + delay);
        shared
            .update(device, |status| status.set_failed(&verdict, schedule.failures(), next_attempt_at))
            .await;
        match wait(shared, device, &verdict, due, &mut orders, begun).await {
            Woken::Stopped => return,
            Woken::Told => {
                schedule.reset();
                standing = standing_after_change(is_unreachable, begun, *orders.borrow());
                shared.update(device, |status| status.set_starting()).await;
            }
            Woken::Due => {
                shared.update(device, |status| status.next_attempt_at = None).await;
            }
        }
    }
}

/// What to expect of a device after a change. Another certificate makes no dead address answer: when a thousand devices
/// connect anew for it, those that could not even be reached come after the others, unless a person has saved them.
fn standing_after_change(is_unreachable: bool, before: Orders, now: Orders) -> Standing {
    if is_unreachable && now.recheck == before.recheck { Standing::Failing } else { Standing::Sound }
}

enum Woken {
    Stopped,
    Told,
    Due,
}

/// Waits for the next attempt; `heard` is what the attempt before had been told when it began.
async fn wait(
    shared: &Shared,
    device: DeviceId,
    verdict: &Verdict,
    due: Option<Instant>,
    orders: &mut watch::Receiver<Orders>,
    mut heard: Orders,
) -> Woken {
    let awaits_trust = verdict.failed_stage == Some(Stage::ServerCertificate);
    let dues = async {
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None if verdict.code.is_preflight() => until(shared, || passes_preflight(shared, device)).await,
            None if verdict.code == Code::ServerCertificateChanged => {
                until(shared, || accepts_presented(shared, device)).await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::pin!(dues);
    loop {
        tokio::select! {
            changed = orders.changed() => {
                let now = *orders.borrow_and_update();
                // The sender is gone when the supervisor is.
                if changed.is_err() || now.stop {
                    return Woken::Stopped;
                }
                let only_trust_lists = Orders { trust_lists: heard.trust_lists, ..now } == heard;
                if awaits_trust || !only_trust_lists {
                    return Woken::Told;
                }
                heard = now;
            }
            () = &mut dues => return Woken::Due,
        }
    }
}

/// Looks at what lies on this machine, never at the server: a file put back is a change that nobody announces, and so
/// is the day on which a certificate becomes valid, or the clock right.
async fn until<F: Future<Output = bool>>(shared: &Shared, is_so: impl Fn() -> F) {
    const LOOK_EVERY: Duration = Duration::from_secs(5);
    loop {
        tokio::time::sleep(LOOK_EVERY.min(shared.connects.retry_max())).await;
        if is_so().await {
            return;
        }
    }
}

/// Whether the certificate that the server presented last, which was another one than is known, is accepted after all.
async fn accepts_presented(shared: &Shared, device: DeviceId) -> bool {
    let Ok(device) = shared.store.device(device).await else { return false };
    let Ok(Some(presented)) = shared.store.presented(device.id).await else { return false };
    let now = shared.clock().await.now;
    let judged = judge_presented(&shared.store, &device, &presented.chain, now).await;
    judged.is_ok_and(|judged| judged.is_ok())
}

async fn passes_preflight(shared: &Shared, device: DeviceId) -> bool {
    let Ok(device) = shared.store.device(device).await else { return false };
    let Ok(plan) = DevicePlan::of(&shared.store, &device).await else { return false };
    let Ok(target) = shared.target_of(&plan).await else { return false };
    let judged: Result<_, Box<Verdict>> = preflight_of(&target, shared.clock().await);
    judged.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use koios_store::{DeviceState, Store, StoreOptions};
    use tempfile::TempDir;

    use super::*;
    use crate::supervisor::SupervisorSettings;

    const PANICS: u32 = 2;

    async fn shared(folder: &TempDir) -> Shared {
        let store = Store::open(StoreOptions::new(folder.path().join("data"))).await.unwrap();
        let mut settings = SupervisorSettings::new("urn:koios:test");
        settings.retry_max = Duration::from_millis(1);
        Shared::new(store, settings)
    }

    fn device(number: u8) -> DeviceId {
        format!("01936d00-0000-7000-8000-0000000000{number:02}").parse().unwrap()
    }

    #[tokio::test]
    async fn a_panic_fails_its_attempt_and_the_next_one_comes_and_other_devices_go_on() {
        let folder = TempDir::new().unwrap();
        let shared = shared(&folder).await;
        let (stop, orders) = watch::channel(Orders::default());
        let lives = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lives);
        let panicking = keep(&shared, device(1), orders.clone(), Standing::Sound, move |mut orders, _| {
            let life = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(life >= PANICS, "a defect in attempt {life}");
                orders.wait_for(|orders| orders.stop).await.ok();
                End::Stopped
            }
        });
        let healthy = keep(&shared, device(2), orders, Standing::Sound, |mut orders, _| async move {
            orders.wait_for(|orders| orders.stop).await.ok();
            End::Stopped
        });
        let watching = async {
            while lives.load(Ordering::SeqCst) <= PANICS {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let status = shared.board.status(device(1));
            assert_eq!((status.error_code, status.attempts), (Some(Code::Internal), PANICS));
            assert!(status.error_detail.is_some_and(|detail| !detail.contains("defect")));
            assert_eq!(shared.board.status(device(2)).state, DeviceState::Starting, "it was not disturbed");
            stop.send_modify(|orders| orders.stop = true);
        };
        let all = Box::pin(async { tokio::join!(panicking, healthy, watching) });
        tokio::time::timeout(Duration::from_secs(60), all)
            .await
            .expect("both tasks end when they are told to");
    }

    #[tokio::test]
    async fn who_cannot_be_reached_stays_behind_those_that_a_change_may_have_cured() {
        let folder = TempDir::new().unwrap();
        let shared = shared(&folder).await;
        let (tell, orders) = watch::channel(Orders::default());
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let ends = [(Stage::Connect, true), (Stage::SecureChannel, false), (Stage::Connect, false)];
        let keeping = keep(&shared, device(1), orders, Standing::Sound, move |_, standing| {
            let mut noted = noted.lock().unwrap();
            let (stage, ran) = ends.get(noted.len()).copied().unwrap_or((Stage::Connect, false));
            noted.push(standing);
            let mut verdict =
                Verdict::failure(Code::ServerCertificateChanged, stage, crate::ReportedBy::Koios, "so");
            verdict.failed_stage = Some(stage);
            std::future::ready(End::Failed { verdict: Box::new(verdict), ran, login_refused: false })
        });
        let wait_for_lives = async |lives| {
            while seen.lock().unwrap().len() < lives
                || shared.board.status(device(1)).state != DeviceState::Failed
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let telling = async {
            wait_for_lives(1).await;
            tell.send_modify(|orders| orders.reconnect += 1);
            wait_for_lives(2).await;
            tell.send_modify(|orders| orders.reconnect += 1);
            wait_for_lives(3).await;
            tell.send_modify(|orders| orders.reconnect += 1);
            wait_for_lives(4).await;
            tell.send_modify(|orders| (orders.reconnect, orders.recheck) = (9, 9));
            wait_for_lives(5).await;
            tell.send_modify(|orders| orders.stop = true);
        };
        let both = Box::pin(async { tokio::join!(keeping, telling) });
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("the task ends when it is told to");
        // New; it ran; it was refused, which may be cured; it is unreachable, which is not; a person has saved it.
        let (sound, failing) = (Standing::Sound, Standing::Failing);
        assert_eq!(*seen.lock().unwrap(), [sound, sound, sound, failing, sound]);
    }

    #[tokio::test]
    async fn what_only_a_change_can_cure_waits_for_the_change() {
        let folder = TempDir::new().unwrap();
        let shared = shared(&folder).await;
        let (tell, orders) = watch::channel(Orders::default());
        let lives = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lives);
        let keeping = keep(&shared, device(1), orders, Standing::Sound, move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let verdict = Verdict::failure(
                Code::ServerCertificateChanged,
                Stage::ServerCertificate,
                crate::ReportedBy::Koios,
                "changed",
            );
            std::future::ready(End::Failed { verdict: Box::new(verdict), ran: false, login_refused: false })
        });
        let telling = async {
            for told in 1..4 {
                while shared.board.status(device(1)).state != DeviceState::Failed {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                // Many times the longest delay between attempts that are made by the clock.
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert_eq!(lives.load(Ordering::SeqCst), told);
                tell.send_modify(|orders| orders.recheck += 1);
                while lives.load(Ordering::SeqCst) == told {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            tell.send_modify(|orders| orders.stop = true);
        };
        let both = Box::pin(async { tokio::join!(keeping, telling) });
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("the task ends when it is told to");
    }

    #[tokio::test]
    async fn changed_trust_lists_wake_only_whoever_was_refused_for_its_servers_certificate() {
        let folder = TempDir::new().unwrap();
        let shared = shared(&folder).await;
        for (stage, woken) in [(Stage::ServerCertificate, true), (Stage::UserIdentity, false)] {
            let (tell, mut orders) = watch::channel(Orders::default());
            let verdict =
                Verdict::failure(Code::ServerCertificateUntrusted, stage, crate::ReportedBy::Koios, "x");
            let waiting = wait(&shared, device(1), &verdict, None, &mut orders, Orders::default());
            let telling = async {
                tokio::task::yield_now().await;
                tell.send_modify(|orders| orders.trust_lists += 1);
                tokio::task::yield_now().await;
                if !woken {
                    tell.send_modify(|orders| orders.stop = true);
                }
            };
            let (outcome, ()) = tokio::join!(waiting, telling);
            assert_eq!(matches!(outcome, Woken::Told), woken, "{stage}");
        }
    }

    #[tokio::test]
    async fn what_is_told_while_an_attempt_ends_is_heard_by_the_wait_after_it() {
        let folder = TempDir::new().unwrap();
        let shared = shared(&folder).await;
        let told: [fn(&mut Orders); 2] =
            [|orders| orders.reconnect += 1, |orders| (orders.recheck, orders.trust_lists) = (1, 1)];
        for tell in told {
            let (orders, listening) = watch::channel(Orders::default());
            let lives = AtomicU32::new(0);
            let keeping = keep(&shared, device(1), listening, Standing::Sound, |_, _| {
                let first = lives.fetch_add(1, Ordering::SeqCst) == 0;
                orders.send_modify(|orders| if first { tell(orders) } else { orders.stop = true });
                // No attempt until something changes.
                let reported_by = crate::ReportedBy::Koios;
                let code = Code::CertificateKeyMismatch;
                let verdict = Box::new(Verdict::failure(code, Stage::Certificate, reported_by, "x"));
                std::future::ready(End::Failed { verdict, ran: false, login_refused: false })
            });
            let bound = Duration::from_secs(60);
            tokio::time::timeout(bound, keeping).await.expect("the second attempt is made");
            assert_eq!(lives.load(Ordering::SeqCst), 2);
        }
    }
}
