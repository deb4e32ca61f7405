use std::fmt;
use std::io;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Deadline;
use super::dial::Stream;
use super::secure_channel::unexpected;
use crate::UserIdentity;
use crate::conversation::{Conversation, Event, Timing};
use crate::error::{ChannelError, Fault, Stage};
use crate::service::{ServiceAnswer, ServiceRequest};

/// A stream and the conversation on it.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    /// Absent while a step computes on another thread, and for good when that step was given up.
    conversation: Option<Box<Conversation>>,
    buffer: Vec<u8>,
    stage: Stage,
}

/// Where a step is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// Here: about a millisecond at most. To change threads and back would add a good part of that.
    Small,
    /// On a thread for blocking work: RSA with long keys, milliseconds.
    Large,
}

impl Cost {
    pub(super) const fn of(is_costly: bool) -> Self {
        if is_costly { Self::Large } else { Self::Small }
    }

    /// With a signature of the user's key beside ours.
    pub(super) fn with_user(self, user: &UserIdentity) -> Self {
        match user {
            UserIdentity::Certificate(identity) if identity.key().is_costly() => Self::Large,
            _ => self,
        }
    }
}

impl Link {
    pub(super) fn new(stream: Box<dyn Stream>, conversation: Conversation) -> Self {
        Self {
            stream,
            conversation: Some(Box::new(conversation)),
            buffer: vec![0; READ_LEN],
            stage: Stage::Hello,
        }
    }

    pub(super) fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_deref()
    }

    pub(super) fn conversation_mut(&mut self) -> Option<&mut Conversation> {
        self.conversation.as_deref_mut()
    }

    /// Takes one step: writes the request that `make` gives and waits for the event it brings.
    pub(super) async fn exchange(
        &mut self,
        stage: Stage,
        deadline: Deadline,
        cost: Cost,
        make: impl FnOnce(&mut Conversation, Timing) -> Result<Vec<u8>, ChannelError> + Send + 'static,
    ) -> Result<Event, ChannelError> {
        self.stage = stage;
        let exchange = async {
            let request =
                self.compute(cost, move |conversation| make(conversation, timing(deadline))).await?;
            if let Err(error) = self.stream.write_all(&request).await {
                return Err(self.last_words(error).await);
            }
            self.event().await
        };
        match tokio::time::timeout_at(deadline.instant(), exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.conversation.as_ref().map_or_else(
                || ChannelError::transport(stage, Fault::TimedOut),
                |conversation| conversation.timed_out(),
            )),
        }
    }

    /// A request of any service, and its answer.
    pub(super) async fn service(
        &mut self,
        stage: Stage,
        request: ServiceRequest,
        deadline: Deadline,
    ) -> Result<ServiceAnswer, ChannelError> {
        let event = self
            .exchange(stage, deadline, Cost::Small, move |conversation, timing| {
                conversation.request_service_at(stage, &request, timing)
            })
            .await?;
        match event {
            Event::Service(answer) => Ok(answer),
            other => Err(unexpected(stage, &other)),
        }
    }

    /// Says good-bye if the peer listens, and closes the connection.
    pub(super) async fn close(mut self, deadline: Deadline) {
        let bye = async {
            let message = self.conversation.as_mut().map(|conversation| conversation.close(timing(deadline)));
            if let Some(Ok(message)) = message {
                // Nobody is left to tell that the peer did not hear it.
                let _ = self.stream.write_all(&message).await;
            }
            let _ = self.stream.shutdown().await;
        };
        let _ = tokio::time::timeout_at(deadline.instant(), bye).await;
    }

    async fn event(&mut self) -> Result<Event, ChannelError> {
        loop {
            let costly = self.conversation.as_ref().is_some_and(|conversation| conversation.poll_is_costly());
            if let Some(event) = self.compute(Cost::of(costly), Conversation::poll).await? {
                return Ok(event);
            }
            let read = self.stream.read(&mut self.buffer).await;
            let Some(conversation) = &mut self.conversation else { return Err(self.given_up()) };
            match read {
                Ok(0) => return Err(conversation.closed()),
                Ok(len) => conversation.receive(self.buffer.get(..len).unwrap_or_default()),
                Err(error) => return Err(io_error(conversation, &error)),
            }
        }
    }

    /// A peer that refuses and closes at once makes our write fail, while its reason lies unread in the stream.
    async fn last_words(&mut self, error: io::Error) -> ChannelError {
        match self.event().await {
            Err(words) if words.origin != crate::Origin::Transport => words,
            _ => match &self.conversation {
                Some(conversation) => io_error(conversation, &error),
                None => self.given_up(),
            },
        }
    }

    async fn compute<T: Send + 'static>(
        &mut self,
        cost: Cost,
        step: impl FnOnce(&mut Conversation) -> Result<T, ChannelError> + Send + 'static,
    ) -> Result<T, ChannelError> {
        let Some(mut conversation) = self.conversation.take() else { return Err(self.given_up()) };
        let (conversation, outcome) = match cost {
            Cost::Small => {
                let outcome = step(&mut conversation);
                (conversation, outcome)
            }
            Cost::Large => {
                let computed = tokio::task::spawn_blocking(move || {
                    let outcome = step(&mut conversation);
                    (conversation, outcome)
                });
                computed.await.map_err(|_| self.given_up())?
            }
        };
        self.conversation = Some(conversation);
        outcome
    }

    /// The step before was cut off in the middle of its computation.
    const fn given_up(&self) -> ChannelError {
        ChannelError::local(self.stage, Fault::NotReady)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("stage", &self.stage).finish_non_exhaustive()
    }
}

fn timing(deadline: Deadline) -> Timing {
    // A server may drop a request whose hint is zero.
    Timing { now: OffsetDateTime::now_utc(), timeout: deadline.remaining().max(Duration::from_millis(1)) }
}

fn io_error(conversation: &Conversation, error: &io::Error) -> ChannelError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => conversation.closed(),
        kind => ChannelError::transport(conversation.stage(), Fault::Io(kind)),
    }
}

/// A read of this size takes any answer of a session but a list of endpoints at once; a thousand links hold 8 MiB.
const READ_LEN: usize = 8 * 1024;
