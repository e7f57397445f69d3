//! What the bed leaves behind, when its values are dropped and when the test process is killed with -9: nothing.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use fogline_testbed::patience::wait_for;
use fogline_testbed::{Engine, Make, Postgres, Registry};

/// Everything of a bed that could be left.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    /// The network namespace of the engine, as the kernel names it.
    network: String,
    cgroups: String,
    engine: PathBuf,
    postgres: SocketAddr,
    postgres_files: PathBuf,
}

/// A bed in which everything runs.
struct Bed {
    postgres: Postgres,
    engine: Arc<Engine>,
    _registry: Option<Registry>,
}

impl Bed {
    fn start(make: Make) -> Self {
        let engine = Arc::new(Engine::start_of(make));
        // Podman speaks to a registry without TLS only where its settings name it.
        let registry = (make == Make::Docker).then(|| Registry::start(&engine));
        let image = match &registry {
            Some(registry) => {
                registry.push("v1", "v1");
                registry.image("v1")
            }
            None => {
                engine.make_image("localhost/service:v1", "v1");
                "localhost/service:v1".to_owned()
            }
        };
        let parent = format!("--cgroup-parent=/{}", engine.cgroups());
        engine.ok(&["run", "--detach", "--name", "runs", &parent, "--publish", "127.0.0.1::8080", &image]);
        Self { postgres: Postgres::start(), engine, _registry: registry }
    }

    fn traces(&self) -> Traces {
        let of_thread = || fs::read_link("/proc/thread-self/ns/net").expect("a thread has one");
        Traces {
            network: self.engine.inside(of_thread).display().to_string(),
            cgroups: self.engine.cgroups().to_owned(),
            engine: self.engine.socket().parent().expect("a directory").to_owned(),
            postgres: self.postgres.addr(),
            postgres_files: PathBuf::from(self.postgres.sql("SHOW unix_socket_directories")),
        }
    }
}

impl Traces {
    /// What is there of them, in words.
    fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let line =
                String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).unwrap_or_default()).into_owned();
            let network = fs::read_link(entry.path().join("ns/net")).unwrap_or_default();
            let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
            let names = |text: &str| {
                [&self.engine, &self.postgres_files].iter().any(|dir| text.contains(&dir.display().to_string()))
            };
            if network.display().to_string() == self.network || names(&line) {
                found.push(format!("process {pid}: {}", line.replace('\0', " ")));
            }
            found.extend(mounts.lines().filter(|mount| names(mount)).map(|mount| format!("mount of {pid}: {mount}")));
        }
        let hierarchies = fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten().map(|entry| entry.path());
        let roots = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]);
        let cgroups = roots.map(|root| root.join(&self.cgroups)).filter(|path| path.exists());
        found.extend(cgroups.map(|path| format!("cgroup {}", path.display())));
        let files = [&self.engine, &self.postgres_files].into_iter().filter(|path| path.exists());
        found.extend(files.map(|path| format!("directory {}", path.display())));
        if TcpStream::connect(self.postgres).is_ok() {
            found.push(format!("somebody listens on {}", self.postgres));
        }
        found
    }

    /// Each kind of trace must be seen while the bed is there, or finding none later would prove nothing.
    fn assert_all_seen(&self) {
        let found = self.found();
        for kind in ["process ", "mount of ", "cgroup ", "directory ", "somebody listens"] {
            assert!(found.iter().any(|trace| trace.starts_with(kind)), "no {kind:?} in {found:#?}");
        }
    }

    fn to_line(&self) -> String {
        let Self { network, cgroups, engine, postgres, postgres_files } = self;
        format!("{network} {cgroups} {} {postgres} {}", engine.display(), postgres_files.display())
    }

    fn from_line(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [network, cgroups, engine, postgres, postgres_files] = words[..] else { panic!("what is {line:?}") };
        Self {
            network: network.to_owned(),
            cgroups: cgroups.to_owned(),
            engine: engine.into(),
            postgres: postgres.parse().expect("an address"),
            postgres_files: postgres_files.into(),
        }
    }
}

#[test]
fn when_its_values_are_dropped() {
    dropped(Make::Docker);
}

#[test]
fn when_those_with_podman_are_dropped() {
    dropped(Make::Podman);
}

fn dropped(make: Make) {
    let bed = Bed::start(make);
    let traces = bed.traces();
    traces.assert_all_seen();
    drop(bed);
    assert_eq!(traces.found(), [""; 0]);
}

#[test]
fn when_the_test_process_is_killed() {
    killed(Make::Docker);
}

#[test]
fn when_the_test_process_is_killed_that_has_podman() {
    killed(Make::Podman);
}

fn killed(make: Make) {
    let directory = tempfile::tempdir().expect("a directory");
    let told = directory.path().join("traces");
    let mut test = Command::new(std::env::current_exe().expect("a test runs"))
        .args(["--exact", "nothing_is_left::a_bed_to_be_killed", "--ignored", "--nocapture"])
        .env(TELL, &told)
        .env(MAKE, format!("{make:?}"))
        .stdout(Stdio::null())
        .spawn()
        .expect("a test runs again");
    let traces = wait_for("the other process to have its bed", || {
        assert_eq!(test.try_wait().expect("a child"), None, "it ended before it was killed");
        let line = fs::read_to_string(&told).ok()?;
        line.ends_with('\n').then(|| Traces::from_line(&line))
    });
    traces.assert_all_seen();
    test.kill().expect("a child");
    assert_eq!(test.wait().expect("a child").signal(), Some(9));
    let mut found = Vec::new();
    let gone = fogline_testbed::patience::wait_at_most(fogline_testbed::patience::PATIENCE, || {
        found = traces.found();
        found.is_empty().then_some(())
    });
    assert!(gone.is_some(), "{found:#?}");
}

/// The variable that says where the other process tells its traces.
const TELL: &str = "FOGLINE_TESTBED_TELL";
/// The one that says with which engine.
const MAKE: &str = "FOGLINE_TESTBED_MAKE";

#[test]
#[ignore = "started by killed"]
#[expect(clippy::disallowed_methods, reason = "how the outer test tells the inner one where to write")]
fn a_bed_to_be_killed() {
    let told = std::env::var_os(TELL).expect("only the outer test runs this");
    let podman = std::env::var_os(MAKE).is_some_and(|make| make == "Podman");
    let bed = Bed::start(if podman { Make::Podman } else { Make::Docker });
    fs::write(Path::new(&told), bed.traces().to_line() + "\n").expect("a file can be written");
    loop {
        std::thread::park();
    }
}
