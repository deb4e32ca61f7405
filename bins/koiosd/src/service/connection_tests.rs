//! Tests and discovery: one connection attempt with the values given, saved or not.

use std::{sync::Arc, time::Duration};

use koios_channel::{EndpointUrl, UserIdentity};
use koios_opcua::{DevicePlan, Discovery, PlanError, Supervisor, TestError, TestReport};
use koios_store::{
    AuditResource, Device, DeviceId, DeviceSettings, DeviceUser, PasswordChange, Resource, Store, StoreError,
    UserSettings,
};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{
    access::Caller,
    devices::{DeviceChange, TIMEOUT_RANGE, expect_password, expect_right_to_weaken, whole_seconds},
    error::ServiceError,
};
use crate::config::LiveSettings;

/// Makes single attempts. They disturb no device's own session and change nothing of what is stored about it.
#[derive(Debug)]
pub(crate) struct ConnectionTests {
    store: Store,
    supervisor: Arc<Supervisor>,
    settings: LiveSettings,
    stopping: watch::Sender<bool>,
}

/// A report, and the device that it is about.
#[derive(Debug)]
pub(crate) struct TestedDevice {
    pub(crate) device: Option<DeviceId>,
    pub(crate) report: TestReport,
}

/// Seconds that a discovery may take when nothing else is said; that of a new device.
const DISCOVERY_TIMEOUT: f64 = 10.0;

impl ConnectionTests {
    pub(crate) fn new(store: Store, supervisor: Arc<Supervisor>, settings: LiveSettings) -> Self {
        Self { store, supervisor, settings, stopping: watch::Sender::new(false) }
    }

    /// Cuts off the attempts under way, and refuses new ones: the daemon stops.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Tests a stored device, with some fields as if they were stored otherwise.
    pub(crate) async fn test_device(
        &self,
        caller: &Caller,
        id: DeviceId,
        overrides: DeviceChange,
        client_gone: impl Future<Output = ()>,
    ) -> Result<TestedDevice, ServiceError> {
        let device = self.store.device(id).await?;
        let rules = self.settings.now().device_rules();
        let settings = overrides.merged_into(&device, rules.deprecated)?;
        expect_right_to_weaken(caller, Some(&device), &settings, rules)?;
        expect_password(&device, &settings)?;
        self.expect_certificate(&settings).await?;
        let plan = overridden(self.stored_plan(&device, &settings).await?, settings)?;
        let report = self.attempt(self.supervisor.test(plan), client_gone).await?;
        self.record(caller, Some(&device), &report).await?;
        Ok(TestedDevice { device: Some(id), report })
    }

    /// Tests a device that is not stored.
    pub(crate) async fn test_unsaved(
        &self,
        caller: &Caller,
        device: DeviceChange,
        client_gone: impl Future<Output = ()>,
    ) -> Result<TestedDevice, ServiceError> {
        let rules = self.settings.now().device_rules();
        let settings = device.into_unnamed_settings(rules)?;
        expect_right_to_weaken(caller, None, &settings, rules)?;
        self.expect_certificate(&settings).await?;
        let plan = overridden(DevicePlan::new(endpoint_url(&settings.endpoint_url)?), settings)?;
        let report = self.attempt(self.supervisor.test(plan), client_gone).await?;
        self.record(caller, None, &report).await?;
        Ok(TestedDevice { device: None, report })
    }

    /// Asks a server for its endpoints.
    pub(crate) async fn discover(
        &self,
        url: &str,
        timeout_seconds: Option<f64>,
        client_gone: impl Future<Output = ()>,
    ) -> Result<Discovery, ServiceError> {
        let url = endpoint_url(url)?;
        let seconds = whole_seconds(timeout_seconds.unwrap_or(DISCOVERY_TIMEOUT))
            .ok_or_else(|| ServiceError::invalid_field("timeout_seconds", TIMEOUT_RANGE))?;
        let discovery = self.supervisor.discover(url, Duration::from_secs(seconds.into()));
        self.attempt(discovery, client_gone).await
    }

    /// One attempt, for as long as its client waits and the daemon does not stop.
    async fn attempt<T>(
        &self,
        work: impl Future<Output = Result<T, TestError>>,
        client_gone: impl Future<Output = ()>,
    ) -> Result<T, ServiceError> {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => Err(TestError::Stopping.into()),
            // Nobody reads this answer.
            () = client_gone => Err(TestError::Stopping.into()),
            done = work => Ok(done?),
        }
    }

    /// The plan of the device as it is stored; its password is read only where it is to be used.
    async fn stored_plan(
        &self,
        device: &Device,
        settings: &DeviceSettings,
    ) -> Result<DevicePlan, ServiceError> {
        let kept =
            matches!(settings.user_identity, UserSettings::UserName { password: PasswordChange::Keep, .. });
        let mut device = device.clone();
        if !kept {
            device.user_identity = DeviceUser::Anonymous;
        }
        DevicePlan::of(&self.store, &device).await.map_err(|error| match error {
            PlanError::Store(StoreError::PasswordUnreadable { .. }) => {
                ServiceError::PasswordRequired { reason: "the stored one cannot be decrypted any more" }
            }
            other => other.into(),
        })
    }

    /// A certificate that does not exist is a bad request, also where it would not be used.
    async fn expect_certificate(&self, settings: &DeviceSettings) -> Result<(), StoreError> {
        let Some(id) = settings.certificate_id else { return Ok(()) };
        match self.store.certificate(id).await {
            Ok(_) => Ok(()),
            Err(StoreError::NotFound { resource: Resource::Certificate, .. }) => {
                Err(StoreError::UnknownCertificate(id))
            }
            Err(error) => Err(error),
        }
    }

    async fn record(
        &self,
        caller: &Caller,
        device: Option<&Device>,
        report: &TestReport,
    ) -> Result<(), ServiceError> {
        let mut entry = caller.entry("device.tested");
        entry.resource = device
            .map(|device| AuditResource::new("device", device.id.to_string(), Some(device.name.clone())));
        let server = report.server.as_ref().and_then(|server| server.certificate.as_ref());
        entry.after = Some(serde_json::json!({
            "code": report.verdict.code.as_str(),
            "failed_stage": report.verdict.failed_stage.map(koios_opcua::Stage::as_str),
            "endpoint_url": report.endpoint.as_ref().map(|endpoint| endpoint.url.as_str()),
            "server_certificate_thumbprint_sha256":
                server.map(|presented| presented.chain.leaf().thumbprint_sha256().to_string()),
        }));
        self.store.append_audit(entry).await?;
        Ok(())
    }
}

fn endpoint_url(text: &str) -> Result<EndpointUrl, ServiceError> {
    EndpointUrl::parse(text).map_err(|error| ServiceError::invalid_field("endpoint_url", error.to_string()))
}

/// A plan with these settings instead of its own; the pin stays, unless they lead to another server.
fn overridden(plan: DevicePlan, settings: DeviceSettings) -> Result<DevicePlan, ServiceError> {
    let mut plan = plan.at_endpoint(endpoint_url(&settings.endpoint_url)?);
    plan.security_mode = settings.security_mode;
    plan.security_policy = settings.security_policy;
    plan.certificate_id = settings.certificate_id;
    plan.server_certificate_policy = settings.server_certificate_policy;
    plan.host_name_check = settings.server_host_name_check;
    plan.timeout = Duration::from_secs(settings.timeout_seconds.into());
    let stored = match plan.user {
        UserIdentity::UserName { password, .. } => Some(password),
        _ => None,
    };
    plan.user = match settings.user_identity {
        UserSettings::UserName { username, password } => {
            let password = match password {
                PasswordChange::Keep => stored,
                PasswordChange::Clear => None,
                PasswordChange::Set(password) => Some(password),
            };
            let password = password.unwrap_or_else(|| Zeroizing::new(String::new()));
            UserIdentity::UserName { user_name: username, password }
        }
        _ => UserIdentity::Anonymous,
    };
    Ok(plan)
}
