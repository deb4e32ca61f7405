//! Whether every value is one that can be used.

use std::fmt;

use super::{ConfigError, Settings, VALIDITY_DAYS_MAX, form::is_origin};

impl Settings {
    pub(super) fn check(mut self) -> Result<Self, ConfigError> {
        fn within(
            good: bool,
            key: &'static str,
            value: &dyn fmt::Display,
            expected: &'static str,
        ) -> Result<(), ConfigError> {
            if good {
                return Ok(());
            }
            Err(ConfigError::OutOfRange { key, value: value.to_string(), expected })
        }

        if let Some(path) = &self.master_key_file {
            within(!path.as_os_str().is_empty(), "master_key_file", &"empty", "the path of a file")?;
        }
        within(!self.data_dir.as_os_str().is_empty(), "data_dir", &"empty", "the path of a folder")?;
        let days = self.default_validity_days;
        within((1..=VALIDITY_DAYS_MAX).contains(&days), "default_validity_days", &days, "1 to 9125 days")?;
        let days = self.expiring_soon_days;
        within(days <= VALIDITY_DAYS_MAX, "expiring_soon_days", &days, "0 to 9125 days")?;
        let seconds = self.retry_max_seconds;
        within((1.0..=3600.0).contains(&seconds), "retry_max_seconds", &seconds, "1 to 3600 seconds")?;
        let attempts = self.connect_concurrency;
        within((1..=1024).contains(&attempts), "connect_concurrency", &attempts, "1 to 1024")?;
        self.organization =
            self.organization.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        if let Some(name) = &self.organization {
            let good = name.chars().count() <= 64 && !name.chars().any(char::is_control);
            within(good, "organization", name, "at most 64 characters without control characters")?;
        }
        for origin in &self.cors_allowed_origins {
            let expected = "an origin such as https://koios.plant.example or http://localhost:3000";
            within(is_origin(origin), "cors_allowed_origins", origin, expected)?;
        }
        if self.allow_deprecated_policies && !cfg!(feature = "deprecated-policies") {
            return Err(ConfigError::DeprecatedPoliciesNotBuilt);
        }
        if !self.listen.ip().to_canonical().is_loopback() && !self.insecure_allow_plain_http {
            return Err(ConfigError::PlainHttpOnNetwork { listen: self.listen });
        }
        Ok(self)
    }
}
