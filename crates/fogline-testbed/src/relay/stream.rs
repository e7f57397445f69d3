//! One end of a connection, by TCP or on a Unix socket, and the flow between two of them.
//!
//! Must never look at what flows. Invariant: the end of one direction is passed on as an end, a reset as a reset.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use super::switch::{Switch, Ticket};

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Another handle of the same end; nothing where there are no more descriptors.
    pub(super) fn copy(&self) -> Option<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().ok().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().ok().map(Self::Unix),
        }
    }

    /// Ends it at once, both ways, whoever else has a handle: with a reset where there is such a thing.
    pub(super) fn abort(&self) {
        // It may have ended on its own.
        let _ = match self {
            // Dissolving the association is the one call that sends a reset while others still read.
            Self::Tcp(stream) => rustix::net::connect_unspec(stream).map_err(io::Error::from),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).read(buffer),
            Stream::Unix(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).write(buffer),
            Stream::Unix(stream) => (&*stream).write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Joins a client with a server until both directions have ended, or the connection is cut.
pub(super) fn exchange(client: &Stream, server: &Stream, switch: &Switch, ticket: Ticket) {
    if !switch.join(ticket, server) {
        return client.abort();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| flow(client, server, switch, ticket));
        flow(server, client, switch, ticket);
    });
}

/// Moves what comes from one end to the other.
pub(super) fn flow(mut from: &Stream, mut to: &Stream, switch: &Switch, ticket: Ticket) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = loop {
            match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        if !switch.wait_to_flow(ticket) {
            return to.abort();
        }
        match read {
            Ok(0) => return to.finish(),
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => {}
            Ok(_) => return from.abort(),
            Err(_) => return to.abort(),
        }
    }
}
