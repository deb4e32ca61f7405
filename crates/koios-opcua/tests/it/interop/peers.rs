//! What is no OPC UA server, and what goes no further than this machine.

use koios_opcua::{ClientCertificate, ClockReading, SecurityMode, Target};
use koios_testkit::{OddKind, OddPeer, ServerOptions, Stack, start_or_skip};

use super::relay::closing_at_open;
use super::{Case, Key, Table, Verdicts, observe};
use crate::client::{URI, certificate, identity, url};

/// In this order they are asked.
pub(crate) const CASES: &[Case] = &[
    Case { name: "no_certificate", title: "there is no certificate to present" },
    Case { name: "host_unknown", title: "the host name is unknown" },
    Case { name: "nobody_listens", title: "nobody listens at the port" },
    Case { name: "http", title: "an HTTP server answers" },
    Case { name: "http_silent", title: "an HTTP server waits for a line end" },
    Case { name: "tls", title: "a TLS server answers" },
    Case { name: "ssh", title: "an SSH server greets" },
    Case { name: "silent", title: "nothing is ever answered" },
    Case { name: "slow", title: "an answer comes byte by byte, and never ends" },
    Case { name: "garbage", title: "garbage comes without end" },
    Case { name: "closes_at_once", title: "the connection is closed at once" },
    Case { name: "closes_after_hello", title: "the connection is closed after HELLO" },
    Case { name: "resets", title: "the connection is reset" },
    Case { name: "silent_after_hello", title: "HELLO is answered, and nothing after it" },
    Case { name: "garbage_after_hello", title: "HELLO is answered, and then garbage comes without end" },
    Case {
        name: "closes_at_open",
        title: "an OPC UA server closes the connection instead of opening a secure channel",
    },
    Case { name: "endless_answer", title: "HELLO is answered, and then a message that never ends" },
];

/// Asks them.
pub(crate) fn see() -> Verdicts {
    let expected = Table::of("other-peers");
    let client = certificate();
    // Always there.
    let server =
        start_or_skip(Stack::AsyncOpcua, ServerOptions::default()).expect("async-opcua runs in this process");
    let secured =
        |at: &str| Target::new(url(at), URI).secured(SecurityMode::SignAndEncrypt, identity(&client));
    CASES
        .iter()
        .map(|case| {
            let peer = odd_kind(case.name).map(OddPeer::start);
            let target = match (case.name, &peer) {
                (_, Some(peer)) => secured(&peer.endpoint_url()),
                ("no_certificate", _) => {
                    let mut target = secured("opc.tcp://127.0.0.1:4840");
                    target.client = ClientCertificate::None;
                    target
                }
                ("closes_at_open", _) => secured(&closing_at_open(&server)),
                // RFC 2606 §2: the top-level name "invalid" never exists.
                ("host_unknown", _) => secured("opc.tcp://no-such-host.invalid:4840"),
                // Whoever has stopped leaves a port at which nobody listens.
                ("nobody_listens", _) => {
                    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
                    secured(&format!("opc.tcp://{}", listener.local_addr().expect("a bound address")))
                }
                (unknown, None) => panic!("{unknown} is not known"),
            };
            let key = Key::of(case.name);
            let (observation, _) = observe(&expected, &key, &target, ClockReading::system());
            (key, observation)
        })
        .collect()
}

fn odd_kind(case: &str) -> Option<OddKind> {
    Some(match case {
        "http" => OddKind::Http,
        "http_silent" => OddKind::SilentHttp,
        "tls" => OddKind::Tls,
        "ssh" => OddKind::Ssh,
        "silent" => OddKind::Silent,
        "slow" => OddKind::SlowDrip,
        "garbage" => OddKind::Garbage,
        "closes_at_once" => OddKind::ClosesAtOnce,
        "closes_after_hello" => OddKind::ClosesAfterHello,
        "resets" => OddKind::Resets,
        "silent_after_hello" => OddKind::SilentAfterHello,
        "garbage_after_hello" => OddKind::GarbageAfterHello,
        "endless_answer" => OddKind::EndlessAnswer,
        _ => return None,
    })
}
