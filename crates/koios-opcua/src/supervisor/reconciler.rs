//! Brings the running tasks in line with the store, at every change.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use koios_store::{Change, Device, DeviceId, DeviceState, StoreError};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};

use super::error_chain::error_chain;
use super::registry::Registry;
use crate::plan_key::{KeyPairs, PlanKey};

/// After the store failed, everything is looked at again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What has to be looked at.
#[derive(Debug, Default, Eq, PartialEq)]
struct Agenda {
    everything: bool,
    devices: HashSet<DeviceId>,
    /// Those of them that were saved: if they wait for their next attempt, it is made at once.
    saved: HashSet<DeviceId>,
    trust: HashSet<DeviceId>,
    trust_of_all: bool,
    trust_lists: bool,
}

impl Agenda {
    fn add(&mut self, change: Change) {
        match change {
            Change::DeviceUpdated(id) => {
                self.devices.insert(id);
                self.saved.insert(id);
            }
            Change::DeviceCreated(id) | Change::DeviceDeleted(id) => {
                self.devices.insert(id);
            }
            Change::ServerCertificateApproved(id) | Change::PinForgotten(id) => {
                self.trust.insert(id);
            }
            Change::TrustListsChanged => self.trust_lists = true,
            // A name is no part of a connection, and the first pin is that of the running one.
            Change::CertificateUpdated(_) | Change::ServerCertificatePinned(_) => {}
            _ => self.everything = true,
        }
    }

    /// Changes were missed: nothing that could have happened may be left out.
    fn add_everything(&mut self) {
        self.everything = true;
        self.trust_of_all = true;
    }
}

pub(super) async fn run(
    registry: Arc<Registry>,
    mut changes: broadcast::Receiver<Change>,
    mut nudges: mpsc::UnboundedReceiver<DeviceId>,
) {
    match registry.shared().store.devices_last_failed().await {
        Ok(devices) => registry.note_last_failed(devices),
        // Then all begin alike.
        Err(error) => tracing::warn!(error = %error_chain(&error), "who failed last is not known"),
    }
    let mut agenda = Agenda { everything: true, ..Agenda::default() };
    loop {
        if let Err(error) = reconcile(&registry, &mut agenda).await {
            tracing::error!(error = %error_chain(&error), "devices could not be read");
            tokio::time::sleep(AFTER_FAILURE).await;
            agenda.everything = true;
            continue;
        }
        agenda = Agenda::default();
        registry.note_last_failed(HashSet::new());
        tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => agenda.add(change),
                Err(RecvError::Lagged(_)) => agenda.add_everything(),
                // The store is closed: nothing changes any more, and running sessions go on.
                Err(RecvError::Closed) => return,
            },
            nudge = nudges.recv() => match nudge {
                Some(device) => { agenda.devices.insert(device); }
                None => return,
            },
        }
        // A bulk change is one reconcile, not hundreds.
        loop {
            match changes.try_recv() {
                Ok(change) => agenda.add(change),
                Err(TryRecvError::Lagged(_)) => agenda.add_everything(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }
}

/// Does what is on the agenda. After an error it is to be done again, save for what was said once to a waiting device:
/// saying it again would be an attempt each time.
async fn reconcile(registry: &Arc<Registry>, agenda: &mut Agenda) -> Result<(), StoreError> {
    let store = &registry.shared().store;
    registry.begin_look();
    let mut desired: Vec<Device> = Vec::new();
    let mut unwanted: Vec<DeviceId> = Vec::new();
    let mut deleted: HashSet<DeviceId> = HashSet::new();
    if agenda.everything {
        desired = store.enabled_devices().await?;
        let enabled: HashSet<DeviceId> = desired.iter().map(|device| device.id).collect();
        unwanted = registry.devices().into_iter().filter(|device| !enabled.contains(device)).collect();
    }
    for &id in &agenda.devices {
        match store.device(id).await {
            Ok(device) if device.enabled => desired.push(device),
            Ok(_) => unwanted.push(id),
            Err(StoreError::NotFound { .. }) => {
                unwanted.push(id);
                deleted.insert(id);
            }
            Err(error) => return Err(error),
        }
    }

    for id in unwanted {
        if registry.is_running(id) {
            // A session whose server is frozen takes seconds to close; the other devices need not wait for that. When it
            // is closed, the device is looked at again.
            let registry = Arc::clone(registry);
            tokio::spawn(async move { drop(Registry::stop_device(&registry, id).await) });
        } else if deleted.contains(&id) {
            registry.shared().board.forget(id);
        } else if registry.shared().board.status(id).state != DeviceState::Stopped {
            registry.shared().update(id, |status| status.set_stopped()).await;
        }
    }
    let mut key_pairs = KeyPairs::new(store);
    let mut unread = None;
    for device in desired {
        let key = match PlanKey::of(&mut key_pairs, &device).await {
            Ok(key) => Some(key),
            // What a device is made of may vanish while it is read; its task then finds out by itself.
            Err(StoreError::NotFound { .. } | StoreError::PasswordUnreadable { .. }) => None,
            // Whether it must reconnect is not known now; the others need not wait for that.
            Err(error) => {
                unread = Some(error);
                continue;
            }
        };
        registry.ensure(device.id, key.as_ref(), agenda.saved.remove(&device.id));
    }

    let mut trust: Vec<DeviceId> = agenda.trust.drain().collect();
    if std::mem::take(&mut agenda.trust_of_all) {
        trust = registry.devices();
    }
    for device in trust {
        registry.recheck(device);
    }
    if std::mem::take(&mut agenda.trust_lists) {
        registry.recheck_trust_lists();
    }
    unread.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agenda(changes: impl IntoIterator<Item = Change>) -> Agenda {
        let mut agenda = Agenda::default();
        for change in changes {
            agenda.add(change);
        }
        agenda
    }

    fn device() -> DeviceId {
        "01936d00-0000-7000-8000-000000000001".parse().unwrap()
    }

    fn certificate() -> koios_store::CertificateId {
        "01936d00-0000-7000-8000-000000000002".parse().unwrap()
    }

    #[test]
    fn a_change_of_one_device_looks_at_that_one() {
        let id = device();
        let changes = [Change::DeviceCreated(id), Change::DeviceUpdated(id), Change::DeviceDeleted(id)];
        let expected =
            Agenda { devices: HashSet::from([id]), saved: HashSet::from([id]), ..Agenda::default() };
        assert_eq!(agenda(changes), expected);
        let created = Agenda { devices: HashSet::from([id]), ..Agenda::default() };
        assert_eq!(agenda([Change::DeviceCreated(id)]), created, "its task has just begun");
    }

    #[test]
    fn a_change_of_certificates_looks_at_everything() {
        let id = certificate();
        for change in [
            Change::CertificateCreated(id),
            Change::CertificateDeleted(id),
            Change::CertificateRegenerated(id),
            Change::DefaultChanged(id),
        ] {
            assert_eq!(agenda([change]), Agenda { everything: true, ..Agenda::default() }, "{change:?}");
        }
    }

    #[test]
    fn a_new_name_and_the_supervisors_own_pin_look_at_nothing() {
        let changes = [Change::CertificateUpdated(certificate()), Change::ServerCertificatePinned(device())];
        assert_eq!(agenda(changes), Agenda::default());
    }

    #[test]
    fn an_approval_and_a_forgotten_pin_look_at_the_trust_alone() {
        let id = device();
        let changes = [Change::ServerCertificateApproved(id), Change::PinForgotten(id)];
        assert_eq!(agenda(changes), Agenda { trust: HashSet::from([id]), ..Agenda::default() });
    }

    #[test]
    fn changed_trust_lists_are_told_to_every_device() {
        let expected = Agenda { trust_lists: true, ..Agenda::default() };
        assert_eq!(agenda([Change::TrustListsChanged]), expected);
    }

    #[test]
    fn whoever_missed_changes_leaves_nothing_out() {
        let mut agenda = Agenda::default();
        agenda.add_everything();
        assert!(agenda.everything && agenda.trust_of_all);
    }
}
