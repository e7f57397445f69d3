//! The processes and files of one cluster.
//!
//! Decides how PostgreSQL is configured: password by SCRAM, `fsync` on as in production, loopback only. Invariant: when
//! `launch` returns it answers; when `stop` or `kill` returns none of its processes is left. Tests: `tests/it/postgres.rs`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal};

use super::database::Access;
use crate::child::{Server, children_of, signal_all, tail};
use crate::directory::Directory;
use crate::patience::wait_for;
use crate::user::{User, is_root};
use crate::{port, program, tls};

/// Where Debian keeps the versions.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The superuser's password. The cluster listens on loopback only, and lives as long as a test.
const PASSWORD: &str = "of-the-superuser";
/// How often a new cluster tries another port because somebody took the one that was free.
const TRIES: usize = 10;

/// One cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    // Before the directory: it ends first.
    server: Option<Server>,
    access: Access,
    user: Option<User>,
    directory: Directory,
}

impl Cluster {
    /// A fresh one, running.
    pub(super) fn create(with_tls: bool) -> Self {
        let mut cluster = Self::prepare(with_tls.then_some(tls::Source::New));
        let password = cluster.path("password");
        fs::write(&password, PASSWORD).expect("a file can be written");
        let data = cluster.path("data");
        let initdb = cluster.program("initdb");
        program::run(
            cluster.as_user(
                program::command(&initdb)
                    .args([
                        "--username=postgres",
                        "--auth=scram-sha-256",
                        "--encoding=UTF8",
                        "--locale=C.UTF-8",
                        "--no-sync",
                    ])
                    .arg(format!("--pwfile={}", password.display()))
                    .arg("--pgdata")
                    .arg(&data),
            ),
        );
        if with_tls {
            let rules = fs::read_to_string(data.join("pg_hba.conf")).expect("initdb writes it");
            let encrypted: String = rules.lines().map(|line| line.replacen("host ", "hostssl ", 1) + "\n").collect();
            fs::write(data.join("pg_hba.conf"), encrypted).expect("a file can be written");
        }
        cluster.find_port_and_launch();
        cluster
    }

    /// A copy of a running one that follows it.
    pub(super) fn copy_of(primary: &Access) -> Self {
        let mut cluster = Self::prepare(primary.ca_file.as_deref().map(tls::Source::CopyOf));
        let backup = cluster.program("pg_basebackup");
        let address = primary.address;
        let mut command = program::command(&backup);
        command
            .args([
                "--username=postgres",
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            ])
            .args([format!("--host={}", address.ip()), format!("--port={}", address.port())])
            .arg("--pgdata")
            .arg(cluster.path("data"))
            .env("PGPASSWORD", PASSWORD);
        program::run(cluster.as_user(&mut command));
        cluster.find_port_and_launch();
        cluster
    }

    /// The directory and what is in it before there is data.
    fn prepare(tls: Option<tls::Source>) -> Self {
        let user = is_root().then(|| User::named("postgres", "postgresql"));
        let directory = Directory::new("postgres");
        let programs = newest_version().join("bin");
        let tls_files = tls.map(|source| tls::prepare(source, &directory.path().join("tls")));
        let access = Access {
            psql: programs.join("psql"),
            socket_dir: directory.path().to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            password: PASSWORD,
            ca_file: tls_files,
        };
        let cluster = Self { server: None, access, user, directory };
        if let Some(user) = user {
            own(cluster.directory.path(), user);
        }
        cluster
    }

    /// How to reach it.
    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.path("log")
    }

    fn find_port_and_launch(&mut self) {
        for _ in 0..TRIES {
            self.access.address = port::spare();
            match self.try_launch() {
                Ok(()) => return,
                Err(said) if said.contains("could not bind") => {}
                Err(said) => panic!("PostgreSQL did not start:\n{said}"),
            }
        }
        panic!("PostgreSQL found {TRIES} ports taken");
    }

    /// Starts it on its port. It must not be running.
    pub(super) fn launch(&mut self) {
        // The kernel may need a moment to take apart what was killed.
        let mut said = String::new();
        let gone = ["could not bind", "pre-existing shared memory block", "is another postmaster"];
        wait_for("PostgreSQL to start again", || match self.try_launch() {
            Ok(()) => Some(()),
            Err(why) if gone.iter().any(|reason| why.contains(reason)) => None,
            Err(why) => {
                said = why;
                Some(())
            }
        });
        assert!(said.is_empty(), "PostgreSQL did not start again:\n{said}");
    }

    /// Starts it and waits until it answers, or gives what it logged before it ended.
    fn try_launch(&mut self) -> Result<(), String> {
        let log = self.log_file();
        let before = fs::metadata(&log).map_or(0, |it| it.len());
        let mut command = Command::new(self.program("postgres"));
        command.arg("-D").arg(self.path("data"));
        let mut set = |key: &str, value: &str| {
            command.args(["-c", &format!("{key}={value}")]);
        };
        set("listen_addresses", "127.0.0.1");
        set("port", &self.access.address.port().to_string());
        set("unix_socket_directories", &self.directory.path().display().to_string());
        set("max_connections", "200");
        set("fsync", "on");
        set("log_min_messages", "info");
        set("timezone", "UTC");
        if let Some(ca) = &self.access.ca_file {
            set("ssl", "on");
            set("ssl_cert_file", &ca.with_file_name(tls::CERTIFICATE).display().to_string());
            set("ssl_key_file", &ca.with_file_name(tls::KEY).display().to_string());
        }
        // QUIT: it ends its own children at once, and takes its shared memory with it.
        let mut server = Server::start("PostgreSQL", "QUIT", self.user, &command, log.clone());
        let ended = wait_for("PostgreSQL to answer", || {
            if server.ended().is_some() {
                return Some(true);
            }
            self.access.try_sql("postgres", "SELECT 1").is_ok().then_some(false)
        });
        if ended {
            let said = fs::read(&log).unwrap_or_default();
            let from = usize::try_from(before).map_or(0, |from| from.min(said.len()));
            return Err(String::from_utf8_lossy(&said[from..]).into_owned());
        }
        self.server = Some(server);
        Ok(())
    }

    /// Ends it in order.
    pub(super) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // INT: sessions are cut, then everything is flushed ("fast").
            server.end(Signal::INT);
        }
    }

    /// Ends all of it at once.
    pub(super) fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // Stopped first: then it waits for none of its children, whose numbers therefore stay theirs.
        server.signal(Signal::STOP);
        let children = children_of(server.pid());
        signal_all(&children, Signal::KILL);
        server.end(Signal::KILL);
        wait_for("the end of PostgreSQL's sessions", || {
            children.iter().all(|child| !uses(*child, self.directory.path())).then_some(())
        });
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.access.psql.with_file_name(name)
    }

    fn as_user<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        match self.user {
            Some(user) => command.uid(user.uid).gid(user.gid),
            None => command,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nobody reads these files again. A panic in a drop would hide the one that the test is about.
        if let Some(server) = &mut self.server {
            server.signal(Signal::QUIT);
            if crate::patience::wait_at_most(crate::patience::PATIENCE, || server.ended()).is_none() {
                eprintln!("PostgreSQL did not end:\n{}", tail(&self.directory.path().join("log")));
            }
        }
    }
}

/// The directory of the newest version that is installed.
fn newest_version() -> PathBuf {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        entry.path().join("bin/postgres").is_file().then(|| (number, entry.path()))
    });
    let newest = numbered.max_by_key(|(number, _)| *number);
    newest.expect("this test needs PostgreSQL in /usr/lib/postgresql: run `make deps`, or install postgresql").1
}

/// Gives a directory and everything in it to a user.
fn own(path: &Path, user: User) {
    chown(path, Some(user.uid), Some(user.gid)).expect("root may give files away");
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            own(&entry.path(), user);
        } else {
            chown(entry.path(), Some(user.uid), Some(user.gid)).expect("root may give files away");
        }
    }
}

/// Whether a process still works in a directory. One that has ended and waits for its parent does not.
fn uses(pid: Pid, directory: &Path) -> bool {
    fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|cwd| cwd.starts_with(directory))
}
