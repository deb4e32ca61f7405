//! Whether every value is one that can be used.

use std::{fmt, net::SocketAddr};

use koios_opcua::TargetNetwork;

use super::{
    ConfigError, Problem, Settings, Sources, VALIDITY_DAYS_MAX,
    form::{is_base_url, is_origin},
    sources::Findings,
};

/// More thresholds than anybody reads warnings of.
const EXPIRY_WARNINGS_MAX: usize = 32;

/// Collects what cannot be used, with the places where it was given.
struct Check<'a> {
    sources: &'a Sources,
    findings: &'a mut Findings,
}

impl Check<'_> {
    fn within(&mut self, good: bool, key: &'static str, value: &dyn fmt::Display, expected: &'static str) {
        if !good {
            self.refuse(key, ConfigError::OutOfRange { key, value: value.to_string(), expected });
        }
    }

    fn refuse(&mut self, key: &'static str, error: ConfigError) {
        self.findings.problems.push(Problem::new(self.sources.origin(key).cloned(), error));
    }
}

impl Settings {
    /// Adds everything that cannot be used to the findings.
    pub(super) fn check(&mut self, sources: &Sources, findings: &mut Findings) {
        let mut check = Check { sources, findings };
        if let Some(path) = &self.master_key_file {
            check.within(!path.as_os_str().is_empty(), "master_key_file", &"empty", "the path of a file");
        }
        check.within(!self.data_dir.as_os_str().is_empty(), "data_dir", &"empty", "the path of a folder");
        let days = self.default_validity_days;
        check.within(
            (1..=VALIDITY_DAYS_MAX).contains(&days),
            "default_validity_days",
            &days,
            "1 to 9125 days",
        );
        let days = self.expiring_soon_days;
        check.within(days <= VALIDITY_DAYS_MAX, "expiring_soon_days", &days, "0 to 9125 days");
        let known = 1..=VALIDITY_DAYS_MAX;
        let wrong = self.expiry_warning_days.iter().find(|days| !known.contains(days));
        let expected = "a list of 1 to 9125 days each";
        check.within(wrong.is_none(), "expiry_warning_days", wrong.unwrap_or(&0), expected);
        let count = self.expiry_warning_days.len();
        check.within(
            count <= EXPIRY_WARNINGS_MAX,
            "expiry_warning_days",
            &count,
            "at most 32 numbers of days",
        );
        let seconds = self.retry_max_seconds;
        check.within((1.0..=3600.0).contains(&seconds), "retry_max_seconds", &seconds, "1 to 3600 seconds");
        let attempts = self.connect_concurrency;
        check.within((1..=1024).contains(&attempts), "connect_concurrency", &attempts, "1 to 1024");
        let sessions = self.session_limit;
        check.within((1..=100_000).contains(&sessions), "session_limit", &sessions, "1 to 100000");
        self.organization =
            self.organization.take().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        if let Some(name) = &self.organization {
            let good = name.chars().count() <= 64 && !name.chars().any(char::is_control);
            check.within(
                good,
                "organization",
                &name.escape_default(),
                "at most 64 characters without control characters",
            );
        }
        for origin in &self.cors_allowed_origins {
            let expected = "an origin such as https://koios.plant.example or http://localhost:3000";
            check.within(is_origin(origin), "cors_allowed_origins", &origin.escape_default(), expected);
        }
        if self.allow_deprecated_policies && !cfg!(feature = "deprecated-policies") {
            check.refuse("allow_deprecated_policies", ConfigError::DeprecatedPoliciesNotBuilt);
        }
        if let Err(problem) = self.tls.check() {
            check.refuse("tls.certificate", ConfigError::Tls(problem));
        }
        if let Some(url) = self.public_url.take().filter(|url| !url.is_empty()) {
            let expected = "http:// or https:// with a host, perhaps a port and a path, without query, user and fragment";
            let url = url.trim_end_matches('/').to_owned();
            check.within(is_base_url(&url), "public_url", &url.escape_default(), expected);
            self.public_url = Some(url);
        }
        let connections = self.max_connections;
        check.within((16..=65_536).contains(&connections), "max_connections", &connections, "16 to 65536");
        let each = self.max_connections_per_address;
        check.within((4..=65_536).contains(&each), "max_connections_per_address", &each, "4 to 65536");
        let seconds = self.client_timeout_seconds;
        check.within((1..=300).contains(&seconds), "client_timeout_seconds", &seconds, "1 to 300 seconds");
        for network in &self.test_allowed_networks {
            let expected = "a network such as 10.1.0.0/16 or fd00:1::/64, or an address";
            let good = network.parse::<TargetNetwork>().is_ok();
            check.within(good, "test_allowed_networks", &network.escape_default(), expected);
        }
        if !is_loopback(self.listen) && !self.tls.is_on() && !self.insecure_allow_plain_http {
            check.refuse("listen", ConfigError::PlainHttpOnNetwork { listen: self.listen });
        }
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
