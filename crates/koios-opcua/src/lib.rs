//! Devices on the wire: which certificate a device uses, discovery, the one connect path, verdicts, Test, supervisor.
//!
//! - **Pure**: [`effective_certificate`], [`preflight()`], [`select_endpoint`], [`judge_server_certificate`],
//!   [`RetryRule`]. They take values and the time, and touch nothing.
//! - **One attempt**: [`attempt()`] walks the [`Stage`]s under one deadline and ends in a session or a [`Verdict`];
//!   [`test()`] is an attempt that closes what it opened, [`discover`] stops after GetEndpoints. There is no other way
//!   to a server.
//! - **Verdict**: a [`Code`] from stage, speaker and status (the same status means other things from another mouth),
//!   ranked [`Cause`]s with their evidence, and what to do.
//! - **Trust guide**: what a person does to make a server trust a certificate, per product ([`recognise`],
//!   [`trust_guides`]).
//! - **Devices** (feature `store`, default): `target_of` makes the values from what is stored, `Supervisor` keeps every
//!   enabled device connected on threads of its own.
//!
//! The feature `deprecated-policies` has `Basic128Rsa15` and `Basic256`, which also [`DeprecatedPolicies`] must allow.
//!
//! Without the feature `store` the crate is connect and Test for whoever brings certificate and key:
//! see `examples/test_without_store.rs`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![warn(missing_debug_implementations)]
#![warn(clippy::exhaustive_enums)]
#![warn(clippy::exhaustive_structs)]
#![warn(clippy::unwrap_used)]
#![warn(clippy::expect_used)]
#![warn(clippy::panic)]
#![warn(clippy::indexing_slicing)]
#![warn(clippy::as_conversions)]
#![warn(clippy::missing_errors_doc)]
#![warn(clippy::missing_panics_doc)]
#![warn(clippy::print_stdout)]
#![warn(clippy::print_stderr)]

mod assignment;
mod attempt;
mod clock;
mod code;
mod connection_test;
mod deprecated_policies;
mod discovery;
mod earlier;
#[cfg(feature = "store")]
mod identities;
#[cfg(feature = "store")]
mod plan;
#[cfg(feature = "store")]
mod plan_key;
mod preflight;
#[cfg(feature = "store")]
mod presented;
mod retry;
mod selection;
mod server_certificate;
mod stage;
#[cfg(feature = "store")]
mod supervisor;
mod target;
mod target_networks;
#[cfg(test)]
mod test_identity;
mod trust_guide;
mod verdict;

pub use assignment::{EffectiveCertificate, effective_certificate};
pub use attempt::{Attempt, AttemptedEndpoint, Connected, attempt};
pub use clock::{ClockReading, ClockTrust};
pub use code::Code;
pub use connection_test::{ReportedClientCertificate, ReportedServer, TestReport, test, test_watched};
pub use deprecated_policies::{DeprecatedPolicies, deprecated_policy_warning};
pub use discovery::{DiscoveredEndpoint, Discovery, discover, discover_within};
pub use earlier::{EarlierAttempt, EarlierOutcome};
#[cfg(feature = "store")]
pub use plan::{DevicePlan, PlanError, effective_certificate_of, server_trust, server_validation, target_of};
pub use preflight::{Preflight, preflight};
#[cfg(feature = "store")]
pub use presented::judge_presented;
pub use retry::{RetryRule, retry_delay};
pub use selection::{SelectedEndpoint, SelectionCriteria, select_endpoint};
pub use server_certificate::{
    Acceptance, Presentation, PresentedServerCertificate, ServerTrust, ServerValidation,
    judge_server_certificate, read_server_certificate,
};
pub use stage::{Stage, StageOutcome, StageReport};
#[cfg(feature = "store")]
pub use supervisor::{
    ConnectLoad, ConnectObserver, DeviceStatus, DeviceTransition, StoppedDevice, Supervisor,
    SupervisorSettings, TestError,
};
pub use target::{CertificateLabel, ClientCertificate, Target, UnavailableReason};
pub use target_networks::{TargetNetwork, TargetNetworkError, TargetNetworks};
pub use trust_guide::{
    GuideConfidence, Known, RecognisedBy, Recognition, ServerIdentity, TrustGuide, recognise, trust_guide,
    trust_guides,
};
pub use verdict::{Cause, CauseCode, Confidence, Remedy, RemedyLink, ReportedBy, Verdict};

pub use koios_channel::{
    ApplicationDescription, BuildInfo, ClientIdentity, Endpoint, EndpointUrl, EndpointUrlError,
    IdentityError, SecurityMode, SecurityPolicy, StatusCode, UserIdentity, UserTokenKind,
};
