//! Metric sources: servers that are asked for one number, again and again.
//!
//! [`Sources`] knows the servers that an administrator has set up, and asks them, or an address that a policy names.
//! One file a source. Decides nothing about scaling: what comes back is a sample, or why there is none. Answers come from
//! strangers, so everything is bounded: time (the question's own), size ([`http::MOST_BYTES`]), connections and threads.
//! Must never show a credential, follow a redirect, or turn silence into a number. Invariant: [`Sources::ask`] ends in
//! time whatever the other side does. Where a URL may lead is [`guard`]'s. Tests: `tests/it`, against real servers and a
//! hostile one.

mod check;
mod config;
mod credentials;
pub mod guard;
mod http;
mod http_json;
mod place;
mod postgresql;
mod prometheus;
mod redis;
mod text;
mod tls;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::scaling::policy::{MetricSpec, Question};
use fogline_core::scaling::sample::{Point, Sample};
use fogline_core::spec::FieldError;
use fogline_core::time::Timestamp;
use futures_util::FutureExt;
use tokio::time::timeout;

pub use config::{ConfigError, Connection, SourcesConfig};
pub use credentials::Credentials;
use guard::{Guard, Names, SystemNames};
use place::Places;
use text::shown;

/// The longest that any question may take, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(60);
/// How much of a reason is kept, in characters.
const REASON_CHARS: usize = 500;

/// Beyond this a sum of some values, or a product with a number of replicas, is no number any more.
const LARGEST: f64 = 1e290;

/// Whether a number is one that the engine can work with.
fn can_be_reckoned(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// What a source said.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The number, or why there is none. Its moment is the source's where that knows one, and never later than when it was
    /// asked.
    pub sample: Sample,
    /// Older numbers, oldest first, all before the sample's moment: only of a question with a `range`.
    pub history: Vec<Point>,
}

impl Answer {
    fn of(sample: Sample) -> Self {
        Self { sample, history: Vec::new() }
    }

    /// One that has a number, if it is one.
    fn number(value: f64, at: Timestamp) -> Result<Self, String> {
        if !value.is_finite() {
            Err(format!("the value is {value}, which is no number to compare with"))
        } else if !can_be_reckoned(value) {
            Err(format!("the value is {value:e}, which is too large to reckon with"))
        } else {
            Ok(Self::of(Sample::Value { value, at }))
        }
    }
}

/// Everything that can be asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sources {
    places: Arc<Places>,
}

impl Sources {
    /// Sources that go by these settings. Reads the files that they name, to tell a mistake at once; connects to nobody.
    ///
    /// # Errors
    /// Names the connection that cannot be used, and why.
    pub fn new(config: &SourcesConfig) -> Result<Self, ConfigError> {
        Self::with_names(config, Arc::new(SystemNames::default()))
    }

    /// The same with another resolver of names.
    ///
    /// # Errors
    /// As [`Sources::new`].
    pub fn with_names(config: &SourcesConfig, names: Arc<dyn Names>) -> Result<Self, ConfigError> {
        let places = Places::new(config, Guard::with_names(config.allow_private, names))?;
        Ok(Self { places: Arc::new(places) })
    }

    /// What the addresses that users choose are held against: for callers of webhooks.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        self.places.guard()
    }

    /// Asks one question and gives what came of it, within the question's `timeout` and a moment. `now` is the time of a
    /// sample whose source knows none.
    pub async fn ask(&self, spec: &MetricSpec, now: Timestamp) -> Answer {
        let limit = spec.timeout.0.min(LONGEST);
        // A library that trips over what a stranger sends must not take the asking task along.
        let asking = AssertUnwindSafe(self.dispatch(spec, now)).catch_unwind();
        let reason = match timeout(limit, asking).await {
            Ok(Ok(Ok(answer))) => return answer,
            Ok(Ok(Err(reason))) => reason,
            Ok(Err(_panic)) => "the answer could not be read: reading it failed within".to_owned(),
            Err(_) => format!("no answer within {}", spec.timeout),
        };
        let reason = shown(&format!("{}: {reason}", self.places.name_of(spec)), REASON_CHARS);
        Answer::of(Sample::Error { reason })
    }

    /// Whether a question could be asked: its connection exists and is of its kind, its URL has the right scheme and no
    /// address that may not be called. For when a policy is written; asks nobody.
    ///
    /// # Errors
    /// Names the field of the question.
    pub fn check(&self, spec: &MetricSpec) -> Result<(), FieldError> {
        check::check(&self.places, spec)
    }

    async fn dispatch(&self, spec: &MetricSpec, now: Timestamp) -> Result<Answer, String> {
        check::check(&self.places, spec).map_err(|error| format!("{} {}", error.field, error.message))?;
        match spec.question().ok_or("the question is not complete")? {
            Question::Prometheus { query, range, aggregate } => {
                let call = self.places.http(spec)?;
                let ask = prometheus::Ask { query, range, aggregate, interval: spec.interval.0, now };
                prometheus::ask(&call, &ask).await
            }
            Question::HttpJson { pointer } => http_json::ask(&self.places.http(spec)?, pointer, now).await,
            Question::Postgresql { query } => self.places.postgres(spec)?.ask(query, spec.timeout.0, now).await,
            Question::Redis { key } => self.places.redis(spec)?.ask(key, now).await,
        }
    }
}
