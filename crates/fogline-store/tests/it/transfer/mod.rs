//! Backup, restore and copy: between all backends, of a state in which every column has every kind of value.

mod beside;
mod catalogue;
mod consistency;
mod damaged;
mod place;
mod postgres;
mod round_trip;
mod state;

use std::fs::File;

use fogline_store::{Backup, Enclosed, Restore, Restored, Source, StoreConfig, Taken, TransferError};

/// A backup of a database, in a file that has no name.
async fn backup(from: &StoreConfig, enclosed: &[Enclosed]) -> (Taken, File) {
    let file = tempfile::tempfile().expect("a file");
    Source::open(from).await.expect("opens").back_up(enclosed, file).await.expect("is backed up")
}

async fn restore(file: File, to: &StoreConfig) -> Result<Restored, TransferError> {
    Backup::open(file).await?.restore(to, &Restore::default()).await
}

/// The lines of a backup.
fn unpacked(file: &File) -> String {
    use std::io::{Read, Seek};
    let mut file = file.try_clone().expect("a second handle");
    file.rewind().expect("rewinds");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("unpacks");
    text
}

/// A file that holds these lines.
fn packed(text: &str) -> File {
    use std::io::Write;
    let file = tempfile::tempfile().expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("packs");
    encoder.finish().expect("packs")
}
