//! A request's line in the access log, made as it goes along, and told when it ends. Made only where there is a log.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::header::{self, HeaderMap};
use hyper::{Request, Version};

use super::upload::Upload;
use crate::access_log::{AccessLog, Entry, shortened};
use crate::clock::Clock;

/// A line that is not finished.
pub(crate) struct Draft {
    pub entry: Entry,
    pub(super) upload: Option<Rc<Upload>>,
    log: AccessLog,
    clock: Clock,
    began_us: u64,
}

impl Draft {
    pub fn new<B>(log: &AccessLog, clock: Clock, request: &Request<B>, client: IpAddr, tls: bool) -> Box<Self> {
        let entry = Entry {
            time: clock.wall(),
            client,
            method: shortened(request.method().as_str()).to_owned(),
            host: String::new(),
            // What is cut anyway need not be kept for as long as the request lasts.
            path: shortened(request.uri().path()).to_owned(),
            protocol: protocol(request.version()),
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            held: Duration::ZERO,
            deployment: None,
            replica: None,
            retries: 0,
            user_agent: user_agent(request.headers()),
            tls,
        };
        Box::new(Self { entry, upload: None, log: log.clone(), clock, began_us: clock.now_us() })
    }

    pub fn answered(&mut self, status: u16) {
        self.entry.status = status;
    }

    /// It has ended, after so long a wait for replicas.
    pub fn tell(mut self: Box<Self>, held: Duration) {
        if let Some(upload) = &self.upload {
            self.entry.bytes_in += upload.bytes.get();
        }
        self.entry.held = held;
        self.entry.duration = Duration::from_micros(self.clock.now_us().saturating_sub(self.began_us));
        self.log.record(self.entry);
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT).map(|agent| shortened(&String::from_utf8_lossy(agent.as_bytes())).to_owned())
}
