use koios_pki::{SecurityMode, SecurityPolicy};

use super::AnswerReader;
use crate::endpoint::{ApplicationDescription, ApplicationType, Endpoint, UserTokenKind, UserTokenPolicy};
use crate::error::Fault;
use crate::policy::is_spoken;

/// An array of `EndpointDescription` (OPC 10000-4 §7.14).
pub(crate) fn endpoints(reader: &mut AnswerReader<'_>) -> Result<Vec<Endpoint>, Fault> {
    reader.array("endpoints", MAX_ENDPOINTS, endpoint)
}

fn endpoint(reader: &mut AnswerReader<'_>) -> Result<Endpoint, Fault> {
    let url = reader.string()?;
    let server = application_description(reader)?;
    let certificate = reader.certificates()?;
    let security_mode = security_mode(reader.i32()?);
    let security_policy_uri = reader.string()?;
    let user_tokens = reader.array("user token policies", MAX_USER_TOKENS, user_token_policy)?;
    let transport_profile_uri = reader.string()?;
    Ok(Endpoint {
        url,
        security_mode,
        security_policy: SecurityPolicy::from_uri(&security_policy_uri).filter(|policy| is_spoken(*policy)),
        security_policy_uri,
        security_level: reader.u8()?,
        server_certificate: (!certificate.is_empty()).then(|| certificate.to_vec()),
        transport_profile_uri,
        user_tokens,
        server,
    })
}

pub(super) fn application_description(
    reader: &mut AnswerReader<'_>,
) -> Result<ApplicationDescription, Fault> {
    let application_uri = reader.string()?;
    let product_uri = reader.display_text()?;
    let application_name = reader.localized_text()?;
    let application_type = match reader.i32()? {
        0 => ApplicationType::Server,
        1 => ApplicationType::Client,
        2 => ApplicationType::ClientAndServer,
        3 => ApplicationType::DiscoveryServer,
        other => ApplicationType::Unknown(other),
    };
    let _gateway_server_uri = reader.byte_string()?;
    let _discovery_profile_uri = reader.byte_string()?;
    let discovery_urls = reader.array("discovery URLs", MAX_DISCOVERY_URLS, AnswerReader::string)?;
    Ok(ApplicationDescription {
        application_name,
        application_uri,
        product_uri,
        application_type,
        discovery_urls,
    })
}

fn user_token_policy(reader: &mut AnswerReader<'_>) -> Result<UserTokenPolicy, Fault> {
    let policy_id = reader.string()?;
    let kind = match reader.i32()? {
        0 => UserTokenKind::Anonymous,
        1 => UserTokenKind::UserName,
        2 => UserTokenKind::Certificate,
        3 => UserTokenKind::IssuedToken,
        other => UserTokenKind::Unknown(other),
    };
    let _issued_token_type = reader.byte_string()?;
    let _issuer_endpoint_url = reader.byte_string()?;
    Ok(UserTokenPolicy { policy_id, kind, security_policy_uri: reader.optional_string()? })
}

const fn security_mode(number: i32) -> Option<SecurityMode> {
    match number {
        1 => Some(SecurityMode::None),
        2 => Some(SecurityMode::Sign),
        3 => Some(SecurityMode::SignAndEncrypt),
        _ => None,
    }
}

/// Real servers have up to a few dozen: policies × modes × network addresses.
const MAX_ENDPOINTS: usize = 1000;
const MAX_USER_TOKENS: usize = 100;
const MAX_DISCOVERY_URLS: usize = 1000;
