//! Wishes about a device's settings, and the settings they lead to.

use std::fmt;

use koios_channel::{EndpointUrl, is_spoken};
use koios_opcua::DeprecatedPolicies;
use koios_pki::{SecurityMode, SecurityPolicy};
use koios_store::{
    CertificateId, Device, DeviceSettings, Name, PasswordChange, ServerCertificatePolicy, UserSettings,
};
use zeroize::Zeroizing;

use crate::service::error::{FieldFault, ServiceError};

/// What the configuration says of devices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceRules {
    pub(crate) deprecated: DeprecatedPolicies,
    /// Of new devices that name none.
    pub(crate) default_server_certificate_policy: ServerCertificatePolicy,
}

/// Changes to settings; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<Option<String>>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) security_mode: Option<SecurityMode>,
    /// `Some(None)` is `auto`.
    pub(crate) security_policy: Option<Option<SecurityPolicy>>,
    pub(crate) certificate_id: Option<Option<CertificateId>>,
    pub(crate) user_identity: Option<UserChange>,
    pub(crate) server_certificate_policy: Option<ServerCertificatePolicy>,
    pub(crate) server_host_name_check: Option<bool>,
    pub(crate) trust_guide_product: Option<Option<String>>,
    pub(crate) scan_rate_seconds: Option<f64>,
    pub(crate) timeout_seconds: Option<f64>,
}

/// Changes to who a device logs in as, merged into what it was (RFC 7396).
#[derive(Clone, Default)]
pub(crate) struct UserChange {
    pub(crate) kind: Option<UserKind>,
    pub(crate) username: Option<String>,
    /// `Some(None)` removes the stored password.
    pub(crate) password: Option<Option<Zeroizing<String>>>,
}

impl fmt::Debug for UserChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, username, password: _ } = self;
        f.debug_struct("UserChange").field("kind", kind).field("username", username).finish_non_exhaustive()
    }
}

/// The kinds of user identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UserKind {
    Anonymous,
    UserName,
}

impl DeviceChange {
    /// The settings of a new device.
    pub(crate) fn into_settings(self, rules: DeviceRules) -> Result<DeviceSettings, ServiceError> {
        if self.name.is_none() {
            return Err(ServiceError::invalid_field("name", REQUIRED));
        }
        self.into_unnamed_settings(rules)
    }

    /// Settings to test with: a name is not needed.
    pub(crate) fn into_unnamed_settings(self, rules: DeviceRules) -> Result<DeviceSettings, ServiceError> {
        let Some(endpoint_url) = self.endpoint_url.clone() else {
            return Err(ServiceError::invalid_field("endpoint_url", REQUIRED));
        };
        let name =
            Name::parse("unnamed").map_err(|error| ServiceError::invalid_field("name", error.to_string()))?;
        let mut settings = DeviceSettings::new(name, endpoint_url);
        settings.server_certificate_policy = rules.default_server_certificate_policy;
        self.apply_to(settings, rules.deprecated)
    }

    /// The settings of a device that exists already.
    pub(crate) fn merged_into(
        self,
        device: &Device,
        deprecated: DeprecatedPolicies,
    ) -> Result<DeviceSettings, ServiceError> {
        let settings = DeviceSettings::of(device)
            .map_err(|error| ServiceError::invalid_field("name", error.to_string()))?;
        self.apply_to(settings, deprecated)
    }

    /// Checks every field that is given and names all that do not fit at once.
    fn apply_to(
        self,
        mut settings: DeviceSettings,
        deprecated: DeprecatedPolicies,
    ) -> Result<DeviceSettings, ServiceError> {
        let mut faults = Vec::new();
        let mut fault = |field: &'static str, detail: String| faults.push(FieldFault { field, detail });
        if let Some(name) = self.name {
            match Name::parse(&name) {
                Ok(name) => settings.name = name,
                Err(error) => fault("name", error.to_string()),
            }
        }
        if let Some(description) = self.description {
            // An empty description is none.
            let description = description.filter(|text| !text.trim().is_empty());
            if description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
                fault("description", format!("must have at most {DESCRIPTION_MAX} characters"));
            }
            settings.description = description;
        }
        if let Some(url) = self.endpoint_url {
            if let Err(error) = EndpointUrl::parse(&url) {
                fault("endpoint_url", format!("{error}; it looks like opc.tcp://press4:4840/path"));
            }
            settings.endpoint_url = url;
        }
        if let Some(product) = self.trust_guide_product {
            let good = |text: &String| {
                !text.is_empty() && text.len() <= PRODUCT_MAX && !text.contains(char::is_control)
            };
            if !product.as_ref().is_none_or(good) {
                fault(
                    "trust_guide_product",
                    format!("must have 1 to {PRODUCT_MAX} bytes without control characters"),
                );
            }
            settings.trust_guide_product = product;
        }
        if let Some(seconds) = self.scan_rate_seconds {
            if !(0.1..=3600.0).contains(&seconds) {
                fault("scan_rate_seconds", "must be a number from 0.1 to 3600".to_owned());
            }
            settings.scan_rate_seconds = seconds;
        }
        if let Some(seconds) = self.timeout_seconds {
            match whole_seconds(seconds) {
                Some(seconds) => settings.timeout_seconds = seconds,
                None => fault("timeout_seconds", TIMEOUT_RANGE.to_owned()),
            }
        }
        if let Some(user) = self.user_identity {
            match user.merged_into(settings.user_identity.clone()) {
                Ok(user) => settings.user_identity = user,
                Err(error) => faults.push(error),
            }
        }
        settings.server_certificate_policy =
            self.server_certificate_policy.unwrap_or(settings.server_certificate_policy);
        settings.security_mode = self.security_mode.unwrap_or(settings.security_mode);
        if let Some(policy) = self.security_policy {
            // One that is stored already is no reason to refuse another change: it just does not connect.
            let is_new = policy != settings.security_policy;
            if let Some(policy) = policy.filter(|policy| is_new && !deprecated.allow(*policy)) {
                let detail = if is_spoken(policy) { SWITCHED_OFF } else { NOT_BUILT };
                faults.push(FieldFault { field: "security_policy", detail: detail.to_owned() });
            }
            settings.security_policy = policy;
        }
        let names_deprecated = settings.security_policy.is_some_and(SecurityPolicy::is_deprecated)
            && settings.security_mode != SecurityMode::None;
        if names_deprecated && matches!(settings.user_identity, UserSettings::UserName { .. }) {
            faults.push(FieldFault { field: "user_identity", detail: NO_PASSWORD.to_owned() });
        }
        settings.certificate_id = self.certificate_id.unwrap_or(settings.certificate_id);
        settings.server_host_name_check =
            self.server_host_name_check.unwrap_or(settings.server_host_name_check);
        if faults.is_empty() { Ok(settings) } else { Err(ServiceError::InvalidFields(faults)) }
    }
}

impl UserChange {
    fn merged_into(self, before: UserSettings) -> Result<UserSettings, FieldFault> {
        let fault = |field, detail: &str| Err(FieldFault { field, detail: detail.to_owned() });
        let (kind, username) = match before {
            UserSettings::UserName { username, .. } => (UserKind::UserName, Some(username)),
            _ => (UserKind::Anonymous, None),
        };
        if self.kind.unwrap_or(kind) == UserKind::Anonymous {
            if self.username.is_some() || matches!(self.password, Some(Some(_))) {
                return fault("user_identity.type", "must be username when a user name or password is given");
            }
            return Ok(UserSettings::Anonymous);
        }
        let username = match self.username.or(username) {
            None => return fault("user_identity.username", REQUIRED),
            Some(name) if name.is_empty() || name.len() > USER_MAX => {
                return fault("user_identity.username", "must have 1 to 4096 bytes");
            }
            Some(name) => name,
        };
        let password = match self.password {
            None => PasswordChange::Keep,
            Some(None) => PasswordChange::Clear,
            Some(Some(password)) if password.len() > USER_MAX => {
                return fault("user_identity.password", "must have at most 4096 bytes");
            }
            Some(Some(password)) => PasswordChange::Set(password),
        };
        Ok(UserSettings::UserName { username, password })
    }
}

/// A whole number of seconds that an attempt may take.
pub(crate) fn whole_seconds(seconds: f64) -> Option<u32> {
    let whole = seconds.fract() == 0.0 && (1.0..=300.0).contains(&seconds);
    // The range fits, so the text of the number does.
    if whole { format!("{seconds:.0}").parse().ok() } else { None }
}

/// What a timeout must be.
pub(crate) const TIMEOUT_RANGE: &str = "must be a whole number from 1 to 300";
const REQUIRED: &str = "this field is required";
const SWITCHED_OFF: &str = "the deprecated policies are switched off; use auto or a current policy, or set \
                            allow_deprecated_policies where nothing else is possible";
const NOT_BUILT: &str =
    "this build cannot use the deprecated SHA-1 policies; use auto or one of the Sha256 policies";
const NO_PASSWORD: &str =
    "a password is never sent under a deprecated security policy; use anonymous, or a current policy";
const DESCRIPTION_MAX: usize = 1024;
const PRODUCT_MAX: usize = 128;
/// Far more than servers take; bounds what is stored and encrypted.
const USER_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> DeviceChange {
        DeviceChange {
            name: Some(" Press 4 ".to_owned()),
            endpoint_url: Some("opc.tcp://press4".to_owned()),
            ..DeviceChange::default()
        }
    }

    fn user(kind: Option<UserKind>, username: Option<&str>, password: Option<Option<&str>>) -> UserChange {
        let password = password.map(|password| password.map(|text| Zeroizing::new(text.to_owned())));
        UserChange { kind, username: username.map(str::to_owned), password }
    }

    const REFUSED: DeviceRules = DeviceRules {
        deprecated: DeprecatedPolicies::Refused,
        default_server_certificate_policy: ServerCertificatePolicy::Pin,
    };

    /// The fields that are at fault.
    fn faults(change: DeviceChange, rules: DeviceRules) -> Vec<&'static str> {
        match change.into_settings(rules) {
            Ok(_) => Vec::new(),
            Err(ServiceError::InvalidFields(faults)) => faults.iter().map(|fault| fault.field).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_deprecated_policy_is_switched_on_first_and_takes_no_password() {
        let old = |mode| DeviceChange {
            security_mode: Some(mode),
            security_policy: Some(Some(SecurityPolicy::Basic256)),
            ..minimal()
        };
        let with_user = |mode| DeviceChange {
            user_identity: Some(user(Some(UserKind::UserName), Some("op"), Some(Some("secret")))),
            ..old(mode)
        };
        let sign = SecurityMode::Sign;
        assert_eq!(faults(old(sign), REFUSED), ["security_policy"]);
        assert_eq!(faults(with_user(sign), REFUSED), ["security_policy", "user_identity"]);
        if is_spoken(SecurityPolicy::Basic256) {
            let allowed = DeviceRules { deprecated: DeprecatedPolicies::Allowed, ..REFUSED };
            assert!(faults(old(sign), allowed).is_empty());
            assert_eq!(faults(with_user(sign), allowed), ["user_identity"]);
            assert!(faults(with_user(SecurityMode::None), allowed).is_empty(), "it is not used there");
        }
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let settings = minimal().into_settings(REFUSED).unwrap();
        assert_eq!(settings.name.as_str(), "Press 4");
        assert_eq!(settings.security_mode, SecurityMode::None);
        assert_eq!(settings.server_certificate_policy, ServerCertificatePolicy::Pin);
        assert_eq!((settings.scan_rate_seconds, settings.timeout_seconds), (1.0, 10));
        assert!(settings.server_host_name_check);
    }

    #[test]
    fn a_new_device_has_the_configured_policy_for_server_certificates_unless_it_names_one() {
        let rules =
            DeviceRules { default_server_certificate_policy: ServerCertificatePolicy::TrustList, ..REFUSED };
        let silent = minimal().into_settings(rules).unwrap();
        assert_eq!(silent.server_certificate_policy, ServerCertificatePolicy::TrustList);
        let policy = ServerCertificatePolicy::Pin;
        let named = DeviceChange { server_certificate_policy: Some(policy), ..minimal() };
        assert_eq!(named.into_settings(rules).unwrap().server_certificate_policy, policy);
    }

    #[test]
    fn every_field_that_does_not_fit_is_named_at_once() {
        let change = DeviceChange {
            name: Some("\u{7}".to_owned()),
            description: Some(Some("x".repeat(1025))),
            endpoint_url: Some("http://press4".to_owned()),
            trust_guide_product: Some(Some(String::new())),
            scan_rate_seconds: Some(0.05),
            timeout_seconds: Some(1.5),
            user_identity: Some(user(Some(UserKind::UserName), None, None)),
            ..DeviceChange::default()
        };
        let Err(ServiceError::InvalidFields(faults)) = change.into_settings(REFUSED) else {
            panic!("accepted")
        };
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field).collect();
        let expected = [
            "name",
            "description",
            "endpoint_url",
            "trust_guide_product",
            "scan_rate_seconds",
            "timeout_seconds",
            "user_identity.username",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_timeout_is_whole_seconds_within_its_range() {
        for (seconds, whole) in [(1.0, Some(1)), (300.0, Some(300)), (10.0, Some(10))] {
            assert_eq!(whole_seconds(seconds), whole);
        }
        for seconds in [0.0, 0.5, 1.5, 301.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(whole_seconds(seconds), None, "{seconds}");
        }
    }

    #[test]
    fn a_user_is_merged_field_by_field_and_never_loses_the_password_by_silence() {
        let op = || UserSettings::UserName { username: "op".to_owned(), password: PasswordChange::Keep };
        let merged = user(None, Some("eve"), None).merged_into(op()).unwrap();
        let UserSettings::UserName { username, password: PasswordChange::Keep } = merged else {
            panic!("{merged:?}")
        };
        assert_eq!(username, "eve");
        let merged = user(None, None, Some(None)).merged_into(op()).unwrap();
        assert!(
            matches!(merged, UserSettings::UserName { password: PasswordChange::Clear, .. }),
            "{merged:?}"
        );
        let merged = user(None, None, Some(Some("s"))).merged_into(op()).unwrap();
        assert!(
            matches!(merged, UserSettings::UserName { password: PasswordChange::Set(_), .. }),
            "{merged:?}"
        );
        let merged = user(Some(UserKind::Anonymous), None, None).merged_into(op()).unwrap();
        assert!(matches!(merged, UserSettings::Anonymous), "{merged:?}");
    }

    #[test]
    fn an_anonymous_user_has_neither_name_nor_password() {
        for change in [user(None, Some("op"), None), user(None, None, Some(Some("s")))] {
            let fault = change.merged_into(UserSettings::Anonymous).unwrap_err();
            assert_eq!(fault.field, "user_identity.type");
        }
    }
}
