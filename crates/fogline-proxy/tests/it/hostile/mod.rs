//! Requests that are made to do harm. Each is refused or has no effect, no replica sees a trace of it, and others are
//! served all the while.

mod bodies;
mod floods;
mod framing;
mod heads;
mod hosts;
mod http2;
mod slow;
mod upgrades;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use fogline_core::spec::TrafficSpec;
use fogline_proxy::Patience;
use tokio::task::JoinHandle;

use crate::rig::replica::Replica;
use crate::rig::{DEADLINE, Rig, raw, service};

/// What no replica may ever be sent. It is in every part of an attack that must not get through.
const MARK: &str = "attack";

/// A proxy with two services of two users: `shop.example`, which is attacked, and `other.example`, whose client goes on
/// asking and must notice nothing.
struct Field {
    rig: Rig,
    shop: Replica,
    other: Replica,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    bystander: JoinHandle<()>,
}

impl Field {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other rules for `shop.example`.
    async fn with(change: impl FnOnce(&mut TrafficSpec)) -> Self {
        Self::with_patience(change, Patience::default()).await
    }

    /// With clients that must be quicker, or may be slower.
    async fn with_patience(change: impl FnOnce(&mut TrafficSpec), patience: Patience) -> Self {
        let (shop, other) = (Replica::start(), Replica::start());
        let mut attacked = service(1, "shop.example", &[shop.address]);
        change(Arc::make_mut(&mut attacked.traffic));
        let services = vec![attacked, service(2, "other.example", &[other.address])];
        let rig = Rig::started(services, |config| config.patience = patience).await;
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let bystander = tokio::spawn(ask_on(rig.http, Arc::clone(&stop), Arc::clone(&answered)));
        Self { rig, shop, other, stop, answered, bystander }
    }

    fn http(&self) -> SocketAddr {
        self.rig.http
    }

    /// Waits until the bystander has been answered once more.
    async fn others_are_served(&self) {
        let before = self.answered.load(Ordering::SeqCst);
        let once_more = async {
            while self.answered.load(Ordering::SeqCst) < before + 2 && !self.bystander.is_finished() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, once_more).await.expect("others are served");
    }

    /// Ends the test: nothing of the attack has arrived anywhere, and nobody else noticed.
    async fn ends_unharmed(self) {
        self.others_are_served().await;
        self.stop.store(true, Ordering::SeqCst);
        self.bystander.await.expect("everything was answered with 200");
        for arrived in self.shop.arrived().into_iter().chain(self.other.arrived()) {
            assert!(!arrived.head.contains(MARK), "a replica was sent {arrived:?}");
        }
    }

    /// Sends these bytes and expects the connection to end with this status, alone.
    async fn refuses(&self, what: &str, bytes: &[u8], status: u16) {
        let back = raw::write_and_read_to_end(self.http(), bytes).await;
        assert_eq!(back.statuses(), [status], "{what}: {}", back.text());
    }
}

async fn ask_on(address: SocketAddr, stop: Arc<AtomicBool>, answered: Arc<AtomicU32>) {
    while !stop.load(Ordering::SeqCst) {
        assert_eq!(raw::get(address, "other.example", "/ok").await, 200);
        answered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
