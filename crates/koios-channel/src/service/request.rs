use std::io::Cursor;
use std::time::Duration;

use koios_pki::{SecurityMode, SecurityPolicy};
use opcua_types::{
    ActivateSessionRequest, AdditionalParametersType, AnonymousIdentityToken, ApplicationDescription,
    ApplicationType, BinaryEncodable, ByteString, CloseSecureChannelRequest, CloseSessionRequest,
    ContextOwned, CreateSessionRequest, DateTime, DecodingOptions, ExtensionObject, GetEndpointsRequest,
    KeyValuePair, LocalizedText, MessageSecurityMode, NamespaceMap, NodeId, NumericRange, ObjectId,
    OpenSecureChannelRequest, QualifiedName, ReadRequest, ReadValueId, RequestHeader as WireHeader,
    SecurityTokenRequestType, SignatureData, TimestampsToReturn, TypeLoaderCollection, UAString,
    UserNameIdentityToken, VariableId, Variant, X509IdentityToken,
};
use time::OffsetDateTime;
use zeroize::{Zeroize, Zeroizing};

use super::ServiceRequest;
use crate::error::Fault;
use crate::{EndpointUrl, SessionRequest};

/// The server's secret name of our session: who has it, has the session.
#[derive(Clone)]
pub(crate) struct AuthenticationToken(NodeId);

impl AuthenticationToken {
    pub(super) const fn new(id: NodeId) -> Self {
        Self(id)
    }
}

/// What every request begins with (OPC 10000-4 §7.32).
pub(crate) struct RequestHeader {
    pub(crate) token: Option<AuthenticationToken>,
    pub(crate) handle: u32,
    pub(crate) time: OffsetDateTime,
    pub(crate) timeout: Duration,
}

/// Who the user is, ready for the wire.
pub(crate) enum UserToken {
    Anonymous {
        policy_id: String,
    },
    UserName {
        policy_id: String,
        user_name: String,
        /// Encrypted, or in clear for a channel that encrypts.
        password: Zeroizing<Vec<u8>>,
        /// Under a policy on a curve none either: the secret says all itself.
        encryption: Option<&'static str>,
    },
    Certificate {
        policy_id: String,
        /// DER.
        certificate: Vec<u8>,
        /// The algorithm's URI and the signature.
        signature: (&'static str, Vec<u8>),
    },
}

impl RequestHeader {
    pub(crate) fn open_secure_channel(
        self,
        mode: SecurityMode,
        renewal: bool,
        nonce: &[u8],
        lifetime: Duration,
    ) -> Result<Vec<u8>, Fault> {
        let request = OpenSecureChannelRequest {
            request_header: self.into_wire(),
            client_protocol_version: 0,
            request_type: if renewal {
                SecurityTokenRequestType::Renew
            } else {
                SecurityTokenRequestType::Issue
            },
            security_mode: match mode {
                SecurityMode::None => MessageSecurityMode::None,
                SecurityMode::Sign => MessageSecurityMode::Sign,
                SecurityMode::SignAndEncrypt => MessageSecurityMode::SignAndEncrypt,
            },
            client_nonce: bytes(nonce),
            requested_lifetime: milliseconds(lifetime),
        };
        encode(ObjectId::OpenSecureChannelRequest_Encoding_DefaultBinary, &request)
    }

    pub(crate) fn get_endpoints(self, url: &EndpointUrl) -> Result<Vec<u8>, Fault> {
        let request = GetEndpointsRequest {
            request_header: self.into_wire(),
            endpoint_url: url.as_str().into(),
            locale_ids: None,
            profile_uris: None,
        };
        encode(ObjectId::GetEndpointsRequest_Encoding_DefaultBinary, &request)
    }

    /// `secrets_policy`: the policy on a curve for whose user secrets the server is to give an ephemeral key.
    pub(crate) fn create_session(
        self,
        session: &SessionRequest,
        nonce: &[u8],
        certificates: &[u8],
        max_response_size: u32,
        secrets_policy: Option<SecurityPolicy>,
    ) -> Result<Vec<u8>, Fault> {
        let request = CreateSessionRequest {
            request_header: self.asking_for_a_key(secrets_policy),
            client_description: ApplicationDescription {
                application_uri: session.application_uri.as_str().into(),
                product_uri: session.product_uri.as_str().into(),
                application_name: LocalizedText::new("", &session.application_name),
                application_type: ApplicationType::Client,
                ..Default::default()
            },
            server_uri: UAString::null(),
            endpoint_url: session.endpoint_url.as_str().into(),
            session_name: session.session_name.as_str().into(),
            client_nonce: bytes(nonce),
            client_certificate: bytes(certificates),
            requested_session_timeout: session.session_timeout.as_secs_f64() * 1000.0,
            max_response_message_size: max_response_size,
        };
        encode(ObjectId::CreateSessionRequest_Encoding_DefaultBinary, &request)
    }

    /// `signature`: the algorithm's URI and the signature; `None` without security. `secrets_policy` as for
    /// [`create_session`](Self::create_session): the key is for the next activation.
    pub(crate) fn activate_session(
        self,
        signature: Option<(&'static str, Vec<u8>)>,
        user: UserToken,
        secrets_policy: Option<SecurityPolicy>,
    ) -> Result<Vec<u8>, Fault> {
        let client_signature = signature.map(signature_data);
        let (user_identity_token, user_token_signature) = user.into_wire();
        let mut request = ActivateSessionRequest {
            request_header: self.asking_for_a_key(secrets_policy),
            client_signature: client_signature.unwrap_or_default(),
            client_software_certificates: None,
            locale_ids: None,
            user_identity_token,
            user_token_signature,
        };
        let encoded = encode(ObjectId::ActivateSessionRequest_Encoding_DefaultBinary, &request);
        let user = std::mem::take(&mut request.user_identity_token);
        if let Some(mut user) = user.into_inner_as::<UserNameIdentityToken>() {
            user.password.value.zeroize();
        }
        encoded
    }

    pub(crate) fn read_server_status(self) -> Result<Vec<u8>, Fault> {
        let request = ReadRequest {
            request_header: self.into_wire(),
            max_age: 0.0,
            timestamps_to_return: TimestampsToReturn::Neither,
            nodes_to_read: Some(vec![ReadValueId {
                node_id: VariableId::Server_ServerStatus.into(),
                attribute_id: VALUE_ATTRIBUTE,
                index_range: NumericRange::None,
                data_encoding: QualifiedName::null(),
            }]),
        };
        encode(ObjectId::ReadRequest_Encoding_DefaultBinary, &request)
    }

    /// Any other service.
    pub(crate) fn service(self, request: &ServiceRequest) -> Result<Vec<u8>, Fault> {
        let mut body = encode_id(&NodeId::new(0, request.type_id), &self.into_wire())?;
        body.extend_from_slice(&request.fields);
        Ok(body)
    }

    pub(crate) fn close_session(self) -> Result<Vec<u8>, Fault> {
        let request = CloseSessionRequest { request_header: self.into_wire(), delete_subscriptions: true };
        encode(ObjectId::CloseSessionRequest_Encoding_DefaultBinary, &request)
    }

    pub(crate) fn close_secure_channel(self) -> Result<Vec<u8>, Fault> {
        let request = CloseSecureChannelRequest { request_header: self.into_wire() };
        encode(ObjectId::CloseSecureChannelRequest_Encoding_DefaultBinary, &request)
    }

    /// With the wish for an ephemeral key (OPC 10000-4 §7.15), when a user's secret needs one.
    fn asking_for_a_key(self, secrets_policy: Option<SecurityPolicy>) -> WireHeader {
        let mut header = self.into_wire();
        if let Some(policy) = secrets_policy {
            header.additional_header = ExtensionObject::from_message(AdditionalParametersType {
                parameters: Some(vec![KeyValuePair {
                    key: QualifiedName::new(0, "ECDHPolicyUri"),
                    value: Variant::from(policy.uri()),
                }]),
            });
        }
        header
    }

    fn into_wire(self) -> WireHeader {
        WireHeader {
            authentication_token: self.token.map_or_else(NodeId::null, |token| token.0),
            timestamp: DateTime::from(ticks(self.time)),
            request_handle: self.handle,
            timeout_hint: milliseconds(self.timeout),
            ..WireHeader::default()
        }
    }
}

impl UserToken {
    fn into_wire(self) -> (ExtensionObject, SignatureData) {
        let mut token_signature = SignatureData::default();
        let token = match self {
            Self::Anonymous { policy_id } => {
                ExtensionObject::from_message(AnonymousIdentityToken { policy_id: policy_id.into() })
            }
            Self::UserName { policy_id, user_name, mut password, encryption } => {
                ExtensionObject::from_message(UserNameIdentityToken {
                    policy_id: policy_id.into(),
                    user_name: user_name.into(),
                    // Not a copy: `activate_session` wipes it.
                    password: std::mem::take(&mut *password).into(),
                    encryption_algorithm: encryption.map_or_else(UAString::null, UAString::from),
                })
            }
            Self::Certificate { policy_id, certificate, signature } => {
                token_signature = signature_data(signature);
                ExtensionObject::from_message(X509IdentityToken {
                    policy_id: policy_id.into(),
                    certificate_data: certificate.into(),
                })
            }
        };
        (token, token_signature)
    }
}

fn signature_data((algorithm, signature): (&'static str, Vec<u8>)) -> SignatureData {
    SignatureData { algorithm: algorithm.into(), signature: signature.into() }
}

fn encode(id: ObjectId, request: &impl BinaryEncodable) -> Result<Vec<u8>, Fault> {
    encode_id(&NodeId::from(id), request)
}

fn encode_id(id: &NodeId, request: &impl BinaryEncodable) -> Result<Vec<u8>, Fault> {
    let failed = |_| Fault::decoding("our own request cannot be encoded");
    let owned = ContextOwned::new(
        NamespaceMap::default(),
        TypeLoaderCollection::new_empty(),
        DecodingOptions::default(),
    );
    let context = owned.context();
    let mut out = Cursor::new(Vec::with_capacity(request.byte_len(&context) + TYPE_ID_LEN));
    BinaryEncodable::encode(id, &mut out, &context).map_err(failed)?;
    request.encode(&mut out, &context).map_err(failed)?;
    Ok(out.into_inner())
}

fn bytes(bytes: &[u8]) -> ByteString {
    if bytes.is_empty() { ByteString::null() } else { ByteString::from(bytes) }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Steps of 100 ns since 1601.
pub(crate) fn ticks(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 100 + 116_444_736_000_000_000).unwrap_or_default()
}

/// OPC 10000-6 Annex A: the attribute *Value*.
const VALUE_ATTRIBUTE: u32 = 13;
/// A numeric node id of namespace 0 takes 2 or 4 bytes.
const TYPE_ID_LEN: usize = 4;
