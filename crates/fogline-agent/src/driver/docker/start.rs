//! Starts a run: order on disk, image on the node, container made, container started.
//!
//! Decides what a failure means. Invariants: a run is on disk before the engine hears of it, and a run that is on disk is
//! never started again; its container has one name, so a call whose answer is lost is settled by looking that name up,
//! and is never repeated under another. Where the engine does not say whether it has started a container, the run is held
//! ([`StartError::Unclear`]) until it does. Tests: `tests/it/driver`.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, StartContainerOptions};

use super::super::{Exit, ExitCause, StartError, StartOrder, Started};
use super::create::{self, Plan};
use super::exit::Stage;
use super::mounts::{self, Checked};
use super::record::{Record, Recorded};
use super::watch::{self, Seen};
use super::{EngineError, Failure, Inner, Slot, blocking, container_name, image, labels, look, sweep};
use crate::shim::program::keep_error;

/// How long until a call that was not answered is looked after.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn start(inner: &Arc<Inner>, order: StartOrder) -> Result<Started, StartError> {
    let inner = Arc::clone(inner);
    let name = image_name(&order);
    // A task, so that a start is never left half done when nobody waits for it any more.
    tokio::spawn(async move { start_whole(&inner, order).await })
        .await
        .unwrap_or_else(|error| Err(other(&name, "starting it", &error.to_string())))
}

async fn start_whole(inner: &Arc<Inner>, order: StartOrder) -> Result<Started, StartError> {
    let (replica_id, run) = (order.replica_id, order.run);
    match inner.runs().entry(replica_id) {
        Entry::Occupied(slot) => return Err(StartError::StillRunning { run: slot.get().run() }),
        Entry::Vacant(slot) => slot.insert(Slot::Busy { run }),
    };
    let result = start_alone(inner, order).await;
    let slot = match &result {
        Ok(started) => Some(Slot::Running { run, container: started.container_id.clone() }),
        Err(StartError::StillRunning { run } | StartError::Unclear { run, .. }) => Some(Slot::Held { run: *run }),
        Err(_) => None,
    };
    inner.set_slot(replica_id, slot);
    // It may have ended already, or may be found by now.
    inner.look.notify_one();
    result
}

/// Nobody else starts this replica meanwhile.
async fn start_alone(inner: &Arc<Inner>, mut order: StartOrder) -> Result<Started, StartError> {
    let image = image_name(&order);
    if order.template.container_image.is_none() {
        return Err(other(&image, "starting it", "the deployment names no image"));
    }
    // Before anything is recorded: where there is no engine, there was no run.
    inner.engine.client().await.map_err(|error| no_engine(&error))?;
    not_running(inner, &order).await?;
    check_mounts(inner, &order).await?;
    record(inner, &order, None, None).await?;
    // What is left of earlier runs: their output is kept. Where that does not work now, it is tried again later.
    sweep::earlier_runs(inner, order.replica_id, order.run).await;
    let result = prepare_and_start(inner, &mut order).await;
    match result {
        Err(error @ (StartError::StillRunning { .. } | StartError::Unclear { .. })) => Err(error),
        Err(error) => {
            let exit = Exit { code: None, message: error.to_string(), cause: ExitCause::NotStarted(error.clone()) };
            if let Err(error) = record(inner, &order, None, Some(exit)).await {
                tracing::warn!(replica_id = %order.replica_id, %error, "the failed start is not on disk");
            }
            Err(error)
        }
        started => started,
    }
}

async fn check_mounts(inner: &Arc<Inner>, order: &StartOrder) -> Result<Vec<Checked>, StartError> {
    let image = image_name(order);
    let (inner, order) = (Arc::clone(inner), order.clone());
    blocking(move || mounts::check(&inner, &order))
        .await
        .map_err(|error| other(&image, "checking its mounts", &error.to_string()))?
}

async fn prepare_and_start(inner: &Arc<Inner>, order: &mut StartOrder) -> Result<Started, StartError> {
    let name = image_name(order);
    let image = image::ensure(inner, order).await?;
    let inspected = inner
        .engine
        .again("looking at the image", |docker| {
            let reference = image.reference.clone();
            async move { docker.inspect_image(&reference).await }
        })
        .await
        .map_err(|error| refused(order, &error))?;
    let exposed = inspected.config.and_then(|config| config.exposed_ports).unwrap_or_default();
    let port = create::port(order.template.port, &exposed);
    let port_unused = port.is_none() && order.port.take().is_some();
    order.image_digest = image.digest.clone().or(order.image_digest.take());
    record(inner, order, None, None).await?;

    let unsaid = std::sync::Mutex::new(None);
    let made_and_started = async {
        // Pulling the image may have taken long, and others have begun meanwhile.
        let mounts = check_mounts(inner, order).await?;
        let id = make(inner, order, &image.reference, port, &mounts).await?;
        run(inner, order, &id, &unsaid).await.map(|()| id)
    };
    let id = match tokio::time::timeout(inner.config.start_deadline, made_and_started).await {
        Ok(result) => result?,
        Err(_) => {
            let unsaid = unsaid.into_inner().unwrap_or_default();
            return Err(match unsaid {
                Some(reason) => StartError::Unclear { run: order.run, reason },
                None => StartError::TimedOut {
                    program: name,
                    deadline_s: inner.config.start_deadline.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX),
                },
            });
        }
    };
    record(inner, order, Some(id.clone()), None).await.or_else(|error| {
        // It runs, and its record says so but for its name among the engine's containers.
        tracing::warn!(replica_id = %order.replica_id, %error, "a start is not on disk as a whole");
        Ok(())
    })?;
    Ok(Started { container_id: id, image_digest: order.image_digest.clone(), port_unused })
}

/// Refuses what was started before, and what an earlier run still holds.
async fn not_running(inner: &Arc<Inner>, order: &StartOrder) -> Result<(), StartError> {
    let record = inner.record(order.replica_id);
    let earlier = match record.read() {
        Recorded::Nothing => return Ok(()),
        Recorded::Whole(earlier) => earlier,
        Recorded::Damaged(why) => {
            tracing::error!(replica_id = %order.replica_id, why, "the record of a replica is damaged: it was set aside");
            return record
                .set_aside()
                .map_err(|error| other(&image_name(order), "setting its record aside", &error.to_string()));
        }
    };
    let run = earlier.start.run;
    if run >= order.run {
        return Err(StartError::AlreadyStarted { run: order.run, recorded: run });
    }
    if earlier.exit.is_some() {
        return Ok(());
    }
    match watch::examine(inner, order.replica_id, run, earlier.start.template.resources.memory_mb).await {
        Ok(Seen { stage: Some(Stage::Runs), .. }) => Err(StartError::StillRunning { run }),
        Ok(_) => Ok(()),
        Err(error) => Err(StartError::Unclear { run, reason: error.to_string() }),
    }
}

async fn record(
    inner: &Arc<Inner>,
    order: &StartOrder,
    container: Option<String>,
    exit: Option<Exit>,
) -> Result<(), StartError> {
    let dir = inner.record(order.replica_id);
    let record = Record { start: order.clone(), container, exit };
    let name = image_name(order);
    let path = dir.path().to_owned();
    blocking(move || dir.write(&record))
        .await
        .flatten()
        .map_err(|error| keep_error(&name, &path, "keeping its order", &error))
}

/// Makes the container, or finds the one that an earlier call has made.
async fn make(
    inner: &Arc<Inner>,
    order: &StartOrder,
    image: &str,
    port: Option<u16>,
    mounts: &[Checked],
) -> Result<String, StartError> {
    let name = container_name(order.replica_id, order.run);
    loop {
        // Of several that begin at once, each finds out for itself.
        let with_init = inner.has_init();
        let is_podman = inner.engine.found().borrow().as_ref().is_some_and(|found| found.is_podman);
        let body = create::body(&Plan {
            order,
            agent_id: &inner.agent_id,
            image,
            port,
            publish_at: inner.config.publish_at,
            mounts,
            logs: inner.config.logs,
            cgroup_parent: inner.config.cgroup_parent.as_deref(),
            is_podman,
            with_init,
        });
        let options = CreateContainerOptions { name: Some(name.clone()), ..CreateContainerOptions::default() };
        let made = inner
            .engine
            .once("making the container", |docker| async move { docker.create_container(Some(options), body).await })
            .await;
        match made {
            Ok(made) => return Ok(made.id),
            Err(error) if error.is_conflict() || error.may_pass() => {
                if !error.is_conflict() {
                    tracing::warn!(replica_id = %order.replica_id, %error, "looking whether the container was made");
                    tokio::time::sleep(PAUSE).await;
                }
                match ours(inner, order, &name).await {
                    Ok(Some(id)) => return Ok(id),
                    // Not made, or not yet: the same name again, which there can be once only.
                    Ok(None) => {}
                    Err(Trouble::Strange) => {
                        let reason = "there is a container of that name that this agent has not made; remove it";
                        return Err(other(&image_name(order), "making the container", reason));
                    }
                    Err(Trouble::Silent) => tokio::time::sleep(PAUSE).await,
                }
            }
            Err(error) if with_init && lacks_init(inner, order, &error) => {}
            Err(error) => return Err(refused(order, &error)),
        }
    }
}

enum Trouble {
    /// Something else has the name.
    Strange,
    /// The engine does not answer.
    Silent,
}

/// The container of this run, if it is there.
async fn ours(inner: &Inner, order: &StartOrder, name: &str) -> Result<Option<String>, Trouble> {
    match look::once_at(&inner.engine, name).await {
        Ok(found) => {
            let labels = found.config.labels.unwrap_or_default();
            let is_ours = labels::run_of(&inner.agent_id, &labels) == Some((order.replica_id, order.run));
            if is_ours { Ok(Some(found.id)) } else { Err(Trouble::Strange) }
        }
        Err(error) if error.is_missing() => Ok(None),
        Err(_) => Err(Trouble::Silent),
    }
}

/// Starts the container. `unsaid` holds what the engine left open, for whoever gives up waiting.
async fn run(
    inner: &Arc<Inner>,
    order: &StartOrder,
    id: &str,
    unsaid: &std::sync::Mutex<Option<String>>,
) -> Result<(), StartError> {
    let memory_mb = order.template.resources.memory_mb;
    loop {
        // Noted before the call: whoever stops waiting in the middle of it knows nothing.
        let calling = || Some("it was asked, and has not answered".to_owned());
        let before =
            std::mem::replace(&mut *unsaid.lock().unwrap_or_else(std::sync::PoisonError::into_inner), calling());
        let started = inner
            .engine
            .once("starting the container", |docker| async move {
                docker.start_container(id, None::<StartContainerOptions>).await
            })
            .await;
        let Err(error) = started else { return Ok(()) };
        if !error.may_pass() {
            remove(inner, id).await;
            // The next run of this replica begins without one.
            let again = lacks_init(inner, order, &error);
            let failed = || other(&image_name(order), error.attempted, &error.reason);
            return Err(if again { failed() } else { refused(order, &error) });
        }
        *unsaid.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            if error.failure == Failure::Unknown { Some(error.to_string()) } else { before };
        tracing::warn!(replica_id = %order.replica_id, %error, "looking whether the container was started");
        loop {
            tokio::time::sleep(PAUSE).await;
            match watch::examine(inner, order.replica_id, order.run, memory_mb).await {
                Ok(Seen { stage: Some(Stage::Runs | Stage::Ended(_)), .. }) => return Ok(()),
                // The engine looks at a container only when it is not in the middle of starting it.
                Ok(Seen { stage: Some(Stage::Made), .. }) => break,
                Ok(Seen { stage: None, .. }) => {
                    return Err(other(&image_name(order), "starting the container", "it is gone"));
                }
                Err(_) => {}
            }
        }
    }
}

/// Only ever of a container that does not run.
async fn remove(inner: &Inner, id: &str) {
    let options = RemoveContainerOptions { v: true, force: false, link: false };
    let removed = inner
        .engine
        .again("removing the container", |docker| {
            let options = options.clone();
            async move { docker.remove_container(id, Some(options)).await }
        })
        .await;
    if let Err(error) = removed
        && !error.is_missing()
    {
        tracing::warn!(%error, "a container that could not be started stays behind, until it is swept away");
    }
}

/// Whether it is only for want of an init that the engine refuses. From then on containers run without one.
fn lacks_init(inner: &Inner, order: &StartOrder, error: &EngineError) -> bool {
    let is_so = names_init(&error.reason) && !of_order(order).any(names_init);
    if is_so && inner.has_init() {
        tracing::warn!(%error, "the engine has no init: containers run without one, and may not heed SIGTERM");
        inner.do_without_init();
    }
    is_so
}

fn names_init(text: &str) -> bool {
    let text = text.to_lowercase();
    ["docker-init", "catatonit", "init binary"].iter().any(|init| text.contains(init))
}

/// The words of an order that an engine may quote: what it says of an init may be no more than these.
fn of_order(order: &StartOrder) -> impl Iterator<Item = &str> {
    let template = &order.template;
    let container = template.container.as_ref();
    let named = [&template.container_image, &template.working_dir].into_iter().flatten();
    let mounts = container.into_iter().flat_map(|container| &container.mounts);
    named
        .chain(container.and_then(|container| container.user.as_ref()))
        .chain(container.into_iter().flat_map(|container| &container.tmpfs))
        .chain(&template.command)
        .chain(mounts.flat_map(|mount| [&mount.source, &mount.target]))
        .map(String::as_str)
}

/// What the engine's no means to a user.
fn refused(order: &StartOrder, error: &EngineError) -> StartError {
    let image = image_name(order);
    if error.failure == Failure::Unreachable {
        return no_engine(error);
    }
    let said = error.reason.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    match order.port {
        Some(port) if has(&["port is already allocated", "address already in use", "cannot expose port"]) => {
            StartError::PortTaken { port }
        }
        _ if has(&[
            "executable file not found",
            "unable to find user",
            "no matching entries in passwd",
            "chdir to cwd",
        ]) || (has(&["exec"]) && has(&["no such file or directory", "permission denied", "is a directory"])) =>
        {
            StartError::NotInImage { image, reason: error.reason.clone() }
        }
        _ => StartError::Engine { image, attempted: error.attempted.to_owned(), reason: error.reason.clone() },
    }
}

fn no_engine(error: &EngineError) -> StartError {
    StartError::NoEngine { reason: error.to_string() }
}

fn image_name(order: &StartOrder) -> String {
    order.template.container_image.clone().unwrap_or_default()
}

fn other(image: &str, attempted: &str, reason: &str) -> StartError {
    StartError::Engine { image: image.to_owned(), attempted: attempted.to_owned(), reason: reason.to_owned() }
}
