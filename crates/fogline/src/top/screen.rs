//! The terminal: input, a fresh snapshot every second, and drawing after each. Left as it was found, whatever ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fogline_core::id::DeploymentId;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::draw::draw;
use super::snapshot::Snapshot;
use super::view::{Next, View};
use crate::exit::{Failure, Outcome};
use crate::session::Session;
use crate::signals;

/// A snapshot is taken so often.
const EVERY: Duration = Duration::from_secs(1);
/// How often the one who reads keys looks whether it is wanted still.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The load of so many deployments is asked for each time: a server has more to do than to be watched.
const MOST: usize = 40;
/// Keys that may wait.
const KEYS: usize = 64;

/// Shows it until a key or a signal says stop.
///
/// # Errors
/// When the first snapshot cannot be had, or the terminal cannot be used.
pub async fn show(session: &Session) -> Outcome {
    let first = Snapshot::take(session, None, MOST).await?;
    let stop = signals::stop_token(ratatui::restore)?;
    // From here on a panic puts the terminal back, too.
    let mut terminal = ratatui::try_init().map_err(unusable)?;
    let keys = Keys::read();
    let view = View::new(first);
    let (chosen, choice) = watch::channel(view.selected());
    let (news, latest) = mpsc::channel(1);
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = feed(session, choice, news) => Ok(()),
        result = look(&mut terminal, view, keys, latest, &chosen, session.anonymous().server()) => result,
    };
    ratatui::restore();
    result
}

fn unusable(error: std::io::Error) -> Failure {
    Failure::general("cannot draw on this terminal").because(error).hint("`fogline top --once` prints a plain table")
}

/// Takes snapshots, until nobody wants one.
async fn feed(
    session: &Session,
    mut choice: watch::Receiver<Option<DeploymentId>>,
    news: mpsc::Sender<Result<Snapshot, String>>,
) {
    loop {
        let next = Instant::now() + EVERY;
        let chosen = *choice.borrow_and_update();
        let taken = Snapshot::take(session, chosen, MOST).await.map_err(|failure| failure.message);
        if news.send(taken).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            changed = choice.changed() => if changed.is_err() { return },
        }
    }
}

async fn look(
    terminal: &mut DefaultTerminal,
    mut view: View,
    mut keys: Keys,
    mut latest: mpsc::Receiver<Result<Snapshot, String>>,
    chosen: &watch::Sender<Option<DeploymentId>>,
    server: &str,
) -> Outcome {
    loop {
        terminal.draw(|frame| draw(frame, &view, server)).map_err(unusable)?;
        tokio::select! {
            event = keys.events.recv() => match event {
                Some(Event::Key(key)) if view.press(key) == Next::Quit => return Ok(()),
                Some(_) => {}
                None => return Ok(()),
            },
            Some(taken) = latest.recv() => view.take(taken),
        }
        let selected = view.selected();
        chosen.send_if_modified(|chosen| std::mem::replace(chosen, selected) != selected);
    }
}

/// A thread that reads what is typed, because reading blocks.
struct Keys {
    events: mpsc::Receiver<Event>,
    wanted: Arc<AtomicBool>,
}

impl Keys {
    fn read() -> Self {
        let (sender, events) = mpsc::channel(KEYS);
        let wanted = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&wanted);
        std::thread::spawn(move || {
            while still.load(Ordering::Relaxed) {
                let is_heard = match event::poll(LOOK_EVERY).and_then(|typed| typed.then(event::read).transpose()) {
                    Ok(Some(event)) => sender.blocking_send(event).is_ok(),
                    Ok(None) => true,
                    Err(_) => false,
                };
                if !is_heard {
                    return;
                }
            }
        });
        Self { events, wanted }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}
