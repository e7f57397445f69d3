//! The executor that posts a change to whoever listens at a policy's `callback_url`.
//!
//! The body is `{target, replicas, previous, reason, decisionId, generation}`; `Idempotency-Key` is the decision's
//! id, so a receiver can tell a repetition from another change, and `generation` is larger for every later change of
//! the target. A 2xx confirms it, but 202 says that it will be completed later. What may pass (no answer, 408, 429,
//! 5xx) is tried three times; everything else, a redirect included, fails at once.

use std::time::Duration;

use fogline_core::record::DecisionRecord;
use fogline_core::scaling::decision::TargetRef;
use fogline_source::guard::{CallError, GuardedClient};

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Pauses before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// The most of an answer that is shown.
const MAX_SHOWN_CHARS: usize = 200;

/// The caller.
#[derive(Clone, Debug)]
pub(in super::super) struct Webhook {
    client: GuardedClient,
}

/// What the other side has said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Accepted {
    /// It is done.
    Done,
    /// It will be, and somebody will say so.
    Later,
}

/// Why it is not done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error("the callback failed {tries} times, last: {last}")]
    Failed { tries: usize, last: String },
    #[error("the callback was refused: {0}")]
    Refused(String),
    /// Nobody hears of this one: whoever leads now does it.
    #[error("this server does not lead any more")]
    TermOver,
}

impl Webhook {
    pub(in super::super) const fn new(client: GuardedClient) -> Self {
        Self { client }
    }

    /// Posts a change until it is accepted, or there is no hope; looks before each try whether this server `may`.
    pub(super) async fn post(
        &self,
        url: &str,
        record: &DecisionRecord,
        generation: u64,
        may: impl Fn() -> bool,
    ) -> Result<Accepted, NotDone> {
        let body = body(record, generation);
        let id = record.id.to_string();
        let mut tries = 0;
        loop {
            if !may() {
                return Err(NotDone::TermOver);
            }
            tries += 1;
            let answer = self.client.post_json(url, &[("idempotency-key", &id)], body.clone(), DEADLINE).await;
            let last = match answer {
                Ok(reply) if reply.status == 202 => return Ok(Accepted::Later),
                Ok(reply) if reply.is_success() => return Ok(Accepted::Done),
                Ok(reply) => {
                    let said = said(reply.status, &reply.body);
                    if !matches!(reply.status, 408 | 429 | 500..=599) {
                        return Err(NotDone::Refused(said));
                    }
                    said
                }
                Err(CallError::Refused(reason)) => return Err(NotDone::Refused(reason)),
                Err(error) => error.to_string(),
            };
            let Some(pause) = PAUSES.get(tries - 1) else { return Err(NotDone::Failed { tries, last }) };
            tokio::time::sleep(*pause).await;
        }
    }
}

fn body(record: &DecisionRecord, generation: u64) -> Vec<u8> {
    let TargetRef { target_type, target_id } = (&record.target).into();
    let target = target_id.unwrap_or(target_type);
    let decision = &record.decision;
    let body = serde_json::json!({
        "target": target,
        "replicas": decision.replicas,
        "previous": decision.current,
        "reason": decision.reason,
        "decisionId": record.id,
        "generation": generation,
    });
    body.to_string().into_bytes()
}

/// A status, with the beginning of what came with it.
fn said(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_SHOWN_CHARS)]);
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
    let redirect = if (300..400).contains(&status) { " (redirects are not followed)" } else { "" };
    if text.is_empty() { format!("status {status}{redirect}") } else { format!("status {status}{redirect}: {text}") }
}
