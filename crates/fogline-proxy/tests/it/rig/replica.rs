//! A replica that writes down every byte it is sent, and answers each request with its path. It reads HTTP/1.1 by hand, as
//! strictly as needed to see where one request ends and another begins.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Request line and headers, each with its line end.
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Arrived {
    /// The values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Replica {
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Replica {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let replica = Self { address, arrived: Arc::default() };
        let serving = replica.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let replica = serving.clone();
                std::thread::spawn(move || replica.serve(&stream));
            }
        });
        replica
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no panic").clone()
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut arrived = Arrived::default();
            while !arrived.head.ends_with("\r\n\r\n") {
                let mut line = Vec::new();
                match reader.read_until(b'\n', &mut line) {
                    Ok(1..) => arrived.head.push_str(&String::from_utf8_lossy(&line)),
                    _ => return,
                }
            }
            arrived.whole = read_body(&mut reader, &mut arrived).is_some();
            let path = arrived.head.split(' ').nth(1).unwrap_or_default().to_owned();
            let whole = arrived.whole;
            self.arrived.lock().expect("no panic").push(arrived);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
            let mut back = stream;
            if !whole || back.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn read_body(reader: &mut impl BufRead, arrived: &mut Arrived) -> Option<()> {
    if let [length] = arrived.header("content-length")[..] {
        let length: u64 = length.parse().expect("the proxy sends numbers");
        let read = reader.take(length).read_to_end(&mut arrived.body).ok()?;
        return (read as u64 == length).then_some(());
    }
    if arrived.header("transfer-encoding").is_empty() {
        return Some(());
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        arrived.body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Some(());
        }
    }
}
