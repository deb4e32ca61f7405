//! Whether `Basic128Rsa15` and `Basic256` are used at all.

use koios_channel::{SecurityPolicy, UserIdentity, is_spoken};

use crate::code::Code;
use crate::stage::Stage;
use crate::verdict::{Cause, CauseCode, Confidence, ReportedBy, Verdict};

/// What becomes of a target that names a deprecated policy. `auto` takes none of them in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DeprecatedPolicies {
    /// It is refused before anything is sent.
    #[default]
    Refused,
    /// It connects, where this build speaks the policy (feature `deprecated-policies`) and no password is sent.
    Allowed,
}

impl DeprecatedPolicies {
    /// Whether a policy may be used; none that is deprecated where they are refused or not spoken.
    #[must_use]
    pub fn allow(self, policy: SecurityPolicy) -> bool {
        is_spoken(policy) && (self == Self::Allowed || !policy.is_deprecated())
    }

    /// Judges the policy that a target names; answers what to warn of.
    pub(crate) fn judge(
        self,
        policy: Option<SecurityPolicy>,
        user: &UserIdentity,
    ) -> Result<Option<String>, Box<Verdict>> {
        let Some(policy) = policy.filter(|policy| policy.is_deprecated()) else { return Ok(None) };
        if !is_spoken(policy) {
            return Err(refuse(format!("This build does not speak {policy}.")));
        }
        if self == Self::Refused {
            return Err(refuse(format!("The use of {policy} is switched off.")));
        }
        if let UserIdentity::UserName { .. } = user {
            return Err(refuse(format!("A password is never sent under {policy}.")));
        }
        Ok(Some(warning_of(policy)))
    }
}

/// What to say wherever a device's policy is shown that is deprecated.
#[must_use]
pub fn deprecated_policy_warning(policy: SecurityPolicy) -> Option<String> {
    policy.is_deprecated().then(|| warning_of(policy))
}

fn warning_of(policy: SecurityPolicy) -> String {
    format!(
        "{policy} is deprecated since SHA-1 is broken: whoever is on the network may be able to read and change what is \
         said. Use it only until the server has a current policy."
    )
}

fn refuse(detail: String) -> Box<Verdict> {
    let code = Code::DeprecatedPolicyRefused;
    let mut verdict = Verdict::failure(code, Stage::Certificate, ReportedBy::Koios, detail.clone());
    verdict.causes.push(
        Cause::new(
            CauseCode::NotOffered,
            Confidence::Certain,
            "The device names a policy that is not used here.",
        )
        .because(detail),
    );
    Box::new(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(policies: DeprecatedPolicies, user: &UserIdentity) -> Result<Option<String>, Code> {
        let [policy, _] = SecurityPolicy::DEPRECATED;
        policies.judge(Some(policy), user).map_err(|verdict| {
            assert_eq!(verdict.failed_stage, Some(Stage::Certificate));
            assert!(verdict.code.is_preflight());
            verdict.code
        })
    }

    #[test]
    fn current_policies_and_auto_are_none_of_its_business() {
        for policy in SecurityPolicy::SECURE.into_iter().map(Some).chain([None]) {
            for policies in [DeprecatedPolicies::Refused, DeprecatedPolicies::Allowed] {
                assert_eq!(policies.judge(policy, &UserIdentity::Anonymous).unwrap(), None);
                assert!(policy.is_none_or(|policy| policies.allow(policy)));
            }
        }
        for policy in SecurityPolicy::DEPRECATED {
            assert!(!DeprecatedPolicies::Refused.allow(policy));
            assert_eq!(DeprecatedPolicies::Allowed.allow(policy), is_spoken(policy));
        }
    }

    #[test]
    fn a_deprecated_policy_is_refused_unless_it_is_allowed_and_spoken() {
        let refused = Err(Code::DeprecatedPolicyRefused);
        assert_eq!(judged(DeprecatedPolicies::Refused, &UserIdentity::Anonymous), refused);
        let allowed = judged(DeprecatedPolicies::Allowed, &UserIdentity::Anonymous);
        if is_spoken(SecurityPolicy::Basic256) {
            assert!(allowed.unwrap().unwrap().contains("is deprecated"));
        } else {
            assert_eq!(allowed, refused);
        }
    }

    #[test]
    fn a_password_is_refused_with_it() {
        let user =
            UserIdentity::UserName { user_name: "op".to_owned(), password: "secret".to_owned().into() };
        let refused = Err(Code::DeprecatedPolicyRefused);
        assert_eq!(judged(DeprecatedPolicies::Allowed, &user), refused);
    }
}
