//! Removes images that nobody needs any more, as [`super::garbage`] decides.
//!
//! Must never force a removal: the engine's own look at who uses an image is the last word. Tests: `tests/it/driver`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

use super::super::{EngineError, Inner, blocking, look};
use super::garbage::{self, Candidate, DiskRoom};
use super::ledger::Entry;
use super::reference::Reference;
use crate::clock::boot_us;

/// Looks again and again, until the driver goes.
pub(super) fn spawn(inner: &Arc<Inner>) {
    let (stop, every) = (inner.stop.clone(), inner.config.images_every);
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            let Some(inner) = inner.upgrade() else { return };
            if let Err(error) = round(&inner).await {
                tracing::debug!(%error, "images are not looked at now");
            }
        }
    });
}

async fn round(inner: &Arc<Inner>) -> Result<(), EngineError> {
    if inner.images.ledger.is_empty() {
        return Ok(());
    }
    // Nobody finds an image on the node while it is being removed.
    let _alone = inner.images.removing.write().await;
    let containers = look::all(&inner.engine).await?;
    let used: BTreeSet<String> = containers.into_iter().filter_map(|container| container.image_id).collect();
    let images = inner
        .engine
        .again("listing images", |docker| async move { docker.list_images(None::<ListImagesOptions>).await })
        .await?;
    let images: HashMap<String, ImageSummary> = images.into_iter().map(|image| (image.id.clone(), image)).collect();
    let now_us = boot_us();
    let mut candidates = Vec::new();
    for (id, entry) in inner.images.ledger.all() {
        let Some(image) = images.get(&id) else {
            inner.images.ledger.gone(&id);
            continue;
        };
        if used.contains(&id) {
            inner.images.ledger.used(&id, now_us);
        }
        candidates.push(Candidate {
            unused: entry.unused(now_us),
            bytes: u64::try_from(image.size).unwrap_or(0),
            in_use: used.contains(&id) || is_named_by_others(image, &entry),
            id,
        });
    }
    for id in garbage::to_remove(&candidates, disk(inner).await, inner.config.image_gc) {
        remove(inner, &id, &images[&id]).await;
    }
    let saving = Arc::clone(inner);
    if let Ok(Err(error)) = blocking(move || saving.images.ledger.save(boot_us())).await {
        tracing::warn!(%error, "which images were pulled is not on disk");
    }
    Ok(())
}

/// Whether it has a name that this agent has not pulled it by.
fn is_named_by_others(image: &ImageSummary, entry: &Entry) -> bool {
    let ours: Vec<Reference> = entry.names.iter().filter_map(|name| Reference::parse(name).ok()).collect();
    let tags = image.repo_tags.iter().filter(|tag| *tag != "<none>:<none>");
    let is_other_tag = |tag: &String| Reference::parse(tag).is_ok_and(|tag| !entry.names.contains(&tag.whole()));
    let digests = image.repo_digests.iter().filter(|digest| *digest != "<none>@<none>");
    let is_other_place =
        |digest: &String| Reference::parse(digest).is_ok_and(|there| !ours.iter().any(|ours| ours.has_name_of(&there)));
    tags.into_iter().any(is_other_tag) || digests.into_iter().any(is_other_place)
}

async fn remove(inner: &Arc<Inner>, id: &str, image: &ImageSummary) {
    let names: Vec<&String> = image.repo_tags.iter().chain(&image.repo_digests).collect();
    tracing::info!(id, ?names, "removing an image that no replica has used for long");
    // Each name first, or an engine refuses over there being several; the image goes with the last one.
    for name in names.into_iter().map(String::as_str).filter(|name| !name.contains("<none>")).chain([id]) {
        let options = RemoveImageOptions { force: false, noprune: false, ..RemoveImageOptions::default() };
        let removed = inner
            .engine
            .again("removing an image", |docker| {
                let options = options.clone();
                async move { docker.remove_image(name, Some(options), None).await }
            })
            .await;
        match removed {
            Ok(_) => {}
            Err(error) if error.is_missing() => {}
            Err(error) => {
                tracing::info!(id, %error, "the image stays");
                return;
            }
        }
    }
    inner.images.ledger.gone(id);
}

/// The disk that the engine keeps its images on, where it is a disk of this machine.
async fn disk(inner: &Arc<Inner>) -> Option<DiskRoom> {
    let info = inner.engine.again("asking where images are", |docker| async move { docker.info().await }).await.ok()?;
    let dir = info.docker_root_dir?;
    let room = blocking(move || rustix::fs::statvfs(Path::new(&dir))).await.ok()?.ok()?;
    Some(DiskRoom {
        total_bytes: room.f_blocks.saturating_mul(room.f_frsize),
        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
    })
}
