//! Every setting in one place: what the environment may set, what `koiosd config show` shows, and the reference.

use Reload::{AtOnce, Restart};
use ValueKind::{Literal, Text};

/// One setting.
///
/// A new one is a field of [`Settings`](super::Settings), a row of [`SETTINGS`] and, where it has bounds, a line in `check`.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key in the file; a dot stands between a table and a key in it.
    pub(crate) key: &'static str,
    /// How the environment's text is read.
    pub(super) kind: ValueKind,
    /// The flag that sets it too.
    pub(super) flag: Option<&'static str>,
    /// Type and unit, in Markdown.
    pub(super) form: &'static str,
    /// The value where no source names one, in TOML.
    pub(super) default: Option<&'static str>,
    /// What the reference says about the default, in Markdown, where TOML does not say it best.
    pub(super) default_in_words: Option<&'static str>,
    /// Whether a running daemon takes a change.
    pub(crate) reload: Reload,
    /// What it is for, in Markdown.
    pub(super) meaning: &'static str,
}

/// Whether a running daemon takes a change at SIGHUP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reload {
    AtOnce,
    Restart,
}

/// How the text of an environment variable is read: as it stands, or like a TOML value, so that `KOIOS_ORGANIZATION=42` stays
/// text and `KOIOS_CONNECT_CONCURRENCY=42` is a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ValueKind {
    Literal,
    Text,
}

impl Setting {
    const fn new(
        key: &'static str,
        kind: ValueKind,
        form: &'static str,
        default: Option<&'static str>,
    ) -> Self {
        Self { key, kind, flag: None, form, default, default_in_words: None, reload: Restart, meaning: "" }
    }

    const fn flag(self, flag: &'static str) -> Self {
        Self { flag: Some(flag), ..self }
    }

    const fn default_in_words(self, words: &'static str) -> Self {
        Self { default_in_words: Some(words), ..self }
    }

    const fn means(self, reload: Reload, meaning: &'static str) -> Self {
        Self { reload, meaning, ..self }
    }

    /// The setting of that key.
    pub(super) fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("KOIOS_{}", self.key.to_ascii_uppercase().replace('.', "__"))
    }
}

/// In the order of the reference; the tables of the file come last, each in one piece.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::new("listen", Text, "address:port", Some("\"127.0.0.1:8470\"")).flag("--listen").means(
        Restart,
        "where the REST API answers; port 0 takes a free one and the ready line tells which",
    ),
    Setting::new("data_dir", Text, "folder", None)
        .flag("--data-dir")
        .default_in_words("`$XDG_DATA_HOME/koios`, else `~/.local/share/koios`")
        .means(
            Restart,
            "everything that Koios keeps; created 0700; one daemon per folder; must be on a local file system",
        ),
    Setting::new("encryption_at_rest", Literal, "boolean", Some("false"))
        .means(Restart, "whether private keys lie encrypted on the disk: [below](#secrets-on-the-disk)"),
    Setting::new("master_key_file", Text, "file", None)
        .default_in_words("none: the key is in `secrets.key` in the data directory")
        .means(
            Restart,
            "the master key, kept outside of the data directory: 32 random bytes, raw, as 64 hexadecimal digits or in base64",
        ),
    Setting::new("log_level", Text, "`error` `warn` `info` `debug` `trace`", Some("\"info\""))
        .means(AtOnce, "how much Koios logs, to standard error"),
    Setting::new("log_format", Text, "`text` `json`", Some("\"text\""))
        .flag("--log-format")
        .means(Restart, "lines for people, or one JSON object a line"),
    Setting::new(
        "cors_allowed_origins",
        Text,
        "list of origins; comma-separated in the environment",
        Some("[]"),
    )
    .means(AtOnce, "web pages that may call the API, e.g. `https://scada.plant.example`"),
    Setting::new("console", Literal, "boolean", Some("false")).flag("--console").means(
        Restart,
        "whether the [example console](../examples/console/README.md) is served at `/console/`, without a token; the page asks \
         for one",
    ),
    Setting::new("insecure_allow_plain_http", Literal, "boolean", Some("false")).means(
        Restart,
        "allows an address other than loopback without TLS: tokens and keys then cross the network readable; said with a \
         warning at each start",
    ),
    Setting::new("public_url", Text, "`http://` or `https://`, host, perhaps port and path", None)
        .default_in_words("none: links are paths")
        .means(
            Restart,
            "what links in answers start with (`Location`, the certificate of a trust guide, the remedies of a Test), where \
             clients reach the API by another address, as behind a proxy",
        ),
    Setting::new("max_connections", Literal, "16 to 65536", Some("1024"))
        .means(Restart, "connections of clients at the same time; more wait until one ends"),
    Setting::new("max_connections_per_address", Literal, "4 to 65536", Some("256")).means(
        Restart,
        "how many of them one address (of IPv6: one /64) may have; more are closed at once. Behind a proxy every client has \
         the proxy's address: raise it there",
    ),
    Setting::new("client_timeout_seconds", Literal, "1 to 300 seconds", Some("30")).means(
        Restart,
        "how long a client may take for a TLS handshake, for the head of a request, for its body, and for taking anything of \
         its answer; then it is cut off",
    ),
    Setting::new(
        "test_allowed_networks",
        Text,
        "list of networks; comma-separated in the environment",
        Some("[]"),
    )
    .default_in_words("none: all")
    .means(
        Restart,
        "the networks that Koios opens OPC UA connections to, such as `10.1.0.0/16` or `fd00:1::/64`: \
         [below](#where-koios-connects-to)",
    ),
    Setting::new("allow_deprecated_policies", Literal, "boolean", Some("false")).means(
        Restart,
        "whether devices may name `Basic128Rsa15` and `Basic256`, for PLCs that know nothing else, and certificates with RSA \
         keys of 1024 to 2047 bits may be uploaded for them. Needs a build with `--features deprecated-policies`; what it \
         costs says [SECURITY.md](../SECURITY.md)",
    ),
    Setting::new("create_default_certificate", Literal, "boolean", Some("true")).means(
        Restart,
        "whether the first start generates the certificate *Default*; otherwise the first one made becomes the default",
    ),
    Setting::new("organization", Text, "text of at most 64 characters", None)
        .default_in_words("none (`Koios`)")
        .means(AtOnce, "the subject's organization (O) where a request names none"),
    Setting::new("default_key", Text, "`rsa-2048` `rsa-3072` `rsa-4096`", Some("\"rsa-2048\""))
        .means(AtOnce, "the key of generated certificates where a request names none"),
    Setting::new("default_validity_days", Literal, "1 to 9125 days", Some("1095"))
        .means(AtOnce, "their validity"),
    Setting::new("expiring_soon_days", Literal, "0 to 9125 days", Some("30"))
        .means(AtOnce, "how long before its end a certificate has the badge *expiring soon*"),
    Setting::new(
        "expiry_warning_days",
        Text,
        "list of 1 to 9125 days, at most 32; comma-separated in the environment",
        Some("[60, 30, 14, 7, 1]"),
    )
    .means(
        AtOnce,
        "how many days before its end a certificate is warned of, once for each: event, log line and metric \
         ([MONITORING.md](MONITORING.md)); an empty list leaves the warning that it has expired",
    ),
    Setting::new("default_server_certificate_policy", Text, "`pin` `trust_list` `accept_any`", Some("\"pin\""))
        .means(
            AtOnce,
            "how new devices that name no policy judge their server's certificate; `accept_any` is insecure",
        ),
    Setting::new("retry_max_seconds", Literal, "1 to 3600 seconds", Some("10"))
        .means(AtOnce, "the longest pause between two attempts of a failed device"),
    Setting::new("connect_concurrency", Literal, "1 to 1024", Some("32")).means(
        AtOnce,
        "how many attempts may run at the same time; one whose server is silent gives its place to a device that has not \
         failed, if any waits",
    ),
    Setting::new("session_limit", Literal, "1 to 100000", Some("100000")).means(
        Restart,
        "how many devices may have a session, or try to get one, at the same time; more wait until one ends",
    ),
    Setting::new("tls.certificate", Text, "file", None).default_in_words("none").means(
        Restart,
        "the certificate of the REST API in PEM, the server's first, then those that issued it: [TLS](#tls)",
    ),
    Setting::new("tls.private_key", Text, "file", None)
        .default_in_words("none")
        .means(Restart, "its private key in PEM, not encrypted: PKCS#8, PKCS#1 or SEC1"),
    Setting::new("tls.self_signed", Literal, "boolean", Some("false"))
        .means(Restart, "whether the daemon makes a certificate of its own instead"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::config::Settings;

    /// The keys of all that is not a table, which a `null` is none of.
    fn keys_of(value: &Value, before: &str, keys: &mut BTreeSet<String>) {
        for (key, value) in value.as_object().unwrap() {
            match value {
                Value::Object(_) => keys_of(value, &format!("{before}{key}."), keys),
                _ => assert!(keys.insert(format!("{before}{key}"))),
            }
        }
    }

    #[test]
    fn the_table_has_every_setting_once() {
        let mut keys = BTreeSet::new();
        keys_of(&serde_json::to_value(Settings::defaults_for_tests()).unwrap(), "", &mut keys);
        assert_eq!(keys, SETTINGS.iter().map(|setting| setting.key.to_owned()).collect());
        assert_eq!(keys.len(), SETTINGS.len(), "a key is there twice");
    }

    #[test]
    fn the_table_has_every_setting_of_the_contract() {
        // rest-api §6
        for key in [
            "listen",
            "data_dir",
            "public_url",
            "tls.certificate",
            "tls.private_key",
            "tls.self_signed",
            "insecure_allow_plain_http",
            "cors_allowed_origins",
            "create_default_certificate",
            "organization",
            "default_key",
            "default_validity_days",
            "expiring_soon_days",
            "expiry_warning_days",
            "retry_max_seconds",
            "connect_concurrency",
            "default_server_certificate_policy",
            "test_allowed_networks",
            "master_key_file",
            "encryption_at_rest",
            "session_limit",
            "log_level",
            "log_format",
        ] {
            assert!(Setting::find(key).is_some(), "{key}");
        }
    }

    #[test]
    fn each_setting_has_its_form_its_default_and_what_it_is_for() {
        for setting in SETTINGS {
            assert!(!setting.form.is_empty() && !setting.meaning.is_empty(), "{}", setting.key);
            assert!(setting.default.is_some() || setting.default_in_words.is_some(), "{}", setting.key);
        }
    }

    #[test]
    fn a_dot_becomes_two_underscores_in_the_environment() {
        let setting = Setting::new("tls.private_key", Text, "file", None);
        assert_eq!(setting.variable(), "KOIOS_TLS__PRIVATE_KEY");
        assert_eq!(Setting::find("data_dir").unwrap().variable(), "KOIOS_DATA_DIR");
    }

    #[test]
    fn tables_come_last() {
        let in_table: Vec<bool> = SETTINGS.iter().map(|setting| setting.key.contains('.')).collect();
        assert!(in_table.is_sorted(), "a key without a table after one in a table would fall into it");
    }
}
