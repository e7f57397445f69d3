//! What one agent or proxy is told, at the last moment before it goes out.
//!
//! A session may be stopped between deciding what to say and saying it: its process frozen, its machine asleep. Invariant:
//! nothing leaves here for a term whose mandate does not hold at that moment. What is then still in the buffers of the
//! connection an agent refuses, once it has heard of a newer epoch. Tests: below.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::Status;

use crate::leadership::Mandate;

/// For which term a session speaks: none until its other end was let in.
pub(crate) type Right = Arc<OnceLock<Arc<Mandate>>>;

/// The stream to one of them.
pub(crate) struct Speech<M> {
    messages: mpsc::Receiver<Result<M, Status>>,
    right: Right,
    over: bool,
}

impl<M> Speech<M> {
    pub(super) const fn new(messages: mpsc::Receiver<Result<M, Status>>, right: Right) -> Self {
        Self { messages, right, over: false }
    }
}

impl<M> Stream for Speech<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(self.messages.poll_recv(context));
        let holds = self.right.get().is_none_or(|mandate| mandate.holds());
        if matches!(&next, Some(Ok(_))) && !holds {
            self.over = true;
            return Poll::Ready(Some(Err(stepped_down())));
        }
        Poll::Ready(next)
    }
}

/// How a session ends with its term.
pub(crate) fn stepped_down() -> Status {
    Status::unavailable("this server does not lead any more: call again, and be told who does")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fogline_api::protocol::{FromServer, ServerMessage};
    use fogline_core::time::Timestamp;
    use futures_util::StreamExt;

    use super::*;
    use crate::clock::Clock;
    use crate::leadership::mandate_for_tests;

    #[tokio::test]
    async fn what_was_said_in_time_and_not_sent_is_not_sent_any_more() {
        let clock = Clock::by_hand(Timestamp::from_micros(1_000_000));
        let right = Right::default();
        let (say, messages) = mpsc::channel(4);
        let mut speech = Speech::new(messages, Arc::clone(&right));
        let word = |number| Ok(ServerMessage::from(&FromServer::Acknowledge { number }));
        for number in 1..=4 {
            say.send(word(number)).await.expect("room");
        }
        assert!(speech.next().await.expect("goes on").is_ok(), "before anybody is let in there is no right to lose");
        assert!(right.set(Arc::new(mandate_for_tests(&clock, Some(Duration::from_secs(6))))).is_ok());
        assert!(speech.next().await.expect("goes on").is_ok());
        // Frozen for a minute.
        clock.advance(Duration::from_secs(60));
        assert!(speech.next().await.expect("a reason").is_err());
        assert!(speech.next().await.is_none());
    }
}
