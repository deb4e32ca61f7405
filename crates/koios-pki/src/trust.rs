//! Whether to trust a peer's certificate: the eleven steps of OPC 10000-4 §6.1.3.

mod error;
mod identity;
mod path;
mod policy;
mod revocation;
mod status;
mod structure;
mod suppression;
mod usage;
mod verdict;

use std::ops::ControlFlow;

use time::OffsetDateTime;

pub use self::error::{TrustError, TrustErrorKind};
use self::path::Search;
pub use self::status::{TrustStatus, ValidationStep};
pub(crate) use self::structure::fault as structure_fault;
pub use self::suppression::{Suppression, Suppressions};
use crate::{Certificate, CertificateChain, CertificateType, RevocationList};

/// What an application trusts: the content of an OPC UA trust list (OPC 10000-12 §7.8.2).
///
/// Trusted and issuer revocation lists are one here, because a list is chosen by issuer and signature only.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TrustList {
    /// Certificates that are trusted: those of applications for themselves, those of authorities, root or not, for
    /// everything below them.
    pub trusted: Vec<Certificate>,
    /// Certificates of authorities that complete chains and give **no** trust.
    pub issuers: Vec<Certificate>,
    /// Revocation lists of the authorities of both.
    pub revocation_lists: Vec<RevocationList>,
}

impl TrustList {
    /// A list of these, in the order of the fields.
    pub fn new(
        trusted: Vec<Certificate>,
        issuers: Vec<Certificate>,
        revocation_lists: Vec<RevocationList>,
    ) -> Self {
        Self { trusted, issuers, revocation_lists }
    }
}

/// What the certificate is validated for, and how strictly; [`ValidationParams::new`] gives the strictest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ValidationParams<'a> {
    /// The instant for which everything is checked.
    pub at: OffsetDateTime,
    /// What the peer is to us.
    pub role: PeerRole,
    /// The host of the URL that leads to the server: step 7, for [`PeerRole::Server`] only. `None`: not checked.
    pub host: Option<&'a str>,
    /// The URI the application gives as its own: step 8, not for [`PeerRole::User`]. `None`: not checked.
    pub application_uri: Option<&'a str>,
    /// The type the security policy asks for: step 4. `None`: the current type that fits the leaf's key
    /// (`RsaSha256`, `EccNistP256` or `EccNistP384`), so that weak keys and hashes fail here too.
    pub certificate_type: Option<CertificateType>,
    /// Checks an administrator has switched off; none by default.
    pub suppressed: Suppressions,
    /// What to do where no revocation list answers; [`UnknownRevocation::Deny`] by default.
    pub unknown_revocation: UnknownRevocation,
    /// What to do with old self-signed application certificates that call themselves an authority;
    /// [`SelfSignedAuthority::Refuse`] by default.
    pub self_signed_authority: SelfSignedAuthority,
}

impl ValidationParams<'_> {
    /// Everything checked that can be without further input, nothing suppressed.
    pub fn new(at: OffsetDateTime, role: PeerRole) -> Self {
        Self {
            at,
            role,
            host: None,
            application_uri: None,
            certificate_type: None,
            suppressed: Suppressions::NONE,
            unknown_revocation: UnknownRevocation::Deny,
            self_signed_authority: SelfSignedAuthority::Refuse,
        }
    }
}

/// What the peer is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerRole {
    /// A server we connect to: its certificate must be for serverAuth, and name the host.
    Server,
    /// A client that connects: its certificate must be for clientAuth.
    Client,
    /// A person or machine that signs in with an X.509 token (OPC 10000-6 §6.2.3): no URI, no host name, no
    /// extended key usage.
    User,
}

/// What to do where no revocation list tells whether a certificate is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "what is unknown can only be denied or allowed")]
pub enum UnknownRevocation {
    /// Refuse it, as the standard wants.
    #[default]
    Deny,
    /// Accept it, for plants whose authorities publish no lists; each is recorded in [`VerifiedChain::suppressed`].
    Allow,
}

/// What to do with a self-signed application certificate whose basicConstraints say cA.
///
/// Older stacks made such certificates; OPC 10000-6 §6.2.2 lets an application accept them by configuration, with a
/// path length of 0 and not while revocation goes unchecked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "they are refused or accepted as the standard allows")]
pub enum SelfSignedAuthority {
    /// Step 9 fails.
    #[default]
    Refuse,
    /// Step 9 passes for a certificate that is itself in the trusted list and has a path length of 0, unless
    /// revocation may go unknown ([`UnknownRevocation::Allow`], [`Suppression::RevocationUnknown`]).
    AcceptPathLenZero,
}

/// A chain that passed [`validate`]: nothing else makes one.
#[derive(Clone, Debug)]
pub struct VerifiedChain {
    certificates: Vec<Certificate>,
    trusted_by: usize,
    suppressed: Vec<TrustError>,
}

impl VerifiedChain {
    /// The chain, from the leaf to the self-signed root.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The certificate of the trusted list that gave the trust; the nearest to the leaf, or the leaf itself.
    pub fn trusted_by(&self) -> &Certificate {
        // The index was found in this very chain.
        self.certificates.get(self.trusted_by).unwrap_or_else(|| self.leaf())
    }

    /// The peer's own certificate.
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "a verified chain holds its leaf")]
    pub fn leaf(&self) -> &Certificate {
        self.certificates.first().expect("a verified chain holds its leaf")
    }

    /// The failures that were accepted because of [`ValidationParams::suppressed`] or
    /// [`ValidationParams::unknown_revocation`]; each belongs into the audit log.
    pub fn suppressed(&self) -> &[TrustError] {
        &self.suppressed
    }
}

/// Validates a peer's certificate, with the certificates it sent along, in the eleven steps of OPC 10000-4 §6.1.3.
///
/// - **Chain**: from the leaf over certificates of both lists and of the peer to a self-signed root, also when the leaf
///   itself is trusted. An issuer is found by its name, byte for byte or re-encoded (`PrintableString` for
///   `UTF8String`, nothing else), and proved by its signature; key identifiers rank and never veto. A signature that
///   does not verify is [`TrustStatus::CertificateInvalid`], unless key identifiers say that the issuer at hand is
///   another one of that name: then it is missing.
/// - **Trust**: a certificate of the chain is in the trusted list, byte for byte. The issuer list gives none.
/// - **Extensions**: critical ones that are not understood are refused in step 1, and so are name constraints, critical
///   or not, because they are not applied. Certificate policies bind nobody here; other policy extensions are refused
///   when critical.
/// - **Revocation**: each certificate but the root needs a complete, current list, with that issuer's name and signature.
///   Being expired, or without an end, it clears nobody, and its entries still revoke. Indirect, delta and partial lists
///   and those with unknown critical extensions are ignored whole ([`RevocationList::unusable`]).
/// - **Work**: at most 10 certificates in a chain, 100 signatures and 1000 certificates looked at; beyond is
///   [`TrustErrorKind::TooMuchWork`], which nothing suppresses. Each signature is verified once.
///
/// Where a chain passes with nothing suppressed it is taken, else the one that needs least.
///
/// ```
/// use koios_pki::{
///     KeySpec, PeerRole, PrivateKey, SelfSignedParams, SerialNumber, TrustList, TrustStatus, Validity,
///     ValidationParams, self_signed, validate,
/// };
/// use time::macros::datetime;
///
/// # let now = datetime!(2026-11-23 10:00 UTC);
/// # let serial = SerialNumber::from_random_bytes([0x5A; 16]);
/// # let mut params =
/// #     SelfSignedParams::new("server", "Plant", "urn:gw01:server".parse()?, Validity::starting_at(now, 365), serial);
/// # params.dns_names.push("gw01".to_owned());
/// # let certificate = self_signed(&params, &PrivateKey::generate(KeySpec::Rsa2048)?)?;
/// let mut params = ValidationParams::new(now, PeerRole::Server);
/// params.host = Some("gw01");
/// params.application_uri = Some("urn:gw01:server");
/// let chain = certificate.clone().into();
/// let mut trust = TrustList::default();
///
/// let error = validate(&chain, &trust, &params).unwrap_err();
/// assert_eq!(error.status(), TrustStatus::Untrusted);
/// assert_eq!(error.step().number(), 5);
///
/// trust.trusted.push(certificate);
/// let verified = validate(&chain, &trust, &params)?;
/// assert!(verified.suppressed().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The most telling failure, see [`TrustError`].
pub fn validate(
    chain: &CertificateChain,
    trust: &TrustList,
    params: &ValidationParams<'_>,
) -> Result<VerifiedChain, TrustError> {
    // Without a sound leaf there is nothing to look an issuer up by.
    let leaf = chain.leaf();
    if let Some(kind) = structure::fault(leaf) {
        return Err(TrustError::new(leaf, 0, kind));
    }
    let mut accepted: Option<VerifiedChain> = None;
    let mut refused: Option<TrustError> = None;
    let dead_end = Search::new(chain, trust).run(&mut |path, links| {
        match verdict::of(leaf, path, trust, params, links) {
            Ok(verified) if verified.suppressed.is_empty() => {
                accepted = Some(verified);
                return ControlFlow::Break(());
            }
            // Another chain may need less to be overlooked.
            Ok(verified) => {
                let fewer = |best: &VerifiedChain| verified.suppressed.len() < best.suppressed.len();
                if accepted.as_ref().is_none_or(fewer) {
                    accepted = Some(verified);
                }
            }
            Err(error) => {
                if refused.as_ref().is_none_or(|best| error.step() > best.step()) {
                    refused = Some(error);
                }
            }
        }
        ControlFlow::Continue(())
    });
    if let Some(verified) = accepted {
        return Ok(verified);
    }
    Err(match (refused, dead_end) {
        (Some(error), _) => error,
        (None, Some(end)) => TrustError::new(end.certificate, end.depth, end.kind),
        (None, None) => {
            TrustError::new(leaf, 0, TrustErrorKind::IssuerMissing { issuer: leaf.issuer().to_owned() })
        }
    })
}
