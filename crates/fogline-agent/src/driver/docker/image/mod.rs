//! The image of a container: on the node before the container is made, and exactly the one that is meant.
//!
//! Decides when a registry is asked. What an image is, is settled once for a revision: then it is had by its digest, and a
//! node that holds that asks nobody. Before that the registry says what the tag is; only where it cannot say, an image
//! that is on the node already stands in. Invariant: what [`ensure`] answers is a name that nobody can move to other
//! content. Tests: in each file, and `tests/it/driver`.

mod collect;
mod credentials;
mod failure;
mod garbage;
mod ledger;
mod progress;
mod pull;
mod reference;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard::models::ImageInspect;
use bollard::query_parameters::ListImagesOptions;
use fogline_core::id::ReplicaId;
use fogline_core::image_digest::ImageDigest;
use tokio::sync::{Notify, RwLock, watch};

use super::super::{DriverEvent, StartError, StartOrder};
use super::{EngineError, Inner, blocking};
use crate::clock::boot_us;
pub use failure::ImageFailure;
use ledger::Ledger;
use pull::{Pulled, Pulls, State};
use reference::Reference;

/// An image that is on the node.
pub(super) struct Image {
    /// What a container is made from: something that nobody can exchange.
    pub reference: String,
    /// What it is, where a registry says so.
    pub digest: Option<ImageDigest>,
}

/// What is known of images.
#[derive(Debug)]
pub(super) struct Images {
    pulls: Pulls,
    ledger: Ledger,
    /// Runs that wait for an image, and how they are told that nobody wants them any more.
    waiting: Mutex<HashMap<(ReplicaId, u32), Arc<Notify>>>,
    /// Written while images are removed, read while one is looked for and noted as used.
    removing: RwLock<()>,
}

impl Images {
    /// What an earlier agent has left in `state_dir`.
    pub fn open(state_dir: &Path) -> Self {
        let ledger = Ledger::open(state_dir.join("containers").join("images.json"), boot_us());
        Self { pulls: Pulls::default(), ledger, waiting: Mutex::default(), removing: RwLock::default() }
    }

    /// Lets a run go that waits for its image; the pull goes on for others. Says whether there was one.
    pub fn give_up(&self, replica_id: ReplicaId, run: u32) -> bool {
        let waiting = self.waiting().get(&(replica_id, run)).map(|waits| waits.notify_one());
        waiting.is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<(ReplicaId, u32), Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after what is not used any more, and says what is wrong with the file of credentials.
pub(super) fn spawn(inner: &Arc<Inner>) {
    if let Some(Err(error)) = inner.config.registry_auth.as_deref().map(credentials::check) {
        tracing::error!(error, "nothing can be pulled");
    }
    collect::spawn(inner);
}

/// Sees to it that the image of `order` is on the node.
///
/// # Errors
/// What a user reads when the image cannot be had.
pub(super) async fn ensure(inner: &Arc<Inner>, order: &StartOrder) -> Result<Image, StartError> {
    let text = order.template.container_image.clone().unwrap_or_default();
    let had = async {
        let reference =
            Reference::parse(&text).map_err(|error| ImageFailure::BadReference { detail: error.to_string() })?;
        match order.image_digest.as_ref().or(reference.digest()) {
            Some(digest) => exact(inner, order, &reference, digest).await,
            None => resolved(inner, order, &reference).await,
        }
    };
    had.await.map_err(|failure| StartError::Image { image: text.clone(), failure })
}

/// The one of this digest and no other.
async fn exact(
    inner: &Arc<Inner>,
    order: &StartOrder,
    reference: &Reference,
    digest: &ImageDigest,
) -> Result<Image, ImageFailure> {
    let name = reference.pinned(digest);
    let image = Image { reference: name.clone(), digest: Some(digest.clone()) };
    if local(inner, &name).await?.is_some() {
        return Ok(image);
    }
    pulled(inner, order, reference, &name).await?;
    match local(inner, &name).await? {
        Some(_) => Ok(image),
        None => Err(ImageFailure::NotThatImage {
            wanted: digest.to_string(),
            detail: "it was pulled, and is not there by that digest".to_owned(),
        }),
    }
}

/// What the tag is now.
async fn resolved(inner: &Arc<Inner>, order: &StartOrder, reference: &Reference) -> Result<Image, ImageFailure> {
    let name = reference.whole();
    let told = match pulled(inner, order, reference, &name).await {
        Ok(Pulled { digest }) => digest,
        Err(failure) => {
            if !failure.leaves_what_is_there() || local(inner, &name).await?.is_none() {
                return Err(failure);
            }
            tracing::warn!(image = %reference, %failure, "the image of that name which is on the node is used");
            None
        }
    };
    let found = local(inner, &name).await?.ok_or_else(|| pull::other("it was pulled, and is not there any more"))?;
    let digests = digests(&found, reference);
    // The engine's own word on what it has just pulled; what the name points to by now may have been pulled since.
    match told.filter(|told| digests.contains(told)).or_else(|| digests.into_iter().next()) {
        Some(digest) => Ok(Image { reference: reference.pinned(&digest), digest: Some(digest) }),
        // Built on the node, and in no registry.
        None => found
            .id
            .map(|id| Image { reference: id, digest: None })
            .ok_or_else(|| pull::other("the engine does not say which image that is")),
    }
}

/// Pulls, or waits for the pull that goes on, and tells how far it is.
async fn pulled(
    inner: &Arc<Inner>,
    order: &StartOrder,
    reference: &Reference,
    name: &str,
) -> Result<Pulled, ImageFailure> {
    let key = (order.replica_id, order.run);
    let unwanted = Arc::new(Notify::new());
    inner.images.waiting().insert(key, Arc::clone(&unwanted));
    let pulled = tokio::select! {
        pulled = listened(inner, order, pull::join(inner, reference, name)) => pulled,
        () = unwanted.notified() => Err(pull::other("it was told to stop while it waited")),
    };
    inner.images.waiting().remove(&key);
    pulled
}

async fn listened(
    inner: &Arc<Inner>,
    order: &StartOrder,
    mut news: watch::Receiver<State>,
) -> Result<Pulled, ImageFailure> {
    loop {
        let state = news.borrow_and_update().clone();
        match state {
            State::Going(progress) => {
                let event = DriverEvent::Preparing { replica_id: order.replica_id, run: order.run, progress };
                // Nobody listens any more when the agent stops.
                let _ = inner.events.send(event).await;
            }
            State::Done(result) => return result,
        }
        if news.changed().await.is_err() {
            return Err(pull::other("the pull has ended without a word"));
        }
    }
}

/// The digests by which the registry of `reference` knows it.
fn digests(image: &ImageInspect, reference: &Reference) -> Vec<ImageDigest> {
    let known = image.repo_digests.iter().flatten().filter_map(|name| Reference::parse(name).ok());
    known.filter(|known| known.has_name_of(reference)).filter_map(|known| known.digest().cloned()).collect()
}

/// The image of this name, if the node has it. It counts as used now.
async fn local(inner: &Arc<Inner>, name: &str) -> Result<Option<ImageInspect>, ImageFailure> {
    let _there = inner.images.removing.read().await;
    let found = inner.engine.again("looking for the image", |docker| async move { docker.inspect_image(name).await });
    match found.await {
        Ok(found) => {
            if let Some(id) = &found.id {
                inner.images.ledger.used(id, boot_us());
            }
            Ok(Some(found))
        }
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(engine(&error)),
    }
}

/// The ids of all images of the node.
async fn local_ids(inner: &Arc<Inner>) -> Result<HashSet<String>, ImageFailure> {
    let images = inner
        .engine
        .again("listing images", |docker| async move { docker.list_images(None::<ListImagesOptions>).await })
        .await;
    Ok(images.map_err(|error| engine(&error))?.into_iter().map(|image| image.id).collect())
}

/// Remembers what was pulled by `name`; `before` was there already.
async fn note_pulled(inner: &Arc<Inner>, name: &str, before: &HashSet<String>) -> Result<(), ImageFailure> {
    let Some(id) = local(inner, name).await?.and_then(|image| image.id) else { return Ok(()) };
    inner.images.ledger.pulled(&id, name, !before.contains(&id), boot_us());
    let saving = Arc::clone(inner);
    if let Ok(Err(error)) = blocking(move || saving.images.ledger.save(boot_us())).await {
        tracing::warn!(%error, "which images were pulled is not on disk");
    }
    Ok(())
}

fn engine(error: &EngineError) -> ImageFailure {
    pull::other(&format!("the container engine: {error}"))
}
