//! The services on nodes, and discovery of servers: the fields behind the headers (OPC 10000-4 §5.5, §5.9, §5.12).

use opcua_types::ObjectId;

use super::endpoints::application_description;
use super::{AnswerReader, ServiceAnswer, ServiceRequest};
use crate::endpoint::ApplicationDescription;
use crate::error::{Failure, Fault};
use crate::wire::{put_byte_string, put_u32};
use crate::{EndpointUrl, NodeClass, NodeId, Reference, Value};

pub(crate) fn find_servers(url: &EndpointUrl) -> ServiceRequest {
    let mut fields = Vec::new();
    put_byte_string(&mut fields, Some(url.as_str().as_bytes()));
    // Neither locales nor server URIs.
    fields.extend([NULL_ARRAY, NULL_ARRAY].concat());
    ServiceRequest::of(ObjectId::FindServersRequest_Encoding_DefaultBinary, fields)
}

pub(crate) fn found_servers(answer: &ServiceAnswer) -> Result<Vec<ApplicationDescription>, Failure> {
    let mut reader = answer.reader_of(ObjectId::FindServersResponse_Encoding_DefaultBinary)?;
    let servers = reader.array("servers", MAX_SERVERS, application_description)?;
    reader.finish()?;
    Ok(servers)
}

/// The hierarchical references of a node, forwards.
pub(crate) fn browse(node: &NodeId) -> ServiceRequest {
    let mut fields = Vec::new();
    // No view: a null id, no time, no version.
    fields.extend([0; 2 + 8 + 4]);
    put_u32(&mut fields, REFERENCES_AT_ONCE);
    put_u32(&mut fields, 1);
    node.write(&mut fields);
    put_u32(&mut fields, 0);
    NodeId::standard(HIERARCHICAL_REFERENCES).write(&mut fields);
    fields.push(1);
    put_u32(&mut fields, 0);
    put_u32(&mut fields, ALL_RESULTS);
    ServiceRequest::of(ObjectId::BrowseRequest_Encoding_DefaultBinary, fields)
}

/// Asks for what did not fit into the answer before, or, with `release`, for nothing more.
pub(crate) fn browse_next(continuation: &[u8], release: bool) -> ServiceRequest {
    let mut fields = vec![u8::from(release)];
    put_u32(&mut fields, 1);
    put_byte_string(&mut fields, Some(continuation));
    ServiceRequest::of(ObjectId::BrowseNextRequest_Encoding_DefaultBinary, fields)
}

/// References, and where to go on when there are more.
#[derive(Debug)]
pub(crate) struct Browsed {
    pub(crate) references: Vec<Reference>,
    pub(crate) continuation: Vec<u8>,
}

pub(crate) fn browsed(answer: &ServiceAnswer) -> Result<Browsed, Failure> {
    let ids = [
        ObjectId::BrowseResponse_Encoding_DefaultBinary,
        ObjectId::BrowseNextResponse_Encoding_DefaultBinary,
    ];
    let id = ids.into_iter().find(|id| answer.is(*id));
    let mut reader = answer.reader_of(id.unwrap_or(ObjectId::BrowseResponse_Encoding_DefaultBinary))?;
    expect_one(&mut reader)?;
    let status = reader.status_code()?;
    if status.is_bad() {
        return Err(Failure::peer(Fault::ServiceResult, Some(status), None));
    }
    let continuation = reader.byte_string()?.to_vec();
    let references = reader.array("references", MAX_REFERENCES, reference)?;
    skip_diagnostics(&mut reader)?;
    reader.finish()?;
    Ok(Browsed { references, continuation })
}

fn reference(reader: &mut AnswerReader<'_>) -> Result<Reference, Fault> {
    let reference_type = NodeId::read(reader)?;
    let _is_forward = reader.u8()?;
    let node_id = NodeId::read(reader)?;
    let (namespace, name) = (reader.u16()?, reader.string()?);
    let display_name = reader.localized_text()?;
    let node_class = match reader.i32()? {
        1 => NodeClass::Object,
        2 => NodeClass::Variable,
        4 => NodeClass::Method,
        8 => NodeClass::ObjectType,
        16 => NodeClass::VariableType,
        32 => NodeClass::ReferenceType,
        64 => NodeClass::DataType,
        128 => NodeClass::View,
        other => NodeClass::Unknown(other),
    };
    let type_definition = NodeId::read(reader)?;
    Ok(Reference { reference_type, node_id, namespace, name, display_name, node_class, type_definition })
}

pub(crate) fn call(object: &NodeId, method: &NodeId, arguments: &[Value]) -> Result<ServiceRequest, Fault> {
    let mut fields = Vec::new();
    put_u32(&mut fields, 1);
    object.write(&mut fields);
    method.write(&mut fields);
    put_u32(&mut fields, u32::try_from(arguments.len()).unwrap_or(u32::MAX));
    arguments.iter().try_for_each(|argument| argument.write(&mut fields))?;
    Ok(ServiceRequest::of(ObjectId::CallRequest_Encoding_DefaultBinary, fields))
}

pub(crate) fn called(answer: &ServiceAnswer) -> Result<Vec<Value>, Failure> {
    let mut reader = answer.reader_of(ObjectId::CallResponse_Encoding_DefaultBinary)?;
    expect_one(&mut reader)?;
    let status = reader.status_code()?;
    let arguments = reader.array("results of arguments", MAX_ARGUMENTS, AnswerReader::status_code)?;
    skip_diagnostics(&mut reader)?;
    let outputs = reader.array("output arguments", MAX_ARGUMENTS, Value::read)?;
    skip_diagnostics(&mut reader)?;
    reader.finish()?;
    if status.is_bad() {
        // Which argument it was says more than that one was.
        let worst = arguments.into_iter().find(|argument| argument.is_bad());
        return Err(Failure::peer(Fault::ServiceResult, Some(worst.unwrap_or(status)), None));
    }
    Ok(outputs)
}

fn expect_one(reader: &mut AnswerReader<'_>) -> Result<(), Fault> {
    match reader.i32()? {
        1 => Ok(()),
        other => Err(Fault::decoding(format!("{other} results of one request"))),
    }
}

fn skip_diagnostics(reader: &mut AnswerReader<'_>) -> Result<(), Fault> {
    reader.array("diagnostics", MAX_ARGUMENTS, |reader| reader.diagnostic_info().map(|_| ())).map(|_| ())
}

const NULL_ARRAY: [u8; 4] = [0xFF; 4];
/// OPC 10000-5: `HierarchicalReferences`.
const HIERARCHICAL_REFERENCES: u32 = 33;
/// All six fields of a reference (OPC 10000-4 §5.9.2).
const ALL_RESULTS: u32 = 63;
const REFERENCES_AT_ONCE: u32 = 1000;
const MAX_REFERENCES: usize = 10_000;
const MAX_ARGUMENTS: usize = 1000;
const MAX_SERVERS: usize = 1000;
