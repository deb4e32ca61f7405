//! Tests and discovery: one connection attempt with the values given, saved or not.

use std::{sync::Arc, time::Duration};

use koios_channel::{EndpointUrl, UserIdentity};
use koios_opcua::{
    Code, DevicePlan, Discovery, PlanError, Stage, Supervisor, TestError, TestReport, Verdict,
};
use koios_pki::Sha256Thumbprint;
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

/// What these attempts are called in the audit trail.
const TESTED: &str = "device.tested";
const DISCOVERED: &str = "endpoints.discovered";

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
        let report = self.test(caller, Some(&device), plan, client_gone).await?;
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
        let report = self.test(caller, None, plan, client_gone).await?;
        Ok(TestedDevice { device: None, report })
    }

    /// Asks a server for its endpoints.
    pub(crate) async fn discover(
        &self,
        caller: &Caller,
        url: &str,
        timeout_seconds: Option<f64>,
        client_gone: impl Future<Output = ()>,
    ) -> Result<Discovery, ServiceError> {
        let url = endpoint_url(url)?;
        let seconds = whole_seconds(timeout_seconds.unwrap_or(DISCOVERY_TIMEOUT))
            .ok_or_else(|| ServiceError::invalid_field("timeout_seconds", TIMEOUT_RANGE))?;
        let discovery = self.supervisor.discover(url.clone(), Duration::from_secs(seconds.into()));
        let discovery = self.attempt(discovery, client_gone).await;
        let outcome = discovery.as_ref().map(|discovery| (&discovery.verdict, None));
        self.record(caller, DISCOVERED, None, &url, outcome).await?;
        allowed(discovery, |discovery| &discovery.verdict)
    }

    async fn test(
        &self,
        caller: &Caller,
        device: Option<&Device>,
        plan: DevicePlan,
        client_gone: impl Future<Output = ()>,
    ) -> Result<TestReport, ServiceError> {
        let url = plan.endpoint_url.clone();
        let report = self.attempt(self.supervisor.test(plan), client_gone).await;
        let outcome = report.as_ref().map(|report| {
            let server = report.server.as_ref().and_then(|server| server.certificate.as_ref());
            (&report.verdict, server.map(|presented| presented.chain.leaf().thumbprint_sha256()))
        });
        self.record(caller, TESTED, device, &url, outcome).await?;
        allowed(report, |report| &report.verdict)
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

    /// Writes down who asked for which target, also where the client went away before it was told what came of it: else
    /// nobody could see who had looked through a network.
    async fn record(
        &self,
        caller: &Caller,
        action: &str,
        device: Option<&Device>,
        url: &EndpointUrl,
        outcome: Result<(&Verdict, Option<Sha256Thumbprint>), &ServiceError>,
    ) -> Result<(), ServiceError> {
        let outcome = match outcome {
            Ok(outcome) => Some(outcome),
            // No attempt was made.
            Err(error) if !matches!(error, ServiceError::Store(StoreError::Interrupted)) => return Ok(()),
            Err(_) => None,
        };
        let (verdict, server) = outcome.unzip();
        let mut entry = caller.entry(action);
        entry.resource = device
            .map(|device| AuditResource::new("device", device.id.to_string(), Some(device.name.clone())));
        let mut after = serde_json::json!({
            "code": verdict.map(|verdict| verdict.code.as_str()),
            "failed_stage": verdict.and_then(|verdict| verdict.failed_stage).map(Stage::as_str),
            "endpoint_url": url.as_str(),
        });
        if action == TESTED {
            after["server_certificate_thumbprint_sha256"] =
                server.flatten().map(|thumbprint| thumbprint.to_string()).into();
        }
        entry.after = Some(after);
        self.store.append_audit(entry).await?;
        Ok(())
    }
}

/// An attempt that the configuration forbids is no answer about the target.
fn allowed<T>(
    done: Result<T, ServiceError>,
    verdict: impl FnOnce(&T) -> &Verdict,
) -> Result<T, ServiceError> {
    let done = done?;
    match verdict(&done).code {
        Code::TargetNotAllowed => Err(ServiceError::TargetNotAllowed),
        _ => Ok(done),
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
