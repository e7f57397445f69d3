//! A large table of routes as several messages.
//!
//! Decides where it is cut. Invariant: no message is larger than [`PART_BYTES`] and one service, so that a table of any size
//! gets through. Tests: below.

use prost::Message;

use super::wire::{self, server_message};
use super::{FromServer, ServerMessage};

/// From how many bytes on `Routes` goes on in a further part. One service is at most some hundred kilobytes.
const PART_BYTES: usize = 1_000_000;

/// What each entry of a list needs beside itself: its number and its length.
const MOST_AROUND_BYTES: usize = 6;

impl FromServer {
    /// As it is sent: a large table in parts, all else in one.
    #[must_use]
    pub fn messages(&self) -> Vec<ServerMessage> {
        let message = ServerMessage::from(self);
        let Some(server_message::Message::Routes(routes)) = message.message else { return vec![message] };
        let mut parts = vec![wire::Routes { whole: routes.whole, ..wire::Routes::default() }];
        let mut bytes = 0;
        let mut part_for = |parts: &mut Vec<wire::Routes>, more: usize| {
            let more = more + MOST_AROUND_BYTES;
            if bytes + more > PART_BYTES && bytes > 0 {
                bytes = 0;
                parts.push(wire::Routes::default());
            }
            bytes += more;
            parts.len() - 1
        };
        for service in routes.services {
            let at = part_for(&mut parts, service.encoded_len());
            parts[at].services.push(service);
        }
        for id in routes.removed {
            let at = part_for(&mut parts, id.len());
            parts[at].removed.push(id);
        }
        let last = parts.len() - 1;
        let parts = parts.into_iter().enumerate();
        parts
            .map(|(at, part)| {
                let part = wire::Routes { more: routes.more || at < last, ..part };
                ServerMessage { message: Some(server_message::Message::Routes(part)) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;
    use fogline_core::traffic::Service;

    use super::super::RoutesUpdate;
    use super::*;

    #[test]
    fn a_large_table_goes_in_parts_of_which_none_is_large() {
        let mut ids = IdSource::new(1);
        let owner = ids.next(Timestamp::EPOCH);
        let service = |id| Service {
            deployment_id: id,
            name: "w".repeat(1_000).into(),
            owner,
            routes: Arc::default(),
            traffic: Arc::default(),
            readiness: None,
            asleep: false,
            serving: true,
            trouble: None,
            upstreams: Vec::new(),
        };
        let services: Vec<Service> = (0..5_000).map(|_| service(ids.next(Timestamp::EPOCH))).collect();
        let update = RoutesUpdate { whole: true, services, ..RoutesUpdate::default() };
        let parts = FromServer::Routes(update.clone()).messages();
        assert!(
            parts.len() > 5 && parts.iter().all(|part| part.encoded_len() <= PART_BYTES + 1_000),
            "{}",
            parts.len()
        );
        let mut heard = RoutesUpdate::default();
        for (at, part) in parts.iter().enumerate() {
            let Ok(FromServer::Routes(part)) = FromServer::try_from(part.clone()) else { panic!("no routes") };
            assert_eq!((part.whole, part.more), (at == 0, at + 1 < parts.len()));
            heard.services.extend(part.services);
        }
        assert_eq!(heard.services, update.services);
        let small = RoutesUpdate { whole: true, ..RoutesUpdate::default() };
        assert_eq!(FromServer::Routes(small.clone()).messages(), [(&FromServer::Routes(small)).into()]);
    }
}
