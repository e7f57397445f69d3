//! Pulls: one at a time of an image, however many replicas wait for it, and few at a time of all.
//!
//! Decides what is tried again and when a pull is given up. Layers that are through stay with the engine, so a second
//! try goes on where the first one ended. Must never send credentials anywhere but to the registry that they are for.
//! Invariant: whoever joins a pull hears its end once. Tests: `tests/it/driver`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::query_parameters::CreateImageOptions;
use fogline_core::image_digest::ImageDigest;
use futures_util::StreamExt;
use tokio::sync::{Semaphore, watch};

use super::super::{EngineError, Inner, blocking};
use super::credentials::Credentials;
use super::failure::ImageFailure;
use super::progress::Progress;
use super::reference::Reference;

/// So many at once: more would only share the same line and the same disk.
const AT_ONCE: usize = 3;
const ATTEMPTS: u32 = 4;
/// The pause after the first failure; each one is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// An engine says something more often than that while a pull gets on.
const SILENT_FOR: Duration = Duration::from_secs(120);
/// How far it is, is told so often.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// How far a pull is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// It goes on; for people.
    Going(String),
    /// It is through.
    Done(Result<Pulled, ImageFailure>),
}

/// What was pulled, as the engine has it.
#[derive(Clone, Debug)]
pub(super) struct Pulled {
    /// What the engine says it was.
    pub digest: Option<ImageDigest>,
}

/// The pulls that go on.
#[derive(Debug)]
pub(super) struct Pulls {
    going: Mutex<HashMap<String, watch::Receiver<State>>>,
    slots: Arc<Semaphore>,
}

impl Default for Pulls {
    fn default() -> Self {
        Self { going: Mutex::default(), slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Pulls {
    fn going(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<State>>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins the pull of `what`, a whole name, or begins one. It goes on when nobody listens any more.
pub(super) fn join(inner: &Arc<Inner>, reference: &Reference, what: &str) -> watch::Receiver<State> {
    let mut going = inner.images.pulls.going();
    if let Some(news) = going.get(what) {
        return news.clone();
    }
    let (tell, news) = watch::channel(State::Going(format!("waiting to pull {reference}")));
    going.insert(what.to_owned(), news.clone());
    drop(going);
    let (inner, reference, what) = (Arc::clone(inner), reference.clone(), what.to_owned());
    tokio::spawn(async move {
        let within = inner.config.pull_within;
        let pulled = match tokio::time::timeout(within, whole(&inner, &reference, &what, &tell)).await {
            Ok(pulled) => pulled,
            Err(_) => Err(ImageFailure::TimedOut { detail: format!("it took longer than {} s", within.as_secs()) }),
        };
        // First from the list: whoever comes now begins anew.
        inner.images.pulls.going().remove(&what);
        if let Err(failure) = &pulled {
            tracing::warn!(image = %reference, %failure, "not pulled");
        }
        tell.send_replace(State::Done(pulled));
    });
    news
}

async fn whole(
    inner: &Arc<Inner>,
    reference: &Reference,
    what: &str,
    tell: &watch::Sender<State>,
) -> Result<Pulled, ImageFailure> {
    let slots = Arc::clone(&inner.images.pulls.slots);
    let _slot = slots.acquire_owned().await.map_err(|_| other("the agent stops"))?;
    let before = super::local_ids(inner).await?;
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    let pulled = loop {
        tell.send_replace(State::Going(format!("pulling {reference}")));
        match once(inner, reference, what, tell).await {
            Err(failure) if failure.may_pass() && attempt < ATTEMPTS => {
                tracing::info!(image = %reference, %failure, ?pause, "pulling again");
                tell.send_replace(State::Going(format!(
                    "pulling {reference} again in {} s: {failure}",
                    pause.as_secs()
                )));
            }
            result => break result?,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        attempt += 1;
    };
    tracing::info!(image = %reference, digest = pulled.digest.as_ref().map(ImageDigest::as_str), "pulled");
    super::note_pulled(inner, what, &before).await?;
    Ok(pulled)
}

async fn once(
    inner: &Arc<Inner>,
    reference: &Reference,
    what: &str,
    tell: &watch::Sender<State>,
) -> Result<Pulled, ImageFailure> {
    let credentials = match inner.config.registry_auth.clone() {
        Some(path) => credentials(path, reference.registry().to_owned()).await?,
        None => None,
    };
    let docker = inner.engine.client().await.map_err(|error| other(&error.to_string()))?;
    let options = CreateImageOptions { from_image: Some(what.to_owned()), ..CreateImageOptions::default() };
    let mut stream =
        Box::pin(docker.create_image(Some(options), None, credentials.as_ref().map(Credentials::for_engine)));
    let failure = |error: &ApiError| {
        let said = match error {
            ApiError::DockerStreamError { error } => error.clone(),
            error => EngineError::of("pulling", error).reason,
        };
        let said = credentials.as_ref().map_or(said.clone(), |known| known.redact(&said));
        ImageFailure::of(&said, reference.registry(), credentials.is_some())
    };
    let (mut progress, mut next_word) = (Progress::default(), tokio::time::Instant::now());
    let words = reference.to_string();
    loop {
        let told = tokio::time::timeout(SILENT_FOR, stream.next()).await.map_err(|_| ImageFailure::TimedOut {
            detail: format!("nothing was heard of it for {} s", SILENT_FOR.as_secs()),
        })?;
        match told {
            None => return Ok(Pulled { digest: progress.digest }),
            Some(Err(error)) => return Err(failure(&error)),
            Some(Ok(told)) => progress.hear(&told),
        }
        if tokio::time::Instant::now() >= next_word {
            next_word = tokio::time::Instant::now() + TELL_EVERY;
            tell.send_replace(State::Going(progress.words(&words)));
        }
    }
}

async fn credentials(path: PathBuf, registry: String) -> Result<Option<Credentials>, ImageFailure> {
    let found = blocking(move || Credentials::find(&path, &registry)).await;
    found.unwrap_or_else(|error| Err(error.to_string())).map_err(|detail| ImageFailure::Credentials { detail })
}

pub(super) fn other(detail: &str) -> ImageFailure {
    ImageFailure::Other { detail: detail.to_owned() }
}
