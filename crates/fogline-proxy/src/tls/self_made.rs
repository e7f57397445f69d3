//! The certificate that the proxy makes itself, for where no given one fits. Nobody trusts it; it is for trying out.
//!
//! One file in `data_dir` has certificate and key together, so that they never disagree; only the proxy may read it.
//! Invariant: what cannot be kept is used all the same, until the next start. Tests: below.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use fogline_core::time::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::pair::Pair;
use crate::disk;

const FILE: &str = "self-made-certificate.json";
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long one lasts, and how long before its end another is made.
const LASTS: Duration = Duration::from_secs(90 * DAY.as_secs());
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * DAY.as_secs());

#[derive(Serialize, Deserialize)]
struct Kept {
    until: Timestamp,
    names: Vec<String>,
    certificate: String,
    key: String,
}

/// A certificate of our own.
#[derive(Clone, Debug)]
pub(super) struct SelfMade {
    pub pair: Pair,
    until: Timestamp,
}

impl SelfMade {
    /// Takes the one in `data_dir`, or makes one for `localhost` and these addresses. Blocks.
    ///
    /// # Errors
    /// When none can be made.
    pub fn get(data_dir: &Path, addresses: &[IpAddr], now: Timestamp) -> Result<Self, String> {
        let path = data_dir.join(FILE);
        let names = names(addresses);
        let kept = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.names == names)
            && let Ok(pair) = Pair::read(kept.certificate.as_bytes(), kept.key.as_bytes())
        {
            let old = Self { pair, until: kept.until };
            if !old.is_due(now) {
                return Ok(old);
            }
        }
        let made = make(names, now)?;
        let pair = Pair::read(made.certificate.as_bytes(), made.key.as_bytes())?;
        let until = made.until;
        info!(%until, "made a certificate of our own");
        let bytes = serde_json::to_vec(&made).expect("texts and a time are JSON");
        if let Err(error) = disk::replace(&path, &bytes) {
            warn!(%error, "cannot keep the certificate of our own in {}: the next start makes another", path.display());
        }
        Ok(Self { pair, until })
    }

    /// Whether it is time for another.
    pub fn is_due(&self, now: Timestamp) -> bool {
        // Also where the clock was set back by years: nobody would accept a certificate of the future.
        let left = self.until.since(now);
        left < RENEWED_BEFORE || left > LASTS + DAY
    }
}

fn names(addresses: &[IpAddr]) -> Vec<String> {
    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let real = addresses.iter().filter(|address| !address.is_unspecified()).map(ToString::to_string);
    let mut names: Vec<String> = loopback.into_iter().chain(real).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn make(names: Vec<String>, now: Timestamp) -> Result<Kept, String> {
    let cannot = |error: rcgen::Error| format!("cannot make a certificate of our own: {error}");
    let until = now.plus(LASTS);
    let mut params = CertificateParams::new(names.clone()).map_err(cannot)?;
    params.distinguished_name.push(DnType::CommonName, "Fogline, self-made");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // A day earlier, for clients whose clock is behind.
    params.not_before = epoch + now.since(Timestamp::EPOCH).saturating_sub(DAY);
    params.not_after = epoch + until.since(Timestamp::EPOCH);
    let key = KeyPair::generate().map_err(cannot)?;
    let certificate = params.self_signed(&key).map_err(cannot)?;
    Ok(Kept { until, names, certificate: certificate.pem(), key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn certificate(made: &SelfMade) -> &[u8] {
        made.pair.key.cert[0].as_ref()
    }

    #[test]
    fn one_is_kept_until_it_is_nearly_over_and_only_for_the_same_addresses() {
        let dir = tempfile::tempdir().expect("a directory");
        let get = |addresses: &[IpAddr], now| SelfMade::get(dir.path(), addresses, now).expect("made");
        let first = get(&[], NOW);
        assert_eq!(first.pair.names, ["localhost"]);
        let mode = std::fs::metadata(dir.path().join(FILE)).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let later = NOW.plus(59 * DAY);
        assert_eq!(certificate(&get(&[], later)), certificate(&first));
        let renewed = get(&[], NOW.plus(61 * DAY));
        assert_ne!(certificate(&renewed), certificate(&first));
        let other = get(&[IpAddr::from([192, 0, 2, 1])], NOW.plus(61 * DAY));
        assert_ne!(certificate(&other), certificate(&renewed));
    }

    #[test]
    fn a_damaged_file_or_none_that_can_be_written_still_gives_a_certificate() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(FILE), "{").expect("written");
        assert!(SelfMade::get(dir.path(), &[], NOW).is_ok());
        assert!(SelfMade::get(Path::new("/proc/none"), &[], NOW).is_ok());
    }
}
