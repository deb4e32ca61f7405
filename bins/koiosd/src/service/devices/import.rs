//! Many devices at once: out as a document, and in again, all or none.

use std::collections::HashMap;

use koios_pki::{CertificateChain, Sha256Thumbprint};
use koios_store::{
    Apply, CertificateId, CertificateQuery, CertificateRecord, Device, DeviceRef, DeviceSettings, ImportCode,
    ImportError, PageRequest, StoreError,
};
use time::OffsetDateTime;

use super::{DeviceChange, DeviceRules, Devices, expect_right_to_weaken};
use crate::service::{access::Caller, error::ServiceError};

/// A device on its way out.
#[derive(Debug)]
pub(crate) struct ExportedDevice {
    pub(crate) device: Device,
    /// The certificate that it names.
    pub(crate) certificate: Option<CertificateReference>,
}

/// A certificate by what it is called in another store.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificateReference {
    pub(crate) name: Option<String>,
    pub(crate) thumbprint_sha256: Option<Sha256Thumbprint>,
}

/// A device on its way in.
#[derive(Debug)]
pub(crate) struct ImportedDevice {
    pub(crate) change: DeviceChange,
    pub(crate) certificate: Option<CertificateReference>,
    pub(crate) enabled: bool,
}

/// What an import came to: no devices when there is any problem.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) created: Vec<DeviceRef>,
    pub(crate) problems: Vec<Problem>,
}

/// What is wrong with one of the devices.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Which of them, from 0.
    pub(crate) index: usize,
    pub(crate) field: String,
    pub(crate) kind: ProblemKind,
    pub(crate) detail: String,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProblemKind {
    InvalidField,
    NameTaken,
    UnknownCertificate,
}

impl Devices {
    /// All devices, by name.
    pub(crate) async fn export(&self) -> Result<Vec<ExportedDevice>, ServiceError> {
        let mut devices = self.store.all_devices().await?;
        devices.sort_by(|one, other| one.name.cmp(&other.name));
        let certificates = self.all_certificates().await?;
        let references: HashMap<CertificateId, CertificateReference> =
            certificates.iter().map(|record| (record.id, CertificateReference::of(record))).collect();
        let exported = devices.into_iter().map(|device| {
            let reference = device.certificate_id.and_then(|id| references.get(&id)).cloned();
            ExportedDevice { certificate: reference, device }
        });
        Ok(exported.collect())
    }

    /// Adds devices, all or none; what could not be read comes as a problem in `devices` and counts like any other.
    pub(crate) async fn import(
        &self,
        caller: &Caller,
        devices: Vec<Result<ImportedDevice, Problem>>,
        apply: Apply,
    ) -> Result<Import, ServiceError> {
        let certificates = KnownCertificates::of(&self.all_certificates().await?);
        let rules = self.settings.now().device_rules();
        let (mut sound, mut problems) = (Vec::new(), Vec::new());
        for (index, device) in devices.into_iter().enumerate() {
            match device
                .map_err(|problem| vec![problem])
                .and_then(|device| resolved(index, device, &certificates, rules))
            {
                Ok((settings, enabled)) => {
                    expect_right_to_weaken(caller, None, &settings, rules)?;
                    sound.push((index, (settings, enabled)));
                }
                Err(found) => problems.extend(found),
            }
        }
        // Also when something is wrong already: so every problem is found at once.
        let (indexes, sound): (Vec<usize>, Vec<_>) = sound.into_iter().unzip();
        let apply = if problems.is_empty() { apply } else { Apply::DryRun };
        let store = self.store.recording(caller.entry("devices.imported"));
        match store.import_devices(sound, apply).await {
            Ok(created) if problems.is_empty() => return Ok(Import { created, problems }),
            Ok(_) => {}
            Err(ImportError::Problems(found)) => problems.extend(found.into_iter().map(|problem| Problem {
                index: indexes.get(problem.index).copied().unwrap_or(problem.index),
                field: problem.field.to_owned(),
                kind: problem.code.into(),
                detail: problem.detail,
            })),
            Err(ImportError::Store(error)) => return Err(error.into()),
            Err(_) => return Err(StoreError::Interrupted.into()),
        }
        problems.sort_by_key(|problem| problem.index);
        Ok(Import { created: Vec::new(), problems })
    }

    async fn all_certificates(&self) -> Result<Vec<CertificateRecord>, StoreError> {
        let mut query = CertificateQuery::default();
        query.page = PageRequest::new(usize::MAX, None);
        let page = self.store.certificates(query, OffsetDateTime::now_utc(), self.expiring_soon()).await?;
        Ok(page.items)
    }
}

impl CertificateReference {
    fn of(record: &CertificateRecord) -> Self {
        Self { name: Some(record.name.clone()), thumbprint_sha256: Some(thumbprint(&record.chain)) }
    }
}

/// The certificates here, by what a reference names: each of thousands of devices may name one of thousands.
struct KnownCertificates {
    by_thumbprint: HashMap<Sha256Thumbprint, CertificateId>,
    by_name: HashMap<String, (CertificateId, String)>,
}

impl KnownCertificates {
    fn of(records: &[CertificateRecord]) -> Self {
        let mut by_name = HashMap::new();
        for record in records {
            by_name.entry(record.name.to_lowercase()).or_insert_with(|| (record.id, record.name.clone()));
        }
        let by_thumbprint = records.iter().map(|record| (thumbprint(&record.chain), record.id)).collect();
        Self { by_thumbprint, by_name }
    }

    /// The certificate meant. A thumbprint says exactly which; a name without one may be anybody's.
    fn find(&self, reference: &CertificateReference) -> Result<CertificateId, String> {
        let named = reference.name.as_ref().and_then(|name| self.by_name.get(&name.trim().to_lowercase()));
        if let Some(wanted) = reference.thumbprint_sha256 {
            if let Some(id) = self.by_thumbprint.get(&wanted) {
                return Ok(*id);
            }
            return Err(match named {
                Some((_, name)) => format!(
                    "the certificate {name:?} is another one here; leave thumbprint_sha256 out if it is meant"
                ),
                None => "there is no such certificate here; upload it first, or use null for the default"
                    .to_owned(),
            });
        }
        named.map(|(id, _)| *id).ok_or_else(|| {
            "there is no certificate of that name here; upload it first, or use null".to_owned()
        })
    }
}

impl From<ImportCode> for ProblemKind {
    fn from(code: ImportCode) -> Self {
        match code {
            ImportCode::NameTaken => Self::NameTaken,
            ImportCode::UnknownCertificate => Self::UnknownCertificate,
            _ => Self::InvalidField,
        }
    }
}

fn thumbprint(chain: &CertificateChain) -> Sha256Thumbprint {
    chain.leaf().thumbprint_sha256()
}

/// The settings of a device here, and whether it connects by itself.
fn resolved(
    index: usize,
    device: ImportedDevice,
    certificates: &KnownCertificates,
    rules: DeviceRules,
) -> Result<(DeviceSettings, bool), Vec<Problem>> {
    let ImportedDevice { mut change, certificate, enabled } = device;
    let problem = |field: &str, kind, detail| Problem { index, field: field.to_owned(), kind, detail };
    let mut problems = Vec::new();
    match certificate.map(|reference| certificates.find(&reference)).transpose() {
        Ok(id) => change.certificate_id = Some(id),
        Err(detail) => problems.push(problem("certificate", ProblemKind::UnknownCertificate, detail)),
    }
    match change.into_settings(rules) {
        Ok(settings) if problems.is_empty() => return Ok((settings, enabled)),
        Ok(_) => {}
        Err(ServiceError::InvalidFields(faults)) => {
            let faults = faults.into_iter();
            problems
                .extend(faults.map(|fault| problem(fault.field, ProblemKind::InvalidField, fault.detail)));
        }
        Err(ServiceError::InvalidField { field, detail }) => {
            problems.push(problem(field, ProblemKind::InvalidField, detail));
        }
        Err(other) => problems.push(problem("", ProblemKind::InvalidField, other.to_string())),
    }
    Err(problems)
}
