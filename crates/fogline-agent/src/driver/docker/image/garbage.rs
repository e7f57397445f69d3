//! Which of the images that this agent has pulled are to go.
//!
//! Decides purely. Must never name one that a container is made of, or that was needed a moment ago: a replica that is
//! being started has no container yet. Tests: the property below.

use std::time::Duration;

use crate::config::ImageGc;

/// One that was needed so recently is never removed, not even from a full disk.
pub(super) const JUST_USED: Duration = Duration::from_secs(600);

/// An image that this agent has pulled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    /// The engine's id.
    pub id: String,
    /// For how long no replica has used it.
    pub unused: Duration,
    /// What its removal frees, at most.
    pub bytes: u64,
    /// Whether any container, of whomever, running or not, is made of it; or somebody else has named it.
    pub in_use: bool,
}

/// The disk that the engine keeps images on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DiskRoom {
    pub total_bytes: u64,
    pub free_bytes: u64,
}

/// The ids of those that are to go: what was unused for too long, and then, as long as the disk is too full, what was
/// unused the longest.
pub(super) fn to_remove(images: &[Candidate], disk: Option<DiskRoom>, policy: ImageGc) -> Vec<String> {
    let mut idle: Vec<&Candidate> = images.iter().filter(|one| !one.in_use && one.unused >= JUST_USED).collect();
    idle.sort_by(|a, b| b.unused.cmp(&a.unused).then_with(|| a.id.cmp(&b.id)));
    let mut excess = disk.map_or(0, |disk| excess_bytes(disk, policy.disk_percent));
    let mut going = Vec::new();
    for image in idle {
        let is_old = policy.unused_for.is_some_and(|unused_for| image.unused >= unused_for);
        if !is_old && excess == 0 {
            break;
        }
        excess = excess.saturating_sub(image.bytes);
        going.push(image.id.clone());
    }
    going
}

fn excess_bytes(disk: DiskRoom, percent: u8) -> u64 {
    if percent >= 100 {
        return 0;
    }
    let used = disk.total_bytes.saturating_sub(disk.free_bytes);
    let allowed = u128::from(disk.total_bytes) * u128::from(percent) / 100;
    used.saturating_sub(u64::try_from(allowed).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate() -> impl Strategy<Value = Candidate> {
        (any::<u16>(), 0..200_000u64, 0..50u64, any::<bool>()).prop_map(|(id, unused_s, bytes, in_use)| Candidate {
            id: format!("sha256:{id:x}"),
            unused: Duration::from_secs(unused_s),
            bytes,
            in_use,
        })
    }

    proptest! {
        #[test]
        fn what_is_needed_stays_and_the_oldest_goes_first(
            images in proptest::collection::vec(candidate(), 0..20),
            hours in proptest::option::of(1..48u64),
            disk_percent in 0..=100u8,
            free_bytes in proptest::option::of(0..=1_000u64),
        ) {
            let unused_for = hours.map(|hours| Duration::from_secs(hours * 3_600));
            let policy = ImageGc { unused_for, disk_percent };
            let disk = free_bytes.map(|free_bytes| DiskRoom { total_bytes: 1_000, free_bytes });
            let going = to_remove(&images, disk, policy);
            let goes = |image: &Candidate| going.contains(&image.id);
            let is_old = |image: &Candidate| unused_for.is_some_and(|unused_for| image.unused >= unused_for);
            // Several images of one id cannot be: ids that are there twice say nothing.
            let mut ids: Vec<&str> = images.iter().map(|image| image.id.as_str()).collect();
            ids.sort_unstable();
            prop_assume!(ids.windows(2).all(|pair| pair[0] != pair[1]));
            let excess = disk.map_or(0, |disk| excess_bytes(disk, disk_percent));
            let mut freed = 0;
            for image in &images {
                let may_go = !image.in_use && image.unused >= JUST_USED;
                prop_assert!(may_go || !goes(image), "{image:?} is needed and goes");
                prop_assert!(!may_go || !is_old(image) || goes(image), "{image:?} is old and stays");
                if goes(image) {
                    freed += image.bytes;
                    for other in images.iter().filter(|other| !other.in_use && !goes(other)) {
                        prop_assert!(other.unused <= image.unused, "{other:?} is older than {image:?}");
                    }
                }
                prop_assert!(excess > 0 || is_old(image) || !goes(image), "{image:?} goes for nothing");
            }
            let could_go = images.iter().any(|image| !image.in_use && image.unused >= JUST_USED && !goes(image));
            prop_assert!(freed >= excess || !could_go, "the disk is too full, and something that could go stays");
            let last = images.iter().filter(|image| goes(image)).min_by(|a, b| {
                a.unused.cmp(&b.unused).then_with(|| b.id.cmp(&a.id))
            });
            if let Some(last) = last.filter(|last| !is_old(last)) {
                prop_assert!(freed - last.bytes < excess, "one less would have done");
            }
        }
    }

    #[test]
    fn a_disk_is_too_full_above_the_line_only() {
        let room = |free_bytes| DiskRoom { total_bytes: 1_000, free_bytes };
        assert_eq!([150, 149, 0].map(|free| excess_bytes(room(free), 85)), [0, 1, 150]);
        assert_eq!(excess_bytes(room(0), 100), 0);
        assert!(excess_bytes(DiskRoom { total_bytes: u64::MAX, free_bytes: 0 }, 99) > 0);
    }
}
