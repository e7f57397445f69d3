//! A driver of either kind with a directory of its own, and the service of the test bed to run by it.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fogline_agent::driver::{
    Adopted, DockerConfig, DockerDriver, Driver, DriverEvent, Exit, ProcessConfig, ProcessDriver, Signal, StartError,
    StartOrder, Started,
};
use fogline_core::id::{IdSource, ReplicaId};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::spec::{ContainerSpec, ReplicaTemplate, Runtime};
use fogline_core::time::Timestamp;
use fogline_testbed::{Engine, Make, port, service_program};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;

use super::super::harness::{config, until, within};

/// Of a registry that has nothing, so that nothing but what is on the node can be meant.
pub(in crate::driver) const IMAGE: &str = "localhost:1/service:v1";

/// Which driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::driver) enum Kind {
    Process,
    Docker,
    Podman,
}

impl Kind {
    const fn make(self) -> Option<Make> {
        match self {
            Self::Process => None,
            Self::Docker => Some(Make::Docker),
            Self::Podman => Some(Make::Podman),
        }
    }
}

/// Plays a test. For containers, in the engine's network: the thread goes there, so nothing else may use it afterwards.
pub(in crate::driver) fn play<F: Future<Output = ()>>(kind: Kind, test: impl FnOnce(Rig) -> F) {
    let engine = kind.make().map(engine_of);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A driver needs the runtime around it from the first moment.
    runtime.block_on(async { test(Rig::new(kind, engine).await).await });
}

/// The shared engine of this make, with the image in it. This thread is in its network then.
fn engine_of(make: Make) -> Arc<Engine> {
    static MAKING: Mutex<()> = Mutex::new(());
    let engine = Engine::shared_of(make);
    {
        let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if !engine.docker(&["image", "inspect", IMAGE]).status.success() {
            engine.make_image(IMAGE, "v1");
            registry_of_nothing(&engine);
        }
    }
    engine.enter();
    engine
}

/// As registries say that they have no such image.
const NOTHING: &str = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 73\r\n\r\n\
    {\"errors\": [{\"code\": \"MANIFEST_UNKNOWN\", \"message\": \"manifest unknown\"}]}";

/// Says no to every pull of [`IMAGE`], at once, for as long as the engine is there. Nobody at all would be asked again.
fn registry_of_nothing(engine: &Arc<Engine>) {
    let listener = engine.inside(|| TcpListener::bind("127.0.0.1:1")).expect("the network is its own");
    listener.set_nonblocking(true).expect("a socket");
    let engine = Arc::downgrade(engine);
    std::thread::spawn(move || {
        while engine.strong_count() > 0 {
            let Ok((mut asks, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            // Whoever does not listen any more has heard enough.
            let _ = asks.set_nonblocking(false).and_then(|()| asks.set_read_timeout(Some(Duration::from_secs(5))));
            let _ = asks.read(&mut [0; 4_096]);
            let _ = asks.write_all(NOTHING.as_bytes());
        }
    });
}

pub(in crate::driver) struct Rig {
    pub(in crate::driver) kind: Kind,
    pub(in crate::driver) processes: ProcessConfig,
    pub(in crate::driver) containers: DockerConfig,
    pub(in crate::driver) engine: Option<Arc<Engine>>,
    driver: Option<Driver>,
    events: mpsc::Receiver<DriverEvent>,
    ids: IdSource,
    pub(in crate::driver) used: Vec<ReplicaId>,
    pub(in crate::driver) dir: TempDir,
}

impl Rig {
    pub(in crate::driver) async fn new(kind: Kind, engine: Option<Arc<Engine>>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let sockets = engine.iter().map(|engine| engine.socket()).collect();
        let (_, events) = mpsc::channel(1);
        let mut rig = Self {
            kind,
            processes: config(dir.path()),
            containers: DockerConfig {
                look_every: Duration::from_secs(1),
                cgroup_parent: engine.as_ref().map(|engine| format!("/{}", engine.cgroups())),
                ..DockerConfig::new(dir.path().to_owned(), sockets)
            },
            engine,
            driver: None,
            events,
            ids: IdSource::new(getrandom::u64().expect("entropy")),
            used: Vec::new(),
            dir,
        };
        assert_eq!(rig.new_agent().await, vec![]);
        rig
    }

    /// Ends the agent, without telling anybody.
    pub(in crate::driver) fn end_agent(&mut self) {
        self.driver = None;
    }

    /// Another agent on the same directory, which has not looked yet at what there is.
    pub(in crate::driver) fn new_agent_without_adopting(&mut self) {
        self.end_agent();
        // Nobody takes what is told while a test waits for a start.
        let (sender, events) = mpsc::channel(1_024);
        self.driver = Some(match self.kind {
            Kind::Process => Driver::Process(ProcessDriver::new(self.processes.clone(), sender).expect("a driver")),
            Kind::Docker | Kind::Podman => {
                let fresh = getrandom::u64().expect("entropy");
                Driver::Docker(DockerDriver::new(self.containers.clone(), fresh, sender).expect("a driver"))
            }
        });
        self.events = events;
    }

    pub(in crate::driver) async fn new_agent(&mut self) -> Vec<Adopted> {
        self.new_agent_without_adopting();
        within(self.driver().adopt()).await
    }

    pub(in crate::driver) fn driver(&self) -> &Driver {
        self.driver.as_ref().expect("an agent")
    }

    pub(in crate::driver) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("a rig for containers")
    }

    /// An order for the service, with these flags.
    pub(in crate::driver) fn order(&mut self, flags: &[&str]) -> StartOrder {
        let now = Timestamp::from_micros(1_000_000);
        let replica_id: ReplicaId = self.ids.next(now);
        self.used.push(replica_id);
        let is_process = self.kind == Kind::Process;
        let program = if is_process { service_program().display().to_string() } else { "/service".to_owned() };
        StartOrder {
            replica_id,
            deployment_id: self.ids.next(now),
            deployment_name: "web".to_owned(),
            node_id: self.ids.next(now),
            node_name: "edge-1".to_owned(),
            revision: 3,
            run: 1,
            template: Arc::new(ReplicaTemplate {
                runtime: if is_process { Runtime::Process } else { Runtime::Docker },
                container_image: (!is_process).then(|| IMAGE.to_owned()),
                command: std::iter::once(program).chain(flags.iter().map(|&flag| flag.to_owned())).collect(),
                env: BTreeMap::from([("COLOR".to_owned(), "blue".to_owned())]),
                working_dir: None,
                resources: Resources { cpu_millis: CpuMillis(500), memory_mb: 64, gpu_units: 0, storage_gb: 1 },
                port: Some(8080),
                host_port: None,
                container: (!is_process).then(ContainerSpec::default),
                health: None,
                warm_up: None,
                grace_s: 10,
                drain_timeout_s: 30,
            }),
            image_digest: None,
            port: Some(port::spare().port()),
        }
    }

    pub(in crate::driver) async fn start(&self, order: &StartOrder) -> Result<Started, StartError> {
        within(self.driver().start(order.clone())).await
    }

    /// Starts it; it must start, and answer.
    pub(in crate::driver) async fn run(&self, order: &StartOrder) -> String {
        let started = self.start(order).await.expect("started");
        self.ask(order, "/").await;
        started.container_id
    }

    /// What it answers, as soon as it answers at all.
    pub(in crate::driver) async fn ask(&self, order: &StartOrder, path: &str) -> String {
        let mut said = None;
        until("it answers", || {
            said = self.asked_once(order, path);
            said.is_some()
        })
        .await;
        said.expect("it has answered")
    }

    pub(in crate::driver) fn asked_once(&self, order: &StartOrder, path: &str) -> Option<String> {
        get(order.port.expect("it has a port"), path)
    }

    pub(in crate::driver) async fn signal(&self, order: &StartOrder, signal: Signal) {
        within(self.driver().signal(order.replica_id, signal)).await.expect("signalled");
    }

    /// What a driver says of a start's progress is of no interest here.
    pub(in crate::driver) async fn event(&mut self) -> DriverEvent {
        loop {
            match within(self.events.recv()).await.expect("an event") {
                DriverEvent::Preparing { .. } => {}
                event => return event,
            }
        }
    }

    /// The next event, which must be the end of this run.
    pub(in crate::driver) async fn exit(&mut self, order: &StartOrder) -> Exit {
        let event = self.event().await;
        let DriverEvent::Exited { replica_id, run, exit } = event else { panic!("{event:?} is no end") };
        assert_eq!((replica_id, run), (order.replica_id, order.run));
        exit
    }

    /// What it was told of the progress of starts until now; any other event would be a mistake.
    pub(in crate::driver) fn progress(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            let DriverEvent::Preparing { progress, .. } = event else { panic!("{event:?}, which nobody expected") };
            words.push(progress);
        }
        words
    }

    pub(in crate::driver) fn no_event(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            assert!(matches!(event, DriverEvent::Preparing { .. }), "{event:?}, which nobody expected");
        }
    }

    pub(in crate::driver) async fn kill(&mut self, order: &StartOrder) -> Exit {
        self.signal(order, Signal::Kill).await;
        self.exit(order).await
    }

    pub(in crate::driver) async fn tail(&self, order: &StartOrder, lines: u32) -> String {
        let mut stream = within(self.driver().logs(order.replica_id, lines, false)).await.expect("output");
        let mut text = Vec::new();
        while let Some(chunk) = within(stream.next()).await {
            text.extend_from_slice(&chunk.expect("read"));
        }
        String::from_utf8(text).expect("text")
    }

    /// What is left of its replicas: containers, processes, directories.
    pub(in crate::driver) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(engine) = &self.engine {
            for id in &self.used {
                left.extend(engine.containers(&format!("fogline-{id}")));
            }
        }
        for name in ["replicas", "containers"] {
            let ids = self.used.iter().map(ToString::to_string);
            left.extend(ids.filter(|id| self.dir.path().join(name).join(id).exists()));
        }
        let markers: Vec<String> = self.used.iter().map(|id| format!("FOGLINE_REPLICA_ID={id}")).collect();
        for entry in fs::read_dir("/proc").expect("listed").flatten() {
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            let has = |marker: &String| environ.split(|byte| *byte == 0).any(|one| one == marker.as_bytes());
            if markers.iter().any(has) {
                left.push(format!("process {}", entry.file_name().display()));
            }
        }
        left
    }

    /// Forgets these, which have ended; then nothing is left.
    pub(in crate::driver) async fn forget(&mut self, orders: &[&StartOrder]) {
        for order in orders {
            self.driver().forget(order.replica_id);
        }
        let mut left = Vec::new();
        let gone = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                left = self.left();
                if left.is_empty() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(gone.await.is_ok(), "left behind: {left:?}");
        self.no_event();
    }

    pub(in crate::driver) fn ended_dir(&self) -> PathBuf {
        self.dir.path().join(if self.kind == Kind::Process { "ended" } else { "containers-ended" })
    }
}

/// A test that fails must not leave anything running either; the engine takes its containers with it.
impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(engine) = &self.engine {
            for id in &self.used {
                let listed = engine.docker(&["ps", "--all", "--quiet", "--filter", &format!("name=fogline-{id}")]);
                for name in String::from_utf8_lossy(&listed.stdout).lines() {
                    let _ = engine.docker(&["rm", "--force", "--volumes", name]);
                }
            }
            return;
        }
        for process in self.left().iter().filter_map(|left| left.strip_prefix("process ")?.parse().ok()) {
            fogline_agent::shim::proc_stat::kill_if(process, rustix::process::Signal::KILL, |_| true);
        }
    }
}

/// The body of the answer, if there is one.
pub(in crate::driver) fn get(port: u16, path: &str) -> Option<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("not zero");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
