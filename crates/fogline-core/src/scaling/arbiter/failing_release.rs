//! Guard: never up for a release whose new replicas are failing. A crash loop is not load.

/// Holds a scale-up.
pub(crate) fn apply(release_failing: bool, wanted: u32, current: u32) -> (u32, String) {
    if release_failing && wanted > current {
        (current, "the new replicas of the release are failing, and a crash loop is not load".to_owned())
    } else {
        (wanted, String::new())
    }
}
