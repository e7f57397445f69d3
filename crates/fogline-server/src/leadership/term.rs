//! What there is only while this server leads, for those who work with it: handlers, sessions of agents.
//!
//! Invariant: everything in here belongs to one take-over. Whoever still holds a term that is over finds a desk that takes
//! nothing and a mandate that does not hold, so nothing of an old term can act.

use std::sync::Arc;

use super::Mandate;
use crate::agents::Registry;
use crate::events::Feed;
use crate::presence::Presence;
use crate::proxies::{Figures, Registry as Proxies};
use crate::scaling::Scaler;
use crate::writer::Desk;

/// One term.
#[derive(Debug)]
pub(crate) struct Term {
    /// By which right, and until when.
    pub(crate) mandate: Arc<Mandate>,
    /// The way to the writer of this term.
    pub(crate) desk: Desk,
    /// Which session presents which node.
    pub(crate) registry: Arc<Registry>,
    /// Which proxies are attached.
    pub(crate) proxies: Arc<Proxies>,
    /// What proxies tell of requests.
    pub(crate) traffic: Arc<Figures>,
    /// What agents have told and no row holds.
    pub(crate) presence: Presence,
    /// What has changed lately.
    pub(crate) feed: Arc<Feed>,
    /// Decides counts.
    pub(crate) scaler: Arc<Scaler>,
}
