//! Bytes in both directions, as they come, until both ends have closed, or nothing has moved for too long.
//!
//! Invariant: an end that has said all it has to say may still be told the rest. Tests: `tests/it/front/protocols.rs`.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const BUFFER_BYTES: usize = 16 << 10;
/// Silence is looked for so often in the time that is allowed: what is silent is cut at most a quarter too late.
const LOOKS: u32 = 4;

/// How many bytes went each way.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub from_client: Count,
    pub to_client: Count,
}

/// A number of bytes that grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Passes bytes on between client and replica. Ends when both have closed, when either fails, or when nothing has moved
/// for `idle`.
///
/// # Errors
/// What ended it, where it was not the two ends themselves.
pub(crate) async fn relay<C, R>(client: C, replica: R, idle: Duration, moved: &Moved) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    R: AsyncRead + AsyncWrite,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_replica, mut to_replica) = tokio::io::split(replica);
    let there = pass(&mut from_client, &mut to_replica, &moved.from_client);
    let back = pass(&mut from_replica, &mut to_client, &moved.to_client);
    let both = async { tokio::try_join!(there, back).map(drop) };
    let silence = async {
        let (mut last, mut still) = (0, 0);
        while still < LOOKS {
            tokio::time::sleep(idle / LOOKS).await;
            let now = moved.from_client.get() + moved.to_client.get();
            still = if now == last { still + 1 } else { 0 };
            last = now;
        }
    };
    tokio::select! {
        ended = both => ended,
        () = silence => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn pass<R, W>(from: &mut R, to: &mut W, moved: &Count) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        // By what was taken, not by what was read: an end that takes a little now and then is not silent.
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let written = to.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            moved.add(written);
            rest = &rest[written..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_half_that_is_ended_leaves_the_other_open() {
        let (mut client, outside) = tokio::io::duplex(64);
        let (inside, mut replica) = tokio::io::duplex(64);
        let moved = Moved::default();
        let ends = async {
            client.write_all(b"question").await.expect("written");
            client.shutdown().await.expect("half closed");
            let mut question = String::new();
            replica.read_to_string(&mut question).await.expect("read to its end");
            assert_eq!(question, "question");
            replica.write_all(b"the answer").await.expect("written");
            drop(replica);
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("read to its end");
            assert_eq!(answer, "the answer");
        };
        let (ended, ()) = tokio::join!(relay(outside, inside, IDLE, &moved), ends);
        ended.expect("by the two ends");
        assert_eq!((moved.from_client.get(), moved.to_client.get()), (8, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_nothing_moves_on_is_cut() {
        let (mut client, outside) = tokio::io::duplex(64);
        let (inside, mut replica) = tokio::io::duplex(64);
        let moved = Moved::default();
        let ends = async {
            let mut byte = [0];
            for _ in 0..5 {
                tokio::time::sleep(IDLE - Duration::from_secs(5)).await;
                replica.write_all(b"x").await.expect("still open");
                client.read_exact(&mut byte).await.expect("still open");
            }
            assert_eq!(client.read(&mut byte).await.expect("ended"), 0);
        };
        let (ended, ()) = tokio::join!(relay(outside, inside, IDLE, &moved), ends);
        assert_eq!(ended.expect_err("it was silent").kind(), io::ErrorKind::TimedOut);
        assert_eq!((moved.from_client.get(), moved.to_client.get()), (0, 5));
    }
}
