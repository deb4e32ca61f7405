//! One client, with a certificate and a device of its own: what it changes is nobody else's.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use koios_testkit::{CertificateSpec, Server, TestCertificate, revocation_list};
use serde_json::{Value, json};

use super::{calls::CALLS, tally::Tally};
use crate::{
    changes::random::Random,
    csr::Authority,
    daemon::{ADMIN, Daemon},
    http::{Answer, Call, agent},
};

/// When a client stops.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// After so many calls beyond those that each makes once.
    Calls(u64),
    Time(Instant),
}

pub(super) struct Client {
    pub(super) number: u64,
    pub(super) url: String,
    agent: ureq::Agent,
    pause: Duration,
    pub(super) random: Random,
    pub(super) tally: Tally,
    /// Generated.
    pub(super) certificate: String,
    /// Uploaded, to be replaced; then the two pairs that take turns, and the one in use.
    pub(super) uploaded: String,
    pub(super) pairs: [TestCertificate; 2],
    pub(super) in_use: usize,
    /// Generated, to be signed by the authority.
    pub(super) issued: String,
    pub(super) authority: Arc<Authority>,
    /// Not stored.
    pub(super) spare: TestCertificate,
    pub(super) revocation_list: Vec<u8>,
    pub(super) device: String,
    pub(super) endpoint_url: String,
}

impl Client {
    pub(super) fn new(
        number: u64,
        daemon: &Daemon,
        server: &Server,
        authority: &Arc<Authority>,
        pause: Duration,
    ) -> Self {
        let key = json!({ "algorithm": "ec", "curve": "p256" });
        let generate = |what: &str| {
            let body = json!({ "name": format!("{what} of client {number}"), "key": key });
            id(&daemon.post("certificates/generate", &body).expect(201))
        };
        let pair = |what: &str| {
            CertificateSpec::application(&format!("urn:client:{number}"))
                .named(&format!("{what} of client {number}"))
                .make()
        };
        let pairs = [pair("A"), pair("B")];
        let name = format!("Uploaded of client {number}");
        let fields = [
            ("name", name.as_bytes()),
            ("certificate", pairs[0].der()),
            ("private_key", pairs[0].key_pem().as_bytes()),
        ];
        let uploaded = daemon.call("POST", "certificates/upload").form(&fields).send().expect(201);
        let (certificate, issued) = (generate("Own"), generate("Issued"));
        let device = json!({
            "name": format!("Device of client {number}"), "endpoint_url": server.endpoint_url,
            "security_mode": "sign_and_encrypt", "timeout_seconds": 30
        });
        let issuer = CertificateSpec::authority(&format!("Authority of client {number}")).make();
        Self {
            number,
            url: daemon.url.clone(),
            agent: agent(1),
            pause,
            random: Random::new(number),
            tally: Tally::default(),
            certificate,
            uploaded: id(&uploaded),
            pairs,
            in_use: 0,
            issued,
            authority: Arc::clone(authority),
            spare: pair("Spare"),
            revocation_list: revocation_list(&issuer, &[]),
            device: id(&daemon.post("devices", &device).expect(201)),
            endpoint_url: server.endpoint_url.clone(),
        }
    }

    /// Everything once, from a place of its own on, then what chance says.
    pub(super) fn run(mut self, until: Until) -> Tally {
        let first = usize::try_from(self.number).expect("a small number") * 7 % CALLS.len();
        for call in CALLS[first..].iter().chain(&CALLS[..first]) {
            (call.make)(&mut self);
            self.rest();
        }
        let all = CALLS.iter().map(|call| call.weight).sum();
        let mut made = 0;
        while match until {
            Until::Calls(calls) => made < calls,
            Until::Time(end) => Instant::now() < end,
        } {
            let mut place = self.random.below(all);
            let call = CALLS.iter().find(|call| {
                let here = place < call.weight;
                place = place.saturating_sub(call.weight);
                here
            });
            (call.expect("the place is below the sum").make)(&mut self);
            self.rest();
            made += 1;
        }
        self.tally
    }

    fn rest(&mut self) {
        let longest = u64::try_from(self.pause.as_millis()).expect("a short pause") * 2;
        thread::sleep(Duration::from_millis(self.random.below(longest + 1)));
    }

    pub(super) fn get(&mut self, operation: &'static str, path: &str) -> Value {
        self.send(operation, path, |call| call)
    }

    pub(super) fn json(&mut self, operation: &'static str, path: &str, body: &Value) -> Value {
        self.send(operation, path, |call| call.json(body))
    }

    pub(super) fn form(&mut self, operation: &'static str, path: &str, fields: &[(&str, &[u8])]) -> Value {
        self.send(operation, path, |call| call.form(fields))
    }

    /// Makes a call of an operation (as the OpenAPI document names it) and answers the JSON, or null.
    pub(super) fn send(
        &mut self,
        operation: &'static str,
        path: &str,
        complete: impl FnOnce(Call) -> Call,
    ) -> Value {
        let answer = self.answer(operation, path, complete);
        answer.and_then(|answer| serde_json::from_slice(&answer.body).ok()).unwrap_or_default()
    }

    pub(super) fn answer(
        &mut self,
        operation: &'static str,
        path: &str,
        complete: impl FnOnce(Call) -> Call,
    ) -> Option<Answer> {
        let (method, _) = operation.split_once(' ').expect("a method and a path");
        let call = complete(Call::new(method, format!("{}{path}", self.url)).token(ADMIN));
        let begun = Instant::now();
        let answer = match call.try_send_through(&self.agent) {
            Ok(answer) => answer,
            Err(error) => {
                self.tally.wrong.push(format!("{operation}: {error}"));
                return None;
            }
        };
        self.tally.count(operation, answer.status, begun.elapsed());
        // Tests and discoveries are bounded, and say so.
        let asked_for = answer.status == 429
            && (operation.ends_with("/test") || operation.ends_with("/discovery/endpoints"));
        if answer.status >= 300 && !asked_for {
            self.tally.wrong.push(format!("{operation} {path}: {} {}", answer.status, answer.text()));
        }
        (answer.status < 300).then_some(answer)
    }
}

/// The id of a resource.
pub(super) fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_default().to_owned()
}
