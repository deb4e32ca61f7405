//! Random interleavings of steps, bytes, closes and renewals, against a model that knows nothing of bytes.

use proptest::prelude::*;

use super::*;

/// What a conversation may be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Connected,
    Acknowledged,
    Open,
    /// A request of this stage is under way.
    Awaiting(Stage),
    Over,
}

#[derive(Clone, Debug)]
enum Move {
    Hello,
    OpenChannel,
    Renew,
    GetEndpoints,
    CloseChannel,
    /// Steps of a session that does not exist.
    ActivateSession,
    CloseSession,
    Read,
    /// What an honest server answers, in pieces of this length.
    Answer(usize),
    /// It refuses the service.
    Refuse,
    /// An ERR message.
    Err,
    Garbage(Vec<u8>),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => Just(Move::Hello),
        4 => Just(Move::OpenChannel),
        4 => Just(Move::Renew),
        6 => Just(Move::GetEndpoints),
        1 => Just(Move::CloseChannel),
        1 => Just(Move::ActivateSession),
        1 => Just(Move::CloseSession),
        1 => Just(Move::Read),
        14 => (1_usize..300).prop_map(Move::Answer),
        2 => Just(Move::Refuse),
        1 => Just(Move::Err),
        1 => prop::collection::vec(any::<u8>(), 8..60).prop_map(Move::Garbage),
    ];
    // Most conversations are to get somewhere.
    let begin = prop_oneof![
        1 => Just(Vec::new()),
        6 => Just(vec![Move::Hello, Move::Answer(50), Move::OpenChannel, Move::Answer(50)]),
    ];
    (begin, prop::collection::vec(one, 0..24)).prop_map(|(begin, rest)| [begin, rest].concat())
}

/// A conversation, its honest server, and what the model says of both.
struct Run {
    client: Conversation,
    server: TestServer,
    security: Option<SecurityPolicy>,
    model: Model,
    request: Option<Request>,
}

impl Run {
    fn new(security: Option<SecurityPolicy>) -> Self {
        Self {
            client: Conversation::new(Limits::default(), Counter(0)),
            server: TestServer::new(security.map(|policy| (policy, MODE))),
            security,
            model: Model::Connected,
            request: None,
        }
    }

    /// A step is taken from the one state it belongs to, and else refused without a byte.
    fn step(
        &mut self,
        from: Model,
        stage: Stage,
        step: impl FnOnce(&mut Conversation) -> Result<Vec<u8>, ChannelError>,
    ) -> Option<Vec<u8>> {
        match step(&mut self.client) {
            Ok(bytes) => {
                assert_eq!(self.model, from, "{stage}");
                assert!(!bytes.is_empty());
                self.model = Model::Awaiting(stage);
                Some(bytes)
            }
            Err(error) => {
                assert_ne!(self.model, from, "{error}");
                assert_eq!((error.stage, error.origin, error.fault), (stage, Origin::Local, Fault::NotReady));
                None
            }
        }
    }

    fn make(&mut self, next: Move) {
        match next {
            Move::Hello => {
                self.step(Model::Connected, Stage::Hello, |client| client.hello(&url()));
            }
            Move::OpenChannel => {
                let asked = self.security.map_or(Security::None, |policy| security(policy, MODE));
                let sent = self
                    .step(Model::Acknowledged, Stage::OpenSecureChannel, |client| client.open(asked, TIMING));
                if let Some(bytes) = sent {
                    self.request = Some(self.server.read_open(&bytes));
                }
            }
            Move::Renew => {
                let sent = self.step(Model::Open, Stage::RenewSecureChannel, |client| client.renew(TIMING));
                if let Some(bytes) = sent {
                    self.request = Some(self.server.read_open(&bytes));
                }
            }
            Move::GetEndpoints => {
                let sent = self
                    .step(Model::Open, Stage::GetEndpoints, |client| client.get_endpoints(&url(), TIMING));
                if let Some(bytes) = sent {
                    self.request = Some(self.server.read(&bytes));
                }
            }
            Move::CloseChannel => {
                let was_open = matches!(
                    self.model,
                    Model::Open | Model::Awaiting(Stage::GetEndpoints | Stage::RenewSecureChannel)
                );
                let closed = self.client.close(TIMING);
                assert_eq!(closed.is_ok(), was_open, "{closed:?}");
                self.model = Model::Over;
            }
            Move::ActivateSession => {
                self.never(|client| client.activate_session(&UserIdentity::Anonymous, TIMING));
            }
            Move::CloseSession => self.never(|client| client.close_session(TIMING)),
            Move::Read => self.never(|client| client.read_server_status(TIMING)),
            Move::Answer(piece) => self.answer(piece),
            Move::Refuse => self.refuse(),
            Move::Err => self.ends(&err_message()),
            Move::Garbage(bytes) => self.ends(&[b"JUNK", bytes.as_slice()].concat()),
        }
    }

    fn never(&mut self, step: impl FnOnce(&mut Conversation) -> Result<Vec<u8>, ChannelError>) {
        assert_eq!(step(&mut self.client).unwrap_err().fault, Fault::NotReady);
    }

    fn answer(&mut self, piece: usize) {
        let Model::Awaiting(stage) = self.model else { return };
        let bytes = match (stage, self.request.take()) {
            (Stage::Hello, _) => TestServer::acknowledge(65_536),
            (Stage::GetEndpoints, Some(request)) => self.server.answer(&request, &no_endpoints()),
            (_, Some(request)) => self.server.answer_open(&request),
            (_, None) => unreachable!("a request was read"),
        };
        let mut events = Vec::new();
        for part in bytes.chunks(piece) {
            self.client.receive(part);
            events.extend(self.client.poll().unwrap());
        }
        assert_eq!(self.client.poll(), Ok(None), "one answer is one event");
        let [event] = events.as_slice() else { panic!("{events:?}") };
        self.model = match (stage, event) {
            (Stage::Hello, Event::Acknowledged) => Model::Acknowledged,
            (Stage::OpenSecureChannel, Event::ChannelOpened { .. })
            | (Stage::RenewSecureChannel, Event::ChannelRenewed { .. })
            | (Stage::GetEndpoints, Event::Endpoints(_)) => Model::Open,
            other => panic!("{other:?}"),
        };
    }

    /// A refused service leaves the channel, a refused channel leaves nothing.
    fn refuse(&mut self) {
        let Model::Awaiting(stage) = self.model else { return };
        let Some(request) = self.request.take() else { return };
        let refusal = response(SERVICE_FAULT, 0x8013_0000);
        let bytes = match stage {
            Stage::GetEndpoints => self.server.answer(&request, &refusal),
            _ => self.server.seal_open(request.request_id, &refusal),
        };
        let error = fault_of(&mut self.client, &bytes);
        assert_eq!((error.stage, error.origin, error.fault), (stage, Origin::Peer, Fault::ServiceFault));
        self.model = if stage == Stage::GetEndpoints { Model::Open } else { Model::Over };
    }

    /// Bytes after which nothing goes on.
    fn ends(&mut self, bytes: &[u8]) {
        self.client.receive(bytes);
        let error = self.client.poll().unwrap_err();
        if self.model == Model::Over {
            assert_eq!(error.fault, Fault::NotReady);
        }
        self.model = Model::Over;
    }

    /// What holds in every state: it says what a close or a passed deadline would mean, and who is over stays so.
    fn check(&mut self) {
        assert_ne!(self.client.timed_out().origin, Origin::Peer);
        if self.model != Model::Over {
            assert_eq!(self.client.closed().origin, Origin::Transport);
            assert!(matches!(self.client.closed().fault, Fault::Closed { .. }));
        }
        if let Model::Awaiting(stage) = self.model {
            assert_eq!((self.client.closed().stage, self.client.timed_out().stage), (stage, stage));
        }
        if self.model == Model::Over {
            assert_eq!(self.client.poll().unwrap_err().fault, Fault::NotReady);
            assert!(self.client.server_chain().is_none());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_conversation_is_always_where_the_model_says(
        moves in moves(),
        policy in prop::sample::select(vec![
            None,
            Some(SecurityPolicy::EccNistP256),
            Some(SecurityPolicy::EccNistP256AesGcm),
            Some(POLICY),
        ]),
    ) {
        let mut run = Run::new(policy);
        for next in moves {
            run.make(next);
            run.check();
        }
    }
}
