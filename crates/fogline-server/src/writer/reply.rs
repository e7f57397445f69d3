//! The answer that one caller of the writer waits for.
//!
//! Invariant: every caller gets exactly one answer, also when a term ends in the middle of a commit and everything of it is
//! dropped: whoever was in that commit is told that it may land, everybody else that nothing was done. Tests: below.

use tokio::sync::oneshot;

use super::{Committed, WriteError};

type Answer = Result<Committed, WriteError>;

/// One answer, to be given once.
#[derive(Debug)]
pub(super) struct Reply {
    sender: Option<oneshot::Sender<Answer>>,
    may_land: bool,
}

impl Reply {
    /// The answer, and where it will arrive.
    pub(super) fn pair() -> (Self, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender: Some(sender), may_land: false }, receiver)
    }

    /// Whether the change is on its way to the database, so that it may land whatever becomes of this server.
    pub(super) const fn under_way(&mut self, may_land: bool) {
        self.may_land = may_land;
    }

    /// Gives it.
    pub(super) fn give(mut self, answer: Answer) {
        self.send(answer);
    }

    fn send(&mut self, answer: Answer) {
        if let Some(sender) = self.sender.take() {
            // Whoever asked may have gone; it is done all the same.
            let _ = sender.send(answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let last = if self.may_land { WriteError::OutcomeUnknown } else { WriteError::NotLeader { leader: None } };
        self.send(Err(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_dropped_hears_whether_it_may_land() {
        let (mut reply, answer) = Reply::pair();
        reply.under_way(true);
        drop(reply);
        assert_eq!(answer.await.expect("an answer"), Err(WriteError::OutcomeUnknown));

        let (mut reply, answer) = Reply::pair();
        reply.under_way(true);
        reply.under_way(false);
        drop(reply);
        assert_eq!(answer.await.expect("an answer"), Err(WriteError::NotLeader { leader: None }));

        let (reply, answer) = Reply::pair();
        reply.give(Err(WriteError::Busy));
        assert_eq!(answer.await.expect("an answer"), Err(WriteError::Busy));
    }
}
