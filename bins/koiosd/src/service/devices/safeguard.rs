//! Changes that take more than the right to change: what exposes a stored password, and what weakens trust.

use koios_channel::EndpointUrl;
use koios_pki::SecurityMode;
use koios_store::{
    Device, DeviceSettings, DeviceUser, PasswordChange, Role, ServerCertificatePolicy, UserSettings,
};

use super::DeviceRules;
use crate::service::{access::Caller, error::ServiceError};

/// Refuses settings that only an admin may choose, unless they were chosen before; for a new device by the
/// configuration.
pub(crate) fn expect_right_to_weaken(
    caller: &Caller,
    before: Option<&Device>,
    after: &DeviceSettings,
    rules: DeviceRules,
) -> Result<(), ServiceError> {
    let accepts_any = after.server_certificate_policy == ServerCertificatePolicy::AcceptAny;
    let policy_before =
        before.map_or(rules.default_server_certificate_policy, |device| device.server_certificate_policy);
    let accepted_any = policy_before == ServerCertificatePolicy::AcceptAny;
    let checked_host = before.is_none_or(|device| device.server_host_name_check);
    let what = if accepts_any && !accepted_any {
        "to accept any server certificate"
    } else if checked_host && !after.server_host_name_check {
        "to switch the host name check off"
    } else {
        return Ok(());
    };
    if caller.has_role(Role::Admin) { Ok(()) } else { Err(ServiceError::AdminNeeded { what }) }
}

/// Refuses changes that would let a stored password travel elsewhere, or less protected, unless it comes with them.
pub(crate) fn expect_password(before: &Device, after: &DeviceSettings) -> Result<(), ServiceError> {
    let stored = matches!(before.user_identity, DeviceUser::UserName { password_set: true, .. });
    let kept = matches!(after.user_identity, UserSettings::UserName { password: PasswordChange::Keep, .. });
    match exposure(before, after) {
        Some(reason) if stored && kept => Err(ServiceError::PasswordRequired { reason }),
        _ => Ok(()),
    }
}

fn exposure(before: &Device, after: &DeviceSettings) -> Option<&'static str> {
    let accepts_any = after.server_certificate_policy == ServerCertificatePolicy::AcceptAny;
    if !same_server(&before.endpoint_url, &after.endpoint_url) {
        Some("the endpoint's host or port changes")
    } else if before.security_mode != SecurityMode::None && after.security_mode == SecurityMode::None {
        Some("the security mode changes to none")
    } else if accepts_any && before.server_certificate_policy != ServerCertificatePolicy::AcceptAny {
        Some("any server certificate would be accepted")
    } else if takes_first_seen(before, after) {
        Some("the first server certificate seen would be accepted")
    } else if before.server_host_name_check && !after.server_host_name_check {
        Some("the host name check is switched off")
    } else {
        None
    }
}

/// Whether a server that the trust lists may refuse would be remembered and believed.
fn takes_first_seen(before: &Device, after: &DeviceSettings) -> bool {
    before.server_certificate_policy == ServerCertificatePolicy::TrustList
        && after.server_certificate_policy == ServerCertificatePolicy::Pin
        && before.pinned_server_certificate.is_none()
}

/// Whether two endpoint URLs lead to the same host and port; in doubt they do not.
fn same_server(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (EndpointUrl::parse(one), EndpointUrl::parse(other)) else { return false };
    one.is_same_server(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_server_may_be_written_in_several_ways() {
        for (one, other) in [
            ("opc.tcp://press4", "opc.tcp://PRESS4:4840/"),
            ("opc.tcp://press4:4841/a", "OPC.TCP://press4:4841/b"),
            ("opc.tcp://[::1]", "opc.tcp://[0:0:0:0:0:0:0:1]:4840"),
        ] {
            assert!(same_server(one, other), "{one} {other}");
        }
    }

    #[test]
    fn another_host_or_port_is_another_server() {
        for other in
            ["opc.tcp://press5", "opc.tcp://press4:4841", "opc.tcp://press4.", "opc.tcp://10.0.0.1", ""]
        {
            assert!(!same_server("opc.tcp://press4", other), "{other}");
        }
    }
}
