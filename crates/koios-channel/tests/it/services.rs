//! Services beyond sessions: other servers, nodes, methods, and what callers encode themselves.

use koios_channel::{
    ApplicationType, Fault, NodeClass, NodeId, Origin, SecurityMode, SecurityPolicy, ServiceRequest, Session,
    Stage, UserIdentity, Value,
};
use koios_testkit::{Server, ServerOptions, Stack, start_or_skip};

use crate::client::{Client, certificate, soon, url};

const OBJECTS: NodeId = NodeId::standard(85);
const SERVER: NodeId = NodeId::standard(2253);
const NOWHERE: NodeId = NodeId::standard(4_000_000);
const EVERY_STACK: [Stack; 4] = [Stack::AsyncOpcua, Stack::NodeOpcua, Stack::Asyncua, Stack::Open62541];

fn start(stack: Stack) -> Option<Server> {
    start_or_skip(stack, ServerOptions::trusting(&[&certificate(2048)]))
}

async fn session(server: &Server) -> Session {
    let client = Client::of(server, &certificate(2048)).await;
    let (policy, mode) = (SecurityPolicy::Basic256Sha256, SecurityMode::SignAndEncrypt);
    client.session(policy, mode, &UserIdentity::Anonymous).await.unwrap()
}

#[tokio::test]
async fn a_server_names_itself_and_where_it_is_found() {
    for stack in EVERY_STACK {
        let Some(server) = start(stack) else { continue };
        let url = url(&server);
        let transport = crate::client::hello(&url, soon()).await.unwrap();
        let mut channel = transport.open(koios_channel::Security::None, soon()).await.unwrap();
        let found = channel.find_servers(&url, soon()).await.unwrap();
        let own = found.iter().find(|found| found.application_uri == server.application_uri());
        let own = own.unwrap_or_else(|| panic!("{stack}: {found:?}"));
        let is_server =
            [ApplicationType::Server, ApplicationType::ClientAndServer].contains(&own.application_type);
        // async-opcua 0.19 names the path alone.
        assert!(is_server && !own.discovery_urls.is_empty(), "{stack}: {own:?}");
        channel.close(soon()).await;
    }
}

#[tokio::test]
async fn what_stands_below_a_node_is_found_on_every_stack() {
    for stack in EVERY_STACK {
        let Some(server) = start(stack) else { continue };
        let mut session = session(&server).await;
        let below = session.browse(&OBJECTS, soon()).await.unwrap();
        let found = below.iter().find(|found| found.node_id == SERVER).expect("every server has one");
        assert_eq!((found.name.as_str(), found.namespace), ("Server", 0), "{stack}");
        assert_eq!(found.node_class, NodeClass::Object, "{stack}");
        assert_eq!(found.type_definition, NodeId::standard(2004), "{stack}: ServerType");
        match session.browse(&NOWHERE, soon()).await {
            Ok(below) => assert!(stack == Stack::AsyncOpcua && below.is_empty(), "{stack}: {below:?}"),
            Err(error) => {
                assert_eq!((error.stage, error.origin), (Stage::Browse, Origin::Peer), "{stack}: {error}");
                let status = error.status.unwrap().name();
                assert!(
                    ["BadNodeIdUnknown", "BadNodeIdInvalid"].contains(&status.as_str()),
                    "{stack}: {error}"
                );
            }
        }
        // A refused service leaves the session as it was.
        session.read_server_status(soon()).await.unwrap();
        session.close(soon()).await.unwrap();
    }
}

#[tokio::test]
async fn the_trust_management_of_a_server_is_found() {
    for stack in [Stack::NodeOpcua, Stack::Asyncua] {
        let Some(server) = start(stack) else { continue };
        let mut session = session(&server).await;
        let below = session.browse(&NodeId::SERVER_CONFIGURATION, soon()).await.unwrap();
        let groups = below.iter().find(|found| found.name == "CertificateGroups");
        assert_eq!(groups.map(|found| found.node_class), Some(NodeClass::Object), "{stack}: {below:?}");
        session.close(soon()).await.unwrap();
    }
}

#[tokio::test]
async fn arguments_of_a_method_come_back_as_they_went_and_wrong_ones_are_named() {
    let Some(server) = start(Stack::Open62541) else { return };
    let mut session = session(&server).await;
    let echo = NodeId::Text { namespace: 1, id: "Echo".to_owned() };
    let arguments = |bytes: usize, numbers: &[u32]| {
        let numbers = numbers.iter().copied().map(Value::UInt32).collect();
        [Value::Boolean(true), Value::ByteString(vec![0xA5; bytes]), Value::Array(numbers)]
    };
    // The second one does not fit into one chunk.
    for arguments in [arguments(0, &[7]), arguments(100_000, &[1, 0, u32::MAX])] {
        assert_eq!(session.call(&OBJECTS, &echo, &arguments, soon()).await.unwrap(), arguments);
    }
    let mut wrong = arguments(1, &[1]);
    wrong[0] = Value::Byte(1);
    for (arguments, status) in [(&[][..], "BadArgumentsMissing"), (&wrong, "BadTypeMismatch")] {
        let error = session.call(&OBJECTS, &echo, arguments, soon()).await.unwrap_err();
        assert_eq!((error.stage, error.origin), (Stage::Call, Origin::Peer));
        assert_eq!(error.fault, Fault::ServiceResult);
        assert_eq!(error.status.unwrap().name(), status);
    }
    let error = session.call(&OBJECTS, &NOWHERE, &[], soon()).await.unwrap_err();
    assert_eq!((error.stage, error.origin), (Stage::Call, Origin::Peer), "{error}");
    let mixed = Value::Array(vec![Value::Byte(1), Value::Boolean(true)]);
    let error = session.call(&OBJECTS, &echo, &[mixed], soon()).await.unwrap_err();
    assert_eq!(error.origin, Origin::Local, "{error}");
    session.read_server_status(soon()).await.unwrap();
    session.close(soon()).await.unwrap();
}

/// Read (i=631) of `Server_ServerStatus_State` (i=2259), written by hand.
#[tokio::test]
async fn a_service_that_is_not_typed_here_is_sent_and_answered() {
    for stack in EVERY_STACK {
        let Some(server) = start(stack) else { continue };
        let mut session = session(&server).await;
        let mut fields = 0f64.to_le_bytes().to_vec();
        fields.extend(3u32.to_le_bytes()); // no timestamps
        fields.extend(1u32.to_le_bytes()); // one value
        fields.extend([0x01, 0x00, 0xD3, 0x08]);
        fields.extend(13u32.to_le_bytes()); // its attribute
        fields.extend([0xFF; 4]); // no range
        fields.extend([0, 0]);
        fields.extend([0xFF; 4]); // no encoding
        let answer = session.request_service(ServiceRequest::new(631, fields), soon()).await.unwrap();
        assert_eq!(answer.type_id, 634, "{stack}");
        // One result, a value and maybe more of it: an Int32 of 0, Running.
        assert_eq!(answer.fields[..4], [1, 0, 0, 0], "{stack}");
        assert_eq!(answer.fields[4] & 1, 1, "{stack}");
        assert_eq!(answer.fields[5..10], [6, 0, 0, 0, 0], "{stack}");
        // The others do not answer what they cannot read.
        if stack == Stack::Open62541 {
            let broken = ServiceRequest::new(631, vec![1, 2, 3]);
            let error = session.request_service(broken, soon()).await.unwrap_err();
            assert_eq!(error.stage, Stage::OtherService, "{stack}: {error}");
        }
    }
}
