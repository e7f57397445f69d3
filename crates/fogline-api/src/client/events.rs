//! Changes as they happen.

use super::{Client, ClientError};
use crate::http::EventResponse;

const DATA: &str = "data: ";

/// Changes that are being watched. Ends when the server stops or leads no more, when the login is over, and when the reader
/// was too slow: whoever wants to go on opens it anew, since [`Self::revision`].
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    server: String,
    received: Vec<u8>,
    revision: Option<u64>,
}

impl EventStream {
    /// The next change; nothing at the end.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no event.
    pub async fn next(&mut self) -> Result<Option<EventResponse>, ClientError> {
        loop {
            self.pass_over();
            if let Some(line) = self.line() {
                let event = serde_json::from_str(line.strip_prefix(DATA).unwrap_or(&line));
                self.pass_over();
                return event.map(Some).map_err(|error| ClientError::Unexpected {
                    server: self.server.clone(),
                    status: 200,
                    excerpt: error.to_string(),
                });
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.received.extend_from_slice(&piece),
                Ok(None) => return Ok(None),
                Err(source) => return Err(ClientError::Interrupted { server: self.server.clone(), source }),
            }
        }
    }

    /// Every change up to this revision has come; none before the first word of the server.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// Takes what comes before the next event: signs of life, and how far it is by now.
    fn pass_over(&mut self) {
        while !self.received.starts_with(DATA.as_bytes())
            && let Some(line) = self.line()
        {
            if let Some(revision) = line.strip_prefix("id: ").and_then(|id| id.parse().ok()) {
                self.revision = Some(revision);
            }
        }
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Option<String> {
        let end = self.received.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.received.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }
}

impl Client {
    /// Watches what changes from now on, or after a revision.
    ///
    /// # Errors
    /// `events-gone` when what came after that revision is not kept any more, and those of every call.
    pub async fn events(&self, since: Option<u64>) -> Result<EventStream, ClientError> {
        let response = self.get(&["api", "v1", "events"]).query("since", since).stream().await?;
        Ok(EventStream { response, server: self.server().to_owned(), received: Vec::new(), revision: None })
    }
}
