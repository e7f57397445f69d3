//! How far a pull is, out of what the engine tells of each layer.
//!
//! Invariant: what it keeps is bounded, whatever a registry sends. Tests: below.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;
use fogline_core::image_digest::ImageDigest;

/// Layers that are looked at; images have 127 at most.
const MOST_LAYERS: usize = 256;
const MB: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    done: u64,
    total: u64,
    unpacking: bool,
}

/// One pull.
#[derive(Debug, Default)]
pub(super) struct Progress {
    layers: HashMap<String, Layer>,
    /// What the engine says it has pulled.
    pub digest: Option<ImageDigest>,
}

impl Progress {
    /// Takes one message of the engine.
    pub fn hear(&mut self, told: &CreateImageInfo) {
        let status = told.status.as_deref().unwrap_or_default();
        if let Some(digest) = status.strip_prefix("Digest: ").and_then(|digest| digest.trim().parse().ok()) {
            self.digest = Some(digest);
        }
        let Some(id) = &told.id else { return };
        if self.layers.len() >= MOST_LAYERS && !self.layers.contains_key(id) {
            return;
        }
        let number = |value: Option<i64>| u64::try_from(value.unwrap_or(0)).unwrap_or(0);
        let detail = told.progress_detail.as_ref();
        let (current, total) = (number(detail.and_then(|d| d.current)), number(detail.and_then(|d| d.total)));
        match status {
            "Downloading" => {
                let layer = self.layers.entry(id.clone()).or_default();
                layer.total = total.max(layer.total);
                layer.done = current.min(layer.total);
            }
            "Verifying Checksum" | "Download complete" | "Extracting" | "Pull complete" => {
                if let Some(layer) = self.layers.get_mut(id) {
                    layer.done = layer.total;
                    layer.unpacking = status == "Extracting";
                }
            }
            _ => {}
        }
    }

    /// For people.
    pub fn words(&self, image: &str) -> String {
        let total: u64 = self.layers.values().map(|layer| layer.total).fold(0, u64::saturating_add);
        let done: u64 = self.layers.values().map(|layer| layer.done).fold(0, u64::saturating_add);
        if total == 0 {
            return format!("pulling {image}");
        }
        if done >= total && self.layers.values().any(|layer| layer.unpacking) {
            return format!("unpacking {image}");
        }
        format!("pulling {image}: {} of {} MB", done / MB, total.div_ceil(MB))
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn told(id: &str, status: &str, current: i64, total: i64) -> CreateImageInfo {
        CreateImageInfo {
            id: (!id.is_empty()).then(|| id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn layers_are_added_up() {
        let mut progress = Progress::default();
        assert_eq!(progress.words("web:v1"), "pulling web:v1");
        progress.hear(&told("a", "Pulling fs layer", 0, 0));
        progress.hear(&told("a", "Downloading", 2_000_000, 20_000_000));
        progress.hear(&told("b", "Downloading", 10_000_000, 10_000_000));
        assert_eq!(progress.words("web:v1"), "pulling web:v1: 12 of 30 MB");
        progress.hear(&told("a", "Download complete", 0, 0));
        assert_eq!(progress.words("web:v1"), "pulling web:v1: 30 of 30 MB");
        progress.hear(&told("a", "Extracting", 1, 20_000_000));
        assert_eq!(progress.words("web:v1"), "unpacking web:v1");
        let digest = format!("sha256:{}", "ab".repeat(32));
        progress.hear(&told("", &format!("Digest: {digest}"), 0, 0));
        assert_eq!(progress.digest.map(|digest| digest.to_string()), Some(digest));
    }

    #[test]
    fn nonsense_costs_nothing() {
        let mut progress = Progress::default();
        for number in 0..100_000 {
            progress.hear(&told(&format!("layer {number}"), "Downloading", i64::MAX, i64::MAX));
        }
        progress.hear(&told("layer 1", "Downloading", -5, -1));
        progress.hear(&told("", "Digest: latest", 0, 0));
        assert_eq!((progress.layers.len(), progress.digest.is_none()), (MOST_LAYERS, true));
        assert!(progress.words("web").starts_with("pulling web: "));
    }
}
