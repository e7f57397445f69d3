//! The pairs of a directory, and which of them are new.
//!
//! Decides without waiting: [`Directory::look`] is called every now and then. A file counts as changed once it looks the
//! same twice, so that one that is being written is not read. Invariants: a pair that was good stays until a good one
//! replaces it or both of its files are gone; a directory that cannot be listed changes nothing. Tests: below.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::pair::Pair;

/// Far more than a certificate with its chain has.
const LARGEST_FILE_BYTES: u64 = 1 << 20;
/// More pairs than this are not looked at.
const MOST_PAIRS: usize = 10_000;

/// What tells one content of a file from another without reading it.
type Stamp = (u64, i64, i64, u64);

/// The files of a pair as they look; either may be missing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Looks {
    certificate: Option<(PathBuf, Stamp)>,
    key: Option<(PathBuf, Stamp)>,
}

#[derive(Debug, Default)]
struct Known {
    /// How the files looked last time.
    last: Looks,
    /// How they looked when they were read.
    read: Option<Looks>,
    good: Option<Pair>,
}

/// The directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    known: BTreeMap<String, Known>,
    /// Why it could not be listed: told once.
    trouble: Option<String>,
    looked_before: bool,
}

impl Directory {
    pub const fn new(path: PathBuf) -> Self {
        Self { path, known: BTreeMap::new(), trouble: None, looked_before: false }
    }

    /// The good pairs by name, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &Pair)> {
        self.known.iter().filter_map(|(name, known)| Some((name.as_str(), known.good.as_ref()?)))
    }

    /// Looks at all files and reads what has changed. Says whether [`Self::pairs`] are others now. Blocks.
    pub fn look(&mut self) -> bool {
        let found = match list(&self.path) {
            Ok(found) => found,
            Err(why) => {
                if self.trouble.as_ref() != Some(&why) {
                    warn!("certificates stay as they are: {why}");
                }
                self.trouble = Some(why);
                return false;
            }
        };
        self.trouble = None;
        // At the start nobody has the time to look twice, and there is nothing good yet to be kept.
        let first_look = !std::mem::replace(&mut self.looked_before, true);
        let mut changed = false;
        let names: BTreeSet<String> = found.keys().chain(self.known.keys()).cloned().collect();
        for name in names {
            let looks = found.get(&name).cloned().unwrap_or_default();
            let known = self.known.entry(name.clone()).or_default();
            let settled = first_look || known.last == looks;
            known.last.clone_from(&looks);
            if !settled || known.read.as_ref() == Some(&looks) {
                continue;
            }
            if looks == Looks::default() {
                changed |= known.good.is_some();
                info!(name, "a certificate was removed");
                self.known.remove(&name);
                continue;
            }
            match read(&looks) {
                Ok(pair) => {
                    info!(name, names = ?pair.names, "a certificate was read");
                    known.good = Some(pair);
                    changed = true;
                }
                Err(why) if known.good.is_some() => warn!(name, "the certificate in use is kept: {why}"),
                Err(why) => warn!(name, "a certificate is not used: {why}"),
            }
            known.read = Some(looks);
        }
        changed
    }
}

fn list(directory: &Path) -> Result<BTreeMap<String, Looks>, String> {
    let cannot = |error: std::io::Error| format!("cannot list {}: {error}", directory.display());
    let mut found: BTreeMap<String, Looks> = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let (Some(name), Some(kind)) = (path.file_stem(), path.extension()) else { continue };
        let (Some(name), Some(kind @ ("crt" | "pem" | "key"))) = (name.to_str(), kind.to_str()) else { continue };
        // Through links, as those who mount secrets make them.
        let Some(stamp) = std::fs::metadata(&path).ok().filter(Metadata::is_file).map(|of| stamp(&of)) else {
            continue;
        };
        if found.len() >= MOST_PAIRS && !found.contains_key(name) {
            return Err(format!("there are more than {MOST_PAIRS} certificates in {}", directory.display()));
        }
        let (name, is_crt) = (name.to_owned(), kind == "crt");
        let looks = found.entry(name).or_default();
        if kind == "key" {
            looks.key = Some((path, stamp));
        } else if is_crt || looks.certificate.is_none() {
            looks.certificate = Some((path, stamp));
        }
    }
    Ok(found)
}

fn stamp(of: &Metadata) -> Stamp {
    (of.ino(), of.mtime(), of.mtime_nsec(), of.size())
}

fn read(looks: &Looks) -> Result<Pair, String> {
    let Some((certificate, _)) = &looks.certificate else { return Err("its .crt or .pem is missing".to_owned()) };
    let Some((key, _)) = &looks.key else { return Err(format!("{} has no .key beside it", certificate.display())) };
    let content = |path: &PathBuf| {
        let cannot = |why: String| format!("cannot read {}: {why}", path.display());
        let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
        if size > LARGEST_FILE_BYTES {
            return Err(cannot(format!("it has {size} bytes, at most {LARGEST_FILE_BYTES} are accepted")));
        }
        std::fs::read(path).map_err(|error| cannot(error.to_string()))
    };
    Pair::read(&content(certificate)?, &content(key)?).map_err(|why| format!("{}: {why}", certificate.display()))
}

#[cfg(test)]
mod tests {
    use super::super::pair::tests::pem;
    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        directory: Directory,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let directory = Directory::new(dir.path().to_owned());
            Self { dir, directory }
        }

        fn write(&self, file: &str, content: &str) {
            let (path, beside) = (self.dir.path().join(file), self.dir.path().join("beside"));
            // A new inode each time, so that no test depends on how fine the clock of the disk is.
            std::fs::write(&beside, content).expect("written");
            std::fs::rename(beside, path).expect("renamed");
        }

        fn pair(&self, file: &str, name: &str) {
            let (chain, key) = pem(&[name]);
            self.write(&format!("{file}.crt"), &chain);
            self.write(&format!("{file}.key"), &key);
        }

        fn remove(&self, file: &str) {
            std::fs::remove_file(self.dir.path().join(file)).expect("removed");
        }

        fn names(&self) -> Vec<String> {
            self.directory
                .pairs()
                .flat_map(|(file, pair)| pair.names.iter().map(move |name| format!("{file}={name}")))
                .collect()
        }
    }

    #[test]
    fn what_is_there_is_read_at_once_and_changes_once_they_have_settled() {
        let mut bench = Bench::new();
        bench.pair("a", "one.example");
        assert!(bench.directory.look());
        assert_eq!(bench.names(), ["a=one.example"]);
        bench.pair("a", "two.example");
        bench.pair("b", "three.example");
        assert!(!bench.directory.look(), "they may still be being written");
        assert!(bench.directory.look());
        assert_eq!(bench.names(), ["a=two.example", "b=three.example"]);
        assert!(!bench.directory.look());
        bench.remove("a.crt");
        bench.remove("a.key");
        assert!(!bench.directory.look());
        assert!(bench.directory.look());
        assert_eq!(bench.names(), ["b=three.example"]);
    }

    #[test]
    fn the_last_good_pair_stays_while_a_new_one_is_broken_or_half_there() {
        let mut bench = Bench::new();
        bench.pair("a", "one.example");
        assert!(bench.directory.look());
        let (chain, key) = pem(&["two.example"]);
        bench.write("a.crt", &chain);
        for _ in 0..3 {
            assert!(!bench.directory.look(), "the old key is another's");
        }
        bench.remove("a.key");
        for _ in 0..3 {
            assert!(!bench.directory.look());
        }
        assert_eq!(bench.names(), ["a=one.example"]);
        bench.write("a.key", &key);
        assert!(!bench.directory.look());
        assert!(bench.directory.look());
        assert_eq!(bench.names(), ["a=two.example"]);
    }

    #[test]
    fn a_directory_that_is_away_changes_nothing() {
        let mut bench = Bench::new();
        bench.pair("a", "one.example");
        assert!(bench.directory.look());
        bench.directory.path.push("away");
        for _ in 0..3 {
            assert!(!bench.directory.look());
        }
        assert_eq!(bench.names(), ["a=one.example"]);
    }

    #[test]
    fn a_certificate_may_be_called_pem_and_other_files_are_let_be() {
        let mut bench = Bench::new();
        let (chain, key) = pem(&["one.example"]);
        bench.write("a.pem", &chain);
        bench.write("a.key", &key);
        bench.write("README", "hello");
        bench.write("huge.key", &"x".repeat(2 << 20));
        bench.write("huge.crt", &chain);
        assert!(bench.directory.look());
        assert_eq!(bench.names(), ["a=one.example"]);
    }
}
