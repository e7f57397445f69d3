//! A disk, as far as a power cut shows it: from the journal of what a process did to the files of a directory
//! (`power_cut.c` writes it) to the files that the next start may find.
//!
//! What a sync covered is there. Of what came after, each write may be there, not at all, or with some of its sectors;
//! a later one may be there without an earlier one. Names are a prefix: file systems keep their own changes in order.

use std::collections::BTreeMap;
use std::str;

/// Head of an entry: kind, file, offset, length of the name, length of the data.
const HEAD_BYTES: usize = 5 * 8;

/// What the next start may find in a shared-memory file, which nobody ever syncs.
const SHARED_MEMORY_BYTES: usize = 32_768;

/// One thing that the process did. A file is its inode number.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    Write {
        file: u64,
        offset: usize,
        data: &'a [u8],
    },
    Truncate {
        file: u64,
        bytes: usize,
    },
    Sync {
        file: u64,
        name: &'a str,
    },
    SyncDirectory,
    /// Or opened, by a call that would have made it.
    Create {
        file: u64,
        name: &'a str,
        existed: bool,
    },
    Unlink {
        name: &'a str,
    },
    Rename {
        from: &'a str,
        to: &'a str,
    },
    /// A name is about to be made, removed or changed.
    Announce,
    /// On the standard output.
    Say {
        text: &'a str,
    },
}

impl<'a> Entry<'a> {
    /// Every entry of a journal, and what is left where a kill has cut off the last one.
    pub fn all(mut journal: &'a [u8]) -> (Vec<Self>, &'a [u8]) {
        let mut entries = Vec::new();
        while let Some((entry, rest)) = Self::parse(journal) {
            entries.push(entry);
            journal = rest;
        }
        (entries, journal)
    }

    fn parse(journal: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, rest) = journal.split_at_checked(HEAD_BYTES)?;
        let words = head.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
        let [kind, file, offset, name_bytes, data_bytes] = words.collect::<Vec<_>>().try_into().expect("five of them");
        let (name, rest) = rest.split_at_checked(size(name_bytes))?;
        let (data, rest) = rest.split_at_checked(size(data_bytes))?;
        let name = str::from_utf8(name).expect("a name of ours");
        let text = || str::from_utf8(data).expect("text");
        let entry = match u8::try_from(kind).expect("a letter") {
            b'w' => Self::Write { file, offset: size(offset), data },
            b't' => Self::Truncate { file, bytes: size(offset) },
            b's' => Self::Sync { file, name },
            b'd' => Self::SyncDirectory,
            b'c' => Self::Create { file, name, existed: offset == 1 },
            b'u' => Self::Unlink { name },
            b'r' => Self::Rename { from: name, to: text() },
            b'i' => Self::Announce,
            b'a' => Self::Say { text: text() },
            other => panic!("the journal has an entry of kind {other}"),
        };
        Some((entry, rest))
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("fits into memory")
}

/// Numbers that follow from a seed: SplitMix64 (Steele, Lea, Flood, 2014).
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        size((mixed ^ (mixed >> 31)) % end as u64)
    }
}

/// What became of the changes since the last sync.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    Mixed,
    Kept,
}

impl Fate {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(4) {
            0 => Self::Lost,
            1 => Self::Kept,
            _ => Self::Mixed,
        }
    }
}

#[derive(Default)]
struct File<'a> {
    synced: Vec<u8>,
    /// Writes and truncations since.
    unsynced: Vec<Entry<'a>>,
}

/// A directory on a disk, with what is only in the system's memory kept apart.
#[derive(Default)]
pub struct Disk<'a> {
    /// In the order in which they were made: an inode number may come again.
    files: Vec<File<'a>>,
    by_inode: BTreeMap<u64, usize>,
    synced_names: BTreeMap<&'a str, usize>,
    /// All names there were after each change since.
    unsynced_names: Vec<BTreeMap<&'a str, usize>>,
}

/// The files of a directory with their contents.
pub type Image = BTreeMap<String, Vec<u8>>;

impl<'a> Disk<'a> {
    pub fn apply(&mut self, entry: Entry<'a>) {
        match entry {
            Entry::Write { file, .. } | Entry::Truncate { file, .. } => self.file(file).unsynced.push(entry),
            Entry::Sync { file, .. } => {
                let file = self.file(file);
                for change in std::mem::take(&mut file.unsynced) {
                    make(&mut file.synced, change);
                }
            }
            Entry::SyncDirectory => {
                self.synced_names = self.names().clone();
                self.unsynced_names.clear();
            }
            Entry::Create { file, existed: true, .. } if self.by_inode.contains_key(&file) => {}
            Entry::Create { file, name, .. } => {
                self.by_inode.insert(file, self.files.len());
                self.files.push(File::default());
                let number = self.files.len() - 1;
                self.rename(|names| _ = names.insert(name, number));
            }
            Entry::Unlink { name } => self.rename(|names| _ = names.remove(name).expect("was there")),
            Entry::Rename { from, to } => self.rename(|names| {
                let file = names.remove(from).expect("was there");
                names.insert(to, file);
            }),
            Entry::Announce | Entry::Say { .. } => {}
        }
    }

    fn file(&mut self, inode: u64) -> &mut File<'a> {
        &mut self.files[self.by_inode[&inode]]
    }

    fn names(&self) -> &BTreeMap<&'a str, usize> {
        self.unsynced_names.last().unwrap_or(&self.synced_names)
    }

    fn rename(&mut self, change: impl FnOnce(&mut BTreeMap<&'a str, usize>)) {
        let mut names = self.names().clone();
        change(&mut names);
        self.unsynced_names.push(names);
    }

    /// As every process sees it while there is power.
    pub fn now(&self) -> Image {
        let contents = |file: &File<'a>| {
            let mut bytes = file.synced.clone();
            file.unsynced.iter().for_each(|change| make(&mut bytes, *change));
            bytes
        };
        self.names().iter().map(|(name, file)| ((*name).to_owned(), contents(&self.files[*file]))).collect()
    }

    /// As it is found once the power is back, where the disk has done no more than it had to.
    pub fn synced(&self) -> Image {
        let contents = |(name, file): (&&str, &usize)| ((*name).to_owned(), self.files[*file].synced.clone());
        self.synced_names.iter().map(contents).collect()
    }

    /// As it may be found once the power is back.
    pub fn after_power_cut(&self, chance: &mut Chance) -> Image {
        let names = match chance.below(self.unsynced_names.len() + 1) {
            0 => &self.synced_names,
            kept => &self.unsynced_names[kept - 1],
        };
        let mut image = Image::new();
        for (name, file) in names {
            let bytes = if !name.ends_with("-shm") {
                self.files[*file].after_power_cut(chance)
            } else if chance.below(2) == 0 {
                (0..SHARED_MEMORY_BYTES).map(|_| chance.below(256) as u8).collect()
            } else {
                Vec::new()
            };
            image.insert((*name).to_owned(), bytes);
        }
        image
    }
}

impl File<'_> {
    fn after_power_cut(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let fate = Fate::draw(chance);
        // How many in eight are lost, and how many of the others are torn.
        let (lost, torn) = (chance.below(9), chance.below(5));
        for change in &self.unsynced {
            match (fate, *change) {
                (Fate::Lost, _) => {}
                (Fate::Mixed, _) if chance.below(8) < lost => {}
                (Fate::Mixed, Entry::Write { offset, data, .. }) if chance.below(8) < torn => {
                    tear(&mut bytes, offset, data, chance);
                }
                (_, change) => make(&mut bytes, change),
            }
        }
        bytes
    }
}

/// Writes some of the sectors that a write covers.
fn tear(bytes: &mut Vec<u8>, offset: usize, data: &[u8], chance: &mut Chance) {
    let sector = [512, 4_096][chance.below(2)];
    let mut done = 0;
    while done < data.len() {
        let end = data.len().min((offset + done) / sector * sector + sector - offset);
        if chance.below(2) == 0 {
            write(bytes, offset + done, &data[done..end]);
        }
        done = end;
    }
}

fn make(bytes: &mut Vec<u8>, change: Entry<'_>) {
    match change {
        Entry::Write { offset, data, .. } => write(bytes, offset, data),
        Entry::Truncate { bytes: length, .. } => bytes.resize(length, 0),
        other => unreachable!("{other:?} changes no contents"),
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    bytes.resize(bytes.len().max(offset + data.len()), 0);
    bytes[offset..offset + data.len()].copy_from_slice(data);
}
