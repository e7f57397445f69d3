//! One connection that is passed on as it is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tracing::debug;

use crate::access_log::{AccessLog, Entry};
use crate::forward::{Moved, connect, is_own_want, relay};
use crate::hold::Refusal;
use crate::service::{Permit, Service, Ticket};

/// Replicas that one connection is tried with. Nothing has been sent to those before.
const MOST_TRIES: usize = 3;
/// What a connection that waits is counted with against the bytes that may wait.
const WAITING_BYTES: u64 = 1_024;

/// Why nothing was passed on.
#[derive(Debug, thiserror::Error)]
enum NotServed {
    #[error("the client has gone while it waited")]
    ClientGone,
    #[error("no replica was free: {0}")]
    Refused(String),
    #[error("no replica could be reached")]
    Unreachable,
    #[error("no connection can be opened: {0}")]
    NoMeans(#[source] io::Error),
}

impl From<Refusal> for NotServed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.reason.into_owned())
    }
}

pub(super) struct Connection {
    client: TcpStream,
    address: SocketAddr,
    service: Arc<Service>,
    access_log: Option<AccessLog>,
}

impl Connection {
    pub fn new(client: TcpStream, address: SocketAddr, service: Arc<Service>, access_log: Option<AccessLog>) -> Self {
        Self { client, address, service, access_log }
    }

    pub async fn serve(self) {
        let clock = self.service.shared.clock;
        let time = clock.wall();
        let mut ticket = self.service.begin(true);
        let (name, idle) = {
            let view = self.service.view();
            (Arc::clone(&view.told.name), Duration::from_secs(view.told.traffic.idle_timeout_s.into()))
        };
        let mut tried = Vec::new();
        let reached = self.reach(&mut ticket, &mut tried).await;
        let (moved, mut replica_id) = (Moved::default(), None);
        match reached {
            Ok((permit, replica)) => {
                replica_id = Some(permit.upstream().replica_id);
                if let Err(error) = relay(self.client, replica, idle, &moved).await {
                    debug!(client = %self.address, deployment = %name, %error, "a connection is cut");
                }
                drop(permit);
            }
            Err(why) => {
                ticket.failed();
                debug!(client = %self.address, deployment = %name, %why, "a connection is closed");
            }
        }
        let Some(access_log) = self.access_log else { return };
        access_log.record(Entry {
            time,
            client: self.address.ip().to_canonical(),
            method: String::new(),
            host: String::new(),
            path: String::new(),
            protocol: "TCP",
            status: 0,
            bytes_in: moved.from_client.get(),
            bytes_out: moved.to_client.get(),
            duration: Duration::from_micros(clock.now_us().saturating_sub(ticket.began_us())),
            held: Duration::from_micros(ticket.waited_us()),
            deployment: Some(name),
            replica: replica_id,
            retries: u32::try_from(tried.len()).unwrap_or(u32::MAX),
            user_agent: None,
            tls: false,
        });
    }

    /// A replica that has accepted a connection.
    async fn reach(&self, ticket: &mut Ticket, tried: &mut Vec<u64>) -> Result<(Permit, TcpStream), NotServed> {
        while tried.len() < MOST_TRIES {
            let admitted = self.service.admit(ticket, tried, || WAITING_BYTES);
            let mut permit = tokio::select! {
                biased;
                admitted = admitted => admitted?,
                () = gone(&self.client) => return Err(NotServed::ClientGone),
            };
            match connect(permit.upstream()).await {
                Ok(replica) => {
                    permit.connected();
                    // Only fails on a connection that is over, which is seen soon enough.
                    let _ = self.client.set_nodelay(true);
                    return Ok((permit, replica));
                }
                Err(error) if is_own_want(&error) => {
                    permit.broke(false);
                    return Err(NotServed::NoMeans(error));
                }
                Err(error) => {
                    debug!(replica_id = %permit.upstream().replica_id, %error, "a replica cannot be reached");
                    permit.could_not_connect();
                    tried.push(permit.upstream().key);
                }
            }
        }
        Err(NotServed::Unreachable)
    }
}

/// Until the client has ended its half without having said anything: nobody is there any more. One that has said something
/// is waited for, because it may have ended its half on purpose.
async fn gone(client: &TcpStream) {
    match client.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}
