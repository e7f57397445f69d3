//! One call to one server: the gRPC stream, and nothing that decides.
//!
//! Invariant: a call ends in exactly one [`CallNews::Lost`], unless it is dropped; dropping it ends it.

use fogline_api::attach::{self, Token};
use fogline_api::protocol::agent_service_client::AgentServiceClient;
use fogline_api::protocol::{AgentMessage, FromAgent, FromServer};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tracing::warn;

use super::Event;

/// Messages that may wait to be sent. What does not fit is not sent: the session says it again.
const OUTBOUND: usize = 256;
/// Pieces of logs that may wait; whoever reads a log waits when there are as many.
const OUTBOUND_LOGS: usize = 16;
/// Who calls, in messages.
const WHO: &str = "agent";

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum CallNews {
    /// The server has taken it.
    Connected,
    /// The server has said something.
    Received(Box<FromServer>),
    /// It is over.
    Lost {
        /// Why, for the log.
        why: String,
    },
}

/// A call that goes on.
#[derive(Debug)]
pub(super) struct Call {
    /// Tells the news of this call from those of the ones before.
    pub number: u64,
    outbound: mpsc::Sender<AgentMessage>,
    logs: mpsc::Sender<AgentMessage>,
    task: AbortHandle,
}

impl Call {
    /// Calls `server`. What becomes of it is told to `events`.
    pub fn start(number: u64, server: &str, token: &Token, events: mpsc::Sender<Event>) -> Self {
        let (outbound, messages) = mpsc::channel(OUTBOUND);
        let (logs, log_messages) = mpsc::channel(OUTBOUND_LOGS);
        let (server, token) = (server.to_owned(), token.clone());
        let task = tokio::spawn(async move {
            let stream = ReceiverStream::new(messages).merge(ReceiverStream::new(log_messages));
            let why = match converse(number, &server, &token, stream, &events).await {
                Ok(()) => format!("the server at {server} has ended the stream"),
                Err(why) => why,
            };
            let _ = events.send(Event::Call { number, news: CallNews::Lost { why } }).await;
        })
        .abort_handle();
        Self { number, outbound, logs, task }
    }

    /// Says something, where there is room.
    pub fn send(&self, message: &FromAgent) {
        if self.outbound.try_send(message.into()).is_err() {
            warn!("the server does not take what this agent says fast enough; it will be said again");
        }
    }

    /// For those who read logs: waits where there is no room.
    pub fn log_sender(&self) -> mpsc::Sender<AgentMessage> {
        self.logs.clone()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    number: u64,
    server: &str,
    token: &Token,
    messages: impl tokio_stream::Stream<Item = AgentMessage> + Send + 'static,
    events: &mpsc::Sender<Event>,
) -> Result<(), String> {
    let channel = attach::connect(server).await?;
    let request = attach::authorized(messages, token)?;
    // Before the answer: a server may wait for the first message before it answers at all.
    tell(events, number, CallNews::Connected).await?;
    let mut answers = AgentServiceClient::new(channel)
        .max_decoding_message_size(attach::LARGEST_MESSAGE_BYTES)
        .attach(request)
        .await
        .map_err(|status| attach::refused(server, WHO, &status))?
        .into_inner();
    while let Some(message) = answers.message().await.map_err(|status| attach::refused(server, WHO, &status))? {
        match FromServer::try_from(message) {
            Ok(message) => tell(events, number, CallNews::Received(Box::new(message))).await?,
            Err(error) => warn!(server, %error, "a message of the server was refused"),
        }
    }
    Ok(())
}

async fn tell(events: &mpsc::Sender<Event>, number: u64, news: CallNews) -> Result<(), String> {
    events.send(Event::Call { number, news }).await.map_err(|_| "the agent stops".to_owned())
}
