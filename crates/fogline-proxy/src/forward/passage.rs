//! What ends with a request: its ticket, its permit, its place among the connection's open requests, its line in the log.

use std::time::Duration;

use hyper::StatusCode;

use super::log::Draft;
use crate::serve::InHand;
use crate::service::{Permit, Ticket};

/// What ends with a request, in this order.
pub(crate) struct Passage {
    pub permit: Option<Permit>,
    pub ticket: Option<Ticket>,
    pub draft: Option<Box<Draft>>,
    /// How long the client may leave the answer untaken, where its deployment says.
    pub most_blocked: Option<Duration>,
    _in_hand: InHand,
}

impl Passage {
    pub fn new(in_hand: InHand, draft: Option<Box<Draft>>) -> Self {
        Self { permit: None, ticket: None, draft, most_blocked: None, _in_hand: in_hand }
    }

    /// It is answered with this status.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some(ticket) = &mut self.ticket {
            ticket.answered(status.as_u16());
        }
        if let Some(draft) = &mut self.draft {
            draft.answered(status.as_u16());
        }
    }

    /// So many bytes of the answer have been handed over.
    pub fn sent(&mut self, bytes: usize) {
        if let Some(draft) = &mut self.draft {
            draft.entry.bytes_out += bytes as u64;
        }
    }

    /// The replica broke off in the middle of its answer.
    pub fn broke(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.broke(true);
        }
        if let Some(ticket) = &mut self.ticket {
            ticket.failed();
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let waited_us = self.ticket.as_ref().map_or(0, Ticket::waited_us);
        // Whoever reads the line may count on the rest having ended.
        self.permit = None;
        self.ticket = None;
        if let Some(draft) = self.draft.take() {
            draft.tell(Duration::from_micros(waited_us));
        }
    }
}
