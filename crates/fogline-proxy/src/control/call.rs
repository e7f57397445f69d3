//! One call to one server: the gRPC stream, and nothing that decides.
//!
//! Invariant: a call ends in exactly one [`CallNews::Lost`], unless it is dropped; dropping it ends it.

use fogline_api::attach::{self, Token};
use fogline_api::protocol::proxy::proxy_service_client::ProxyServiceClient;
use fogline_api::protocol::proxy::{FromProxy, FromServer, ProxyMessage};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;
use tracing::warn;

/// Messages that may wait to be sent. What does not fit is not sent: it is a level, and said again.
const OUTBOUND: usize = 64;
/// Who calls, in messages.
const WHO: &str = "proxy";

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum CallNews {
    /// The server has taken it.
    Connected,
    /// The server has said something.
    Received(FromServer),
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
    outbound: mpsc::Sender<ProxyMessage>,
    task: AbortHandle,
}

impl Call {
    /// Calls `server`. What becomes of it is told to `news`.
    pub fn start(number: u64, server: &str, token: &Token, news: mpsc::Sender<(u64, CallNews)>) -> Self {
        let (outbound, messages) = mpsc::channel(OUTBOUND);
        let (server, token) = (server.to_owned(), token.clone());
        let task = tokio::spawn(async move {
            let why = match converse(number, &server, &token, messages, &news).await {
                Ok(()) => format!("the server at {server} has ended the stream"),
                Err(why) => why,
            };
            let _ = news.send((number, CallNews::Lost { why })).await;
        })
        .abort_handle();
        Self { number, outbound, task }
    }

    /// Says something, where there is room. Says whether there was.
    pub fn send(&self, message: &FromProxy) -> bool {
        let sent = self.outbound.try_send(message.into()).is_ok();
        if !sent {
            warn!("the server does not take what this proxy says fast enough; it will be said again");
        }
        sent
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
    messages: mpsc::Receiver<ProxyMessage>,
    news: &mpsc::Sender<(u64, CallNews)>,
) -> Result<(), String> {
    let channel = attach::connect(server).await?;
    let request = attach::authorized(ReceiverStream::new(messages), token)?;
    // Before the answer: a server may wait for the first message before it answers at all.
    tell(news, number, CallNews::Connected).await?;
    let mut answers = ProxyServiceClient::new(channel)
        .max_decoding_message_size(attach::LARGEST_MESSAGE_BYTES)
        .attach(request)
        .await
        .map_err(|status| attach::refused(server, WHO, &status))?
        .into_inner();
    while let Some(message) = answers.message().await.map_err(|status| attach::refused(server, WHO, &status))? {
        // A table without one of its changes would be another table: the next call brings a whole one.
        let message = FromServer::try_from(message)
            .map_err(|error| format!("a message of the server at {server} makes no sense: {error}"))?;
        tell(news, number, CallNews::Received(message)).await?;
    }
    Ok(())
}

async fn tell(news: &mpsc::Sender<(u64, CallNews)>, number: u64, what: CallNews) -> Result<(), String> {
    news.send((number, what)).await.map_err(|_| "the proxy stops".to_owned())
}
