//! A refused user is told apart from a refused certificate.

use koios_opcua::{Code, ReportedBy, SecurityMode, Stage, StageOutcome, UserIdentity};
use koios_testkit::{ServerOptions, Stack};
use zeroize::Zeroizing;

use crate::client::{certificate, report, secured, servers};

fn user(password: &str) -> UserIdentity {
    UserIdentity::UserName { user_name: "op".to_owned(), password: Zeroizing::new(password.to_owned()) }
}

#[test]
fn a_wrong_password_is_the_users_fault_and_not_the_certificates() {
    let client = certificate();
    for server in servers(&ServerOptions::trusting(&[&client])) {
        let mut target = secured(&server, &client);
        target.user = user("wrong horse");
        let refused = report(&target);
        assert_eq!(
            refused.verdict.code,
            Code::UserIdentityRejected,
            "{}: {:?}",
            server.stack(),
            refused.verdict
        );
        assert_eq!(refused.verdict.failed_stage, Some(Stage::UserIdentity));
        assert_eq!(refused.verdict.reported_by, Some(ReportedBy::Server));
        assert_eq!(refused.stages[8].outcome, StageOutcome::Passed, "the session proves the certificate");
        assert!(!format!("{refused:?}").contains("wrong horse"), "no password in any report");

        target.user = user("secret");
        let accepted = report(&target);
        assert!(accepted.verdict.is_success(), "{}: {:?}", server.stack(), accepted.verdict);
    }
}

#[test]
fn a_kind_of_user_that_is_not_offered_is_named() {
    let client = certificate();
    let options = ServerOptions { anonymous: false, ..ServerOptions::trusting(&[&client]) };
    for server in servers(&options) {
        let verdict = report(&secured(&server, &client)).verdict;
        assert_eq!(verdict.code, Code::UserIdentityNotOffered, "{}: {verdict:?}", server.stack());
        assert_eq!(verdict.failed_stage, Some(Stage::UserIdentity));
        assert_eq!(verdict.reported_by, Some(ReportedBy::Koios));
    }
}

#[test]
fn a_password_that_would_travel_in_clear_is_not_sent() {
    let client = certificate();
    for server in servers(&ServerOptions::trusting(&[&client])) {
        // asyncua protects user names by no policy of their own: in mode Sign they would be readable.
        if server.stack() != Stack::Asyncua {
            continue;
        }
        let mut target = secured(&server, &client);
        target.security_mode = SecurityMode::Sign;
        target.user = user("secret");
        let verdict = report(&target).verdict;
        assert_eq!(verdict.code, Code::PasswordWouldBeInClear, "{verdict:?}");
        assert_eq!(verdict.failed_stage, Some(Stage::UserIdentity));
    }
}
