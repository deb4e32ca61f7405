//! The answers that have a structure of their own.

use std::time::Duration;

use opcua_types::ObjectId;
use time::OffsetDateTime;

use super::{AnswerReader, AuthenticationToken, ResponseHeader, Service, SignedKey, answer, endpoints};
use crate::endpoint::Endpoint;
use crate::error::{Failure, Fault};
use crate::server_status::{BuildInfo, ServerState, ServerStatus};

/// `OpenSecureChannelResponse` (OPC 10000-4 §5.6.2).
#[derive(Debug)]
pub(crate) struct OpenedChannel {
    pub(crate) channel_id: u32,
    pub(crate) token_id: u32,
    pub(crate) lifetime: Duration,
    pub(crate) nonce: Vec<u8>,
}

/// `stray` bytes behind the end are forgiven: open62541 writes a size of padding where nothing is padded, in its answers
/// under policies on curves (`secure-channel.md` §3).
pub(crate) fn opened_channel(body: &[u8], stray: usize) -> Result<(ResponseHeader, OpenedChannel), Failure> {
    let (header, mut reader) = answer(Service::OpenSecureChannel, body)?;
    let _protocol_version = reader.u32()?;
    let channel_id = reader.u32()?;
    let token_id = reader.u32()?;
    let _created_at = reader.date_time()?;
    let lifetime = Duration::from_millis(reader.u32()?.into());
    let nonce = reader.byte_string()?.to_vec();
    reader.finish_within(stray)?;
    Ok((header, OpenedChannel { channel_id, token_id, lifetime, nonce }))
}

pub(crate) fn found_endpoints(body: &[u8]) -> Result<(ResponseHeader, Vec<Endpoint>), Failure> {
    let (header, mut reader) = answer(Service::GetEndpoints, body)?;
    let found = endpoints(&mut reader)?;
    reader.finish()?;
    Ok((header, found))
}

/// `CreateSessionResponse` (OPC 10000-4 §5.7.2).
pub(crate) struct CreatedSession {
    pub(crate) token: AuthenticationToken,
    pub(crate) timeout: Duration,
    pub(crate) nonce: Vec<u8>,
    /// Leaf first.
    pub(crate) certificates: Vec<u8>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) signature: Vec<u8>,
    /// For the user's secret, when it was asked for.
    pub(crate) ephemeral_key: Option<SignedKey>,
}

pub(crate) fn created_session(body: &[u8]) -> Result<(ResponseHeader, CreatedSession), Failure> {
    let (header, mut reader) = answer(Service::CreateSession, body)?;
    let _session_id = reader.node_id()?;
    let token = AuthenticationToken::new(reader.node_id()?);
    let timeout = session_timeout(reader.f64()?);
    let nonce = reader.byte_string()?.to_vec();
    let certificates = reader.certificates()?.to_vec();
    let endpoints = endpoints(&mut reader)?;
    reader.array("software certificates", MAX_SOFTWARE_CERTIFICATES, |reader| {
        let _certificate = reader.byte_string()?;
        reader.byte_string().map(|_signature| ())
    })?;
    // The policy says how the server signs. Stacks leave the name out, or have another one for RSA-PSS; where sessions are
    // bound to their channel, receivers shall ignore it.
    let _signature_algorithm = reader.string()?;
    let signature = reader.byte_string()?.to_vec();
    let _max_request_size = reader.u32()?;
    reader.finish()?;
    let created = CreatedSession {
        token,
        timeout,
        nonce,
        certificates,
        endpoints,
        signature,
        ephemeral_key: header.ephemeral_key.clone(),
    };
    Ok((header, created))
}

/// A session's life in milliseconds, as the server's word: anything that is no time is a day.
fn session_timeout(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(DAY).min(DAY)
}

/// The nonce for the next activation, out of an `ActivateSessionResponse`; what follows it is about software certificates,
/// of which we send none.
pub(crate) fn activated_session(body: &[u8]) -> Result<(ResponseHeader, Vec<u8>), Failure> {
    let (header, mut reader) = answer(Service::ActivateSession, body)?;
    let nonce = reader.byte_string()?.to_vec();
    Ok((header, nonce))
}

pub(crate) fn closed_session(body: &[u8]) -> Result<ResponseHeader, Failure> {
    answer(Service::CloseSession, body).map(|(header, _)| header)
}

/// The one value of a `ReadResponse`, which must be a `ServerStatusDataType`.
pub(crate) fn server_status(body: &[u8]) -> Result<(ResponseHeader, ServerStatus), Failure> {
    let (header, mut reader) = answer(Service::Read, body)?;
    if reader.i32()? != 1 {
        return Err(Fault::decoding("a Read of one value has another number of results").into());
    }
    let mask = reader.u8()?;
    let mut value = None;
    if mask & HAS_VALUE != 0 {
        // Only a scalar extension object is read: the other variants can nest, and are not what was asked for.
        if reader.u8()? != EXTENSION_OBJECT_VARIANT {
            return Err(Fault::decoding("Server_ServerStatus holds another type").into());
        }
        let (id, body) = reader.extension_object()?;
        if id != ObjectId::ServerStatusDataType_Encoding_DefaultBinary {
            return Err(Fault::decoding(format!("Server_ServerStatus holds the type {id}")).into());
        }
        value = Some(body);
    }
    if mask & HAS_STATUS != 0 {
        let status = reader.status_code()?;
        if status.is_bad() {
            return Err(Failure::peer(Fault::ServiceResult, Some(status), None));
        }
    }
    let value = value.ok_or_else(|| Fault::decoding("Server_ServerStatus has no value"))?;
    Ok((header, server_status_value(value)?))
}

fn server_status_value(mut reader: AnswerReader<'_>) -> Result<ServerStatus, Fault> {
    let start_time = reader.date_time()?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let current_time = reader.date_time()?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let state = match reader.i32()? {
        0 => ServerState::Running,
        1 => ServerState::Failed,
        2 => ServerState::NoConfiguration,
        3 => ServerState::Suspended,
        4 => ServerState::Shutdown,
        5 => ServerState::Test,
        6 => ServerState::CommunicationFault,
        7 => ServerState::Unknown,
        other => ServerState::Other(other),
    };
    let product_uri = reader.display_text()?;
    let manufacturer_name = reader.display_text()?;
    let product_name = reader.display_text()?;
    let software_version = reader.display_text()?;
    let build_number = reader.display_text()?;
    let build_info =
        BuildInfo { product_name, product_uri, manufacturer_name, software_version, build_number };
    Ok(ServerStatus { state, current_time, start_time, build_info })
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// `DataValue` (OPC 10000-6 §5.2.2.17): a value follows.
const HAS_VALUE: u8 = 0x01;
/// `DataValue`: a status follows the value.
const HAS_STATUS: u8 = 0x02;
/// `Variant` (OPC 10000-6 §5.2.2.16): a scalar of built-in type 22.
const EXTENSION_OBJECT_VARIANT: u8 = 22;
/// Reserved since 1.02: always empty.
const MAX_SOFTWARE_CERTIFICATES: usize = 100;
