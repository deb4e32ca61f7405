//! A store with certificates and devices, and a supervisor over it.

use std::time::Duration;

use koios_opcua::{Code, DevicePlan, DeviceStatus, SecurityMode, Supervisor, SupervisorSettings, TestReport};
use koios_pki::{CertificateChain, PrivateKeyPem};
use koios_store::{
    CertificateId, Device, DeviceId, DeviceSettings, DeviceState, Name, NewCertificate, Origin, Store,
    StoreOptions,
};
use koios_testkit::TestCertificate;
use tempfile::TempDir;

use crate::client::{run, wait_until};

pub(crate) struct Plant {
    pub(crate) store: Store,
    pub(crate) supervisor: Supervisor,
    // Dropped last: the store writes into it.
    pub(crate) folder: TempDir,
}

impl Plant {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut SupervisorSettings)) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let store = run(Store::open(StoreOptions::new(folder.path().join("data")))).expect("a new store");
        let supervisor = supervise(&store, change);
        Self { store, supervisor, folder }
    }

    /// The same store with another supervisor, as after a restart.
    pub(crate) fn restarted(mut self, change: impl FnOnce(&mut SupervisorSettings)) -> Self {
        run(self.supervisor.shutdown(Duration::from_secs(10)));
        self.supervisor = supervise(&self.store, change);
        self
    }

    pub(crate) fn add_certificate(&self, name: &str, certificate: &TestCertificate) -> CertificateId {
        let chain = CertificateChain::from_der_blob(&certificate.chain_der(), 10).expect("a chain");
        let key = PrivateKeyPem::from_bytes(certificate.key_pem().as_bytes().to_vec());
        let name = Name::parse(name).expect("a name");
        let new = NewCertificate::new(name, Origin::Uploaded, chain, key, 365);
        run(self.store.create_certificate(new)).expect("the certificate is stored").id
    }

    /// A device of mode sign and encrypt, scanned often.
    pub(crate) fn settings(name: &str, endpoint_url: &str) -> DeviceSettings {
        let mut settings = DeviceSettings::new(Name::parse(name).expect("a name"), endpoint_url);
        settings.security_mode = SecurityMode::SignAndEncrypt;
        settings.scan_rate_seconds = 0.1;
        settings
    }

    pub(crate) fn add_device(&self, settings: DeviceSettings) -> DeviceId {
        run(self.store.create_device(settings, true)).expect("the device is stored").id
    }

    pub(crate) fn device(&self, id: DeviceId) -> Device {
        run(self.store.device(id)).expect("the device exists")
    }

    pub(crate) fn plan(&self, id: DeviceId) -> DevicePlan {
        run(DevicePlan::of(&self.store, &self.device(id))).expect("a plan")
    }

    pub(crate) fn test(&self, id: DeviceId) -> TestReport {
        run(self.supervisor.test(self.plan(id))).expect("a report")
    }

    pub(crate) fn status(&self, id: DeviceId) -> DeviceStatus {
        self.supervisor.status(id)
    }

    #[track_caller]
    pub(crate) fn wait_for_state(&self, id: DeviceId, state: DeviceState) -> DeviceStatus {
        let mut last = self.status(id);
        wait_until(&format!("{state:?}, not {last:?}"), || {
            last = self.status(id);
            last.state == state
        });
        last
    }

    #[track_caller]
    pub(crate) fn wait_for_code(&self, id: DeviceId, code: Code) -> DeviceStatus {
        let mut last = self.status(id);
        wait_until(&format!("{code}, not {last:?}"), || {
            last = self.status(id);
            last.error_code == Some(code)
        });
        last
    }
}

fn supervise(store: &Store, change: impl FnOnce(&mut SupervisorSettings)) -> Supervisor {
    let mut settings = SupervisorSettings::new("urn:koios:gw01");
    // Tests need not wait ten seconds for what they know has happened.
    settings.retry_max = Duration::from_millis(500);
    change(&mut settings);
    Supervisor::start(store.clone(), settings).expect("threads")
}

impl Drop for Plant {
    fn drop(&mut self) {
        run(self.supervisor.shutdown(Duration::from_secs(10)));
    }
}
