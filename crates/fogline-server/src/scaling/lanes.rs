//! How many questions may be open: of one server, and of all.
//!
//! Three lanes, each with room of its own: what ran out of time the last time goes by the slow one, what somebody tries
//! out by that of one-off questions. So however many sources hang, those that answer find room. Invariant: a question that
//! has to wait holds no room of another kind. Tests: below.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fogline_core::scaling::policy::{MetricSpec, Server};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room by [`Lane`]: quick, slow, one-off.
type Room3 = [usize; 3];
/// Open questions to one server: a policy's author must not be able to burden somebody else's server.
const OF_ONE_SERVER: Room3 = [6, 2, 2];
/// Open questions in all: each may hold a socket and a megabyte.
const IN_ALL: Room3 = [256, 256, 16];

/// By which a question goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// That of sources which answer.
    Quick,
    /// That of sources which ran out of time.
    Slow,
    /// That of questions which are asked once, because somebody tries something out.
    Once,
}

/// Room for each kind of question.
#[derive(Debug)]
struct Lanes([Arc<Semaphore>; 3]);

impl Lanes {
    fn new(room: Room3) -> Arc<Self> {
        Arc::new(Self(room.map(|places| Arc::new(Semaphore::new(places)))))
    }

    async fn enter(&self, lane: Lane) -> OwnedSemaphorePermit {
        Arc::clone(&self.0[lane as usize]).acquire_owned().await.expect("lanes are never closed")
    }
}

/// The lanes of all servers.
#[derive(Debug)]
pub(super) struct Traffic {
    all: Arc<Lanes>,
    servers: Mutex<HashMap<String, Weak<Lanes>>>,
}

/// One question's way to its server.
#[derive(Clone, Debug)]
pub(super) struct Way {
    all: Arc<Lanes>,
    server: Arc<Lanes>,
}

/// The room that an open question takes.
#[derive(Debug)]
pub(super) struct Room {
    _server: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { all: Lanes::new(IN_ALL), servers: Mutex::default() }
    }
}

impl Traffic {
    /// The way to the server of `spec`.
    pub(super) fn way(&self, spec: &MetricSpec) -> Way {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = address(spec);
        let known = servers.get(&key).and_then(Weak::upgrade);
        let server = known.unwrap_or_else(|| {
            servers.retain(|_, lanes| lanes.strong_count() > 0);
            let lanes = Lanes::new(OF_ONE_SERVER);
            servers.insert(key, Arc::downgrade(&lanes));
            lanes
        });
        Way { all: Arc::clone(&self.all), server }
    }
}

impl Way {
    /// Waits for room.
    pub(super) async fn enter(&self, lane: Lane) -> Room {
        // The server's first: whoever waits for a busy server must not keep others from theirs.
        let server = self.server.enter(lane).await;
        Room { _server: server, _all: self.all.enter(lane).await }
    }
}

/// What tells one server from another: its name in the settings, or the host. Not the port, for a host that listens on
/// all of them is one server still.
fn address(spec: &MetricSpec) -> String {
    match spec.server() {
        Server::Connection(name) => format!("connection {name}"),
        Server::Default => "the default".to_owned(),
        Server::Url(url) => {
            let authority = url.find("://").map_or(0, |at| at + 3);
            let end = url[authority..].find(['/', '?', '#', '\\']).map_or(url.len(), |at| authority + at);
            let named = &url[authority..end];
            let host = named.rsplit_once('@').map_or(named, |(_, host)| host);
            // The colons of an IPv6 address are inside its brackets.
            let port = host.rfind(':').filter(|colon| !host[*colon..].contains(']'));
            host[..port.unwrap_or(host.len())].trim_end_matches('.').to_ascii_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::scaling::policy::SourceKind;
    use futures_util::FutureExt;

    use super::*;

    fn at(url: &str) -> MetricSpec {
        MetricSpec { url: Some(url.to_owned()), ..MetricSpec::new(SourceKind::HttpJson) }
    }

    #[test]
    fn a_server_is_known_by_its_host() {
        for url in ["http://Queue:80/a/b?c", "https://queue", "http://queue.:81?x=/", "http://me:pass@queue:82#x"] {
            assert_eq!(address(&at(url)), "queue", "{url}");
        }
        assert_eq!(address(&at("http://[FD00::1]:90/")), "[fd00::1]");
        assert_eq!(address(&at("http://[fd00::1]")), "[fd00::1]");
        assert_ne!(address(&at("http://queue-2/")), address(&at("http://queue/")));
    }

    #[test]
    fn whatever_hangs_there_is_room_for_what_answers() {
        let traffic = Traffic::default();
        // More slow ones than there is room for, on as many servers.
        let ways: Vec<Way> = (0..2 * IN_ALL[1]).map(|n| traffic.way(&at(&format!("http://slow-{n}/")))).collect();
        let hanging: Vec<Room> = ways.iter().filter_map(|way| way.enter(Lane::Slow).now_or_never()).collect();
        assert_eq!(hanging.len(), IN_ALL[1], "slow ones are bounded");
        let tried: Vec<Room> = ways.iter().filter_map(|way| way.enter(Lane::Once).now_or_never()).collect();
        assert_eq!(tried.len(), IN_ALL[2], "so are one-off questions");
        let way = traffic.way(&at("http://good/"));
        let mut open = Vec::new();
        while let Some(room) = way.enter(Lane::Quick).now_or_never() {
            open.push(room);
        }
        assert_eq!(open.len(), OF_ONE_SERVER[0]);
    }
}
