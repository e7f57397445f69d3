//! What is not wholly as it was written changes nothing.

use std::fs::File;
use std::io::{Read, Seek, Write};

use fogline_store::{Backup, Enclosed, TransferError};

use super::{backup, packed, restore, unpacked};
use crate::backend::Backend;
use crate::world::World;

async fn sample() -> (Backend, File) {
    let backend = Backend::sqlite().await;
    World::new(backend.open().await).await;
    let keys = [Enclosed { file: "jwt.key".to_owned(), text: "secret\n".to_owned() }];
    let (_, file) = backup(&backend.config(), &keys).await;
    (backend, file)
}

/// Refused, with nothing made where it would have gone.
async fn refused(file: File) -> TransferError {
    let to = Backend::sqlite().await;
    let error = restore(file, &to.config()).await.expect_err("refused");
    assert!(!to.file().parent().expect("a parent").exists(), "nothing was touched: {error}");
    error
}

fn raw(file: &File) -> Vec<u8> {
    let mut file = file.try_clone().expect("a second handle");
    file.rewind().expect("rewinds");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("reads");
    bytes
}

fn of_bytes(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("writes");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_file_is_refused_wherever_it_ends() {
    let (_from, file) = sample().await;
    let bytes = raw(&file);
    for end in (0..bytes.len()).step_by(bytes.len() / 60 + 1).chain([bytes.len() - 1, bytes.len() - 8]) {
        let error = refused(of_bytes(&bytes[..end])).await;
        let known = matches!(error, TransferError::Torn { .. } | TransferError::NotABackup { .. });
        assert!(known, "cut after {end} of {} bytes: {error}", bytes.len());
    }
    // Cut before it was packed, at the end of each line: the last one may never be missing.
    let text = unpacked(&file);
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    for end in &ends[..ends.len() - 1] {
        let error = refused(packed(&text[..*end])).await;
        assert!(matches!(error, TransferError::Torn { .. }), "cut after {end}: {error}");
        assert!(error.to_string().contains("Use another one"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_noticed_wherever_it_is() {
    let (_from, file) = sample().await;
    let bytes = raw(&file);
    // Past the header of gzip, which holds nothing of ours and which nothing depends on.
    for at in (10..bytes.len()).step_by(bytes.len() / 80 + 1) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        refused(of_bytes(&flipped)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_edited_is_refused_with_its_line() {
    let (_from, file) = sample().await;
    let text = unpacked(&file);
    let footer = text.lines().last().expect("a line");
    let without =
        |part: &str| text.lines().filter(|line| !line.contains(part)).map(|line| format!("{line}\n")).collect();
    let user = text.lines().find(|line| line.contains("\"ada\"")).expect("a line");
    let edits: Vec<(String, &str)> = vec![
        (text.replace("\"ada\"", "\"eve\""), "checksums are not"),
        (text.replace("\"user\",\"pro\"", "\"admin\",\"pro\""), "checksums are not"),
        (text.replace("\"revision\":", "\"revision\": "), "checksums are not"),
        (text.replace("secret\\n", "guessed\\n"), "checksums are not"),
        (text.replace("\"jwt.key\"", "\"../jwt.key\""), "a file is enclosed"),
        (text.replace(user, &format!("{user}\n{user}")), "checksums are not"),
        (text.replace(user, &user.replace("\"ada\"", "7")), "column username: this is no text"),
        (text.replace(user, &user.replace("\"ada\",", "")), "the table 8 columns"),
        (text.replace(user, "{}"), "it is no line of a backup"),
        (text.replace(user, ""), "it is no line of a backup"),
        (without("\"ada\""), "checksums are not"),
        (without("{\"table\":\"nodes\""), "column"),
        (without("{\"table\":\"users\""), "a row stands before its table"),
        (text.replace("{\"table\":\"nodes\"", "{\"table\":\"leader\""), "table nodes was to come"),
        (text.replace("\"username\",", ""), "table users was to come, with the columns"),
        (text.replace(footer, &format!("{footer}\n{footer}")), "it follows the last one"),
        (text.replace(footer, &format!("{user}\n{footer}")), "column"),
        (format!("{text}\n"), "it follows the last one"),
    ];
    for (edited, words) in edits {
        assert_ne!(edited, text, "{words}: something was edited");
        let error = refused(packed(&edited)).await;
        assert!(matches!(error, TransferError::Damaged { .. }), "{words}: {error}");
        assert!(error.to_string().contains(words) && error.to_string().contains("at line"), "{words}: {error}");
    }
    let mut bytes = raw(&file);
    bytes.extend_from_slice(b"more");
    assert!(refused(of_bytes(&bytes)).await.to_string().contains("something follows the last line"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_newer_or_something_else_is_said_to_be() {
    let (_from, file) = sample().await;
    let text = unpacked(&file);
    let newer = text.replace("\"format\":1", "\"format\":2");
    let error = refused(packed(&newer)).await.to_string();
    assert!(error.contains("newer Fogline") && error.contains("its form is 2"), "{error}");
    let schema = text.split("\"schema\":").nth(1).and_then(|rest| rest.split(',').next()).expect("a number");
    let newer = text.replace(&format!("\"schema\":{schema}"), "\"schema\":99");
    let error = refused(packed(&newer)).await.to_string();
    assert!(error.contains("its schema is 99") && error.contains(&format!("up to {schema}")), "{error}");
    let others: [(File, &str); 4] = [
        (of_bytes(b""), "empty"),
        (of_bytes(b"SQLite format 3\0 and so on and on"), "gzip"),
        (packed("hello\n"), "no backup of Fogline"),
        (packed("{\"kind\":\"tar\",\"format\":1}\n"), "it is a \"tar\""),
    ];
    for (file, words) in others {
        let error = refused(file).await;
        assert!(matches!(error, TransferError::NotABackup { .. }) && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_is_refused_before_it_fills_the_memory() {
    let (_from, file) = sample().await;
    let header = unpacked(&file).lines().next().expect("a line").to_owned();
    let file = tempfile::tempfile().expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(format!("{header}\n").as_bytes()).expect("packs");
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..40 {
        encoder.write_all(&zeros).expect("packs");
    }
    let error = refused(encoder.finish().expect("packs")).await;
    assert!(error.to_string().contains("the line is too long"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_contradict_each_other_are_refused_by_the_database() {
    // Whole by its checksums, and yet a child without its parent: made by whoever edited the database by hand.
    let from = Backend::sqlite().await;
    let world = World::new(from.open().await).await;
    world.store.close().await;
    from.damage("DELETE FROM users").await;
    let (_, file) = backup(&from.config(), &[]).await;
    let to = Backend::sqlite().await;
    let error = restore(file, &to.config()).await.expect_err("refused");
    assert!(matches!(error, TransferError::Store(_)) && error.to_string().contains("FOREIGN KEY"), "{error}");
    assert!(!to.file().exists(), "no database was made");
    assert!(Backup::open(tempfile::tempfile().expect("a file")).await.is_err());
}
