//! What a Test has answered, and what it means here.

use serde_json::Value;

use super::failure::{Failure, Kind};
use super::settings::ENDPOINT;

/// The answer of a Test or of discovery.
#[derive(Clone, Debug)]
pub(super) struct Verdict(pub(super) Value);

impl Verdict {
    pub(super) fn code(&self) -> &str {
        self.0["code"].as_str().unwrap_or_default()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.code() == "connected"
    }

    /// The one refusal that moving a file cures.
    pub(super) fn is_untrusted(&self) -> bool {
        self.code() == "certificate_rejected_by_server"
    }

    /// In a line.
    pub(super) fn said(&self) -> String {
        let mut said = self.0["message"].as_str().unwrap_or("no message").to_owned();
        if let Some(stage) = self.0["failed_stage"].as_str() {
            said.push_str(&format!(" at {stage}"));
        }
        if let Some(status) = self.0["status_code"].as_str() {
            said.push_str(&format!(", {status}"));
        }
        said
    }

    /// The failure that it is, where another answer was expected.
    pub(super) fn failure(&self, expected: &str) -> Failure {
        let mut seen = format!("{expected}, but: {} ({})", self.said(), self.code());
        if let Some(detail) = self.0["detail"].as_str() {
            seen.push_str(&format!(". {detail}"));
        }
        let kind = self.kind();
        let failure = Failure::new(kind, seen);
        // What the daemon advises against mistrust has been done.
        let own = self.0["remedy"].as_array().filter(|_| !self.is_untrusted());
        let advice = match (kind, self.code()) {
            (Kind::Unreachable, _) => format!(
                "Is the server up (--wait 60 gives it a minute), and is {ENDPOINT} what it shows as its Connection Address \
                 (UA TCP), with a host name that is known here?"
            ),
            (Kind::User, _) => {
                "Let anonymous users in: Users, User Authentication Methods, Anonymous (expert mode); then restart the server."
                    .to_owned()
            }
            (_, "no_matching_endpoint") => {
                "Offer both secure modes and all three policies: Endpoints, Security Modes and Security Policies (expert \
                 mode); then restart the server."
                    .to_owned()
            }
            _ => String::new(),
        };
        let own = own.into_iter().flatten().filter_map(|remedy| remedy["text"].as_str()).map(str::to_owned);
        let advice = Some(advice).filter(|advice| !advice.is_empty());
        advice.into_iter().chain(own).fold(failure, Failure::advising)
    }

    /// As `koiosd test` tells them apart.
    fn kind(&self) -> Kind {
        match self.code() {
            _ if self.0["message"].as_str().is_some_and(|text| text.starts_with(REFUSAL)) => Kind::Rejected,
            code if code.starts_with("server_certificate_") => Kind::ServerCertificate,
            "host_not_found" | "connection_refused" | "host_unreachable" | "timeout" | "not_opc_ua"
            | "connection_closed" => Kind::Unreachable,
            "user_identity_rejected" | "user_identity_not_offered" | "password_would_be_in_clear" => {
                Kind::User
            }
            _ => Kind::Other,
        }
    }
}

/// How every message of that kind begins: a promise of the API.
const REFUSAL: &str = "Certificate rejected by server";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(code: &str, message: &str) -> Verdict {
        Verdict(json!({
            "code": code, "message": message, "detail": "Seen there.", "failed_stage": "secure_channel",
            "status_code": "BadSecurityChecksFailed", "remedy": [{ "text": "Do this.", "link": null }],
        }))
    }

    #[test]
    fn a_verdict_that_was_not_expected_has_the_exit_code_of_its_kind() {
        for (code, message, kind) in [
            ("certificate_rejected_by_server", "Certificate rejected by server", Kind::Rejected),
            ("certificate_uri_mismatch", "Certificate rejected by server: URI", Kind::Rejected),
            ("certificate_expired", "The certificate has expired", Kind::Other),
            ("server_certificate_changed", "Server certificate changed", Kind::ServerCertificate),
            ("connection_refused", "Connection refused", Kind::Unreachable),
            ("not_opc_ua", "Not an OPC UA server", Kind::Unreachable),
            ("user_identity_rejected", "User rejected", Kind::User),
            ("no_matching_endpoint", "No matching endpoint", Kind::Other),
            ("connected", "Connected", Kind::Other),
        ] {
            assert_eq!(verdict(code, message).failure("expected").kind, kind, "{code}");
        }
    }

    #[test]
    fn it_is_told_with_its_evidence_and_with_what_to_do_here_and_in_general() {
        let failure = verdict("connection_refused", "Connection refused").failure("an answer was expected");
        assert_eq!(
            failure.seen,
            "an answer was expected, but: Connection refused at secure_channel, BadSecurityChecksFailed \
             (connection_refused). Seen there."
        );
        let [here, general] = failure.advice.as_slice() else { panic!("{failure:?}") };
        assert!(here.contains(ENDPOINT), "{here}");
        assert_eq!(general, "Do this.");
    }
}
