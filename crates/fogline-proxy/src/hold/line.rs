//! The line of a service: who waits, in order, and how they are let in or sent away.
//!
//! Invariant: whoever is in the line is let in, sent away or has left by itself; whoever came first is let in first.
//! No permit is dropped while the lock is held, because its drop takes the lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::attend::WAKE_EVERY_US;
use super::refusal::Refusal;
use crate::clock::micros;
use crate::service::{Permit, Service};

/// What somebody who waits is told in the end.
pub(super) type Verdict = Result<Permit, Refusal>;

#[derive(Debug)]
struct Waiter {
    number: u64,
    told: oneshot::Sender<Verdict>,
}

#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<Waiter>,
    next_number: u64,
    /// Why it is not woken, and until when.
    refused: Option<(Refusal, u64)>,
}

/// The line of a service.
#[derive(Debug, Default)]
pub(crate) struct Line {
    queue: Mutex<Queue>,
    /// As many as are in the queue: read without the lock.
    waiting: AtomicU32,
    /// Whether somebody attends to those who wait.
    pub(super) attended: AtomicBool,
    /// Something has changed that whoever attends should look at.
    pub(super) news: Notify,
}

/// A place in the line. Dropping it leaves the line.
pub(super) struct Place {
    pub service: Arc<Service>,
    pub number: u64,
    pub verdict: oneshot::Receiver<Verdict>,
}

impl Line {
    /// Requests that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Those who attend to the line should look again.
    pub fn changed(&self) {
        self.news.notify_one();
    }

    /// It may be asked to wake again.
    pub fn forget_refusal(&self) {
        self.lock().refused = None;
    }

    /// Why it is not woken now, where it is not.
    pub(super) fn refused(&self, now_us: u64) -> Option<Refusal> {
        let queue = self.lock();
        queue.refused.as_ref().filter(|(_, until_us)| now_us < *until_us).map(|(refusal, _)| refusal.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic happens between two steps that belong together.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at the end, where fewer than `most` wait. For what is counted: nothing else waits.
    pub(super) fn join(&self, service: &Arc<Service>, most: u32) -> Option<Place> {
        let mut queue = self.lock();
        if queue.waiters.len() >= most as usize {
            return None;
        }
        let (told, verdict) = oneshot::channel();
        let number = queue.next_number;
        queue.next_number += 1;
        queue.waiters.push_back(Waiter { number, told });
        self.note_length(&queue);
        Some(Place { service: Arc::clone(service), number, verdict })
    }

    fn note_length(&self, queue: &Queue) {
        self.waiting.store(u32::try_from(queue.waiters.len()).unwrap_or(u32::MAX), Ordering::SeqCst);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let line = &self.service.line;
        let mut queue = line.lock();
        if let Ok(at) = queue.waiters.binary_search_by_key(&self.number, |waiter| waiter.number) {
            queue.waiters.remove(at);
            line.note_length(&queue);
        }
    }
}

impl Service {
    /// Lets in those at the head of the line, as many as there are slots for.
    pub(crate) fn offer_slots(self: &Arc<Self>) {
        if self.line.waiting() == 0 {
            return;
        }
        let view = self.view();
        let mut left: Option<Permit> = None;
        let mut queue = self.line.lock();
        while !queue.waiters.is_empty() {
            let Some(permit) = left.take().or_else(|| self.permit_of(&view, true, &[])) else { break };
            if let Some(waiter) = queue.waiters.pop_front()
                && let Err(Ok(unused)) = waiter.told.send(Ok(permit))
            {
                left = Some(unused);
            }
        }
        self.line.note_length(&queue);
        drop(queue);
        drop(left);
    }

    /// Sends all away who wait, because the service may not serve now.
    pub(crate) fn refuse_all(&self) {
        let refusal = self.not_serving();
        self.send_away(&refusal, None);
    }

    /// The server does not wake it: those who wait are told why, and so is whoever comes soon after. For at least
    /// [`WAKE_EVERY_US`], whatever the server says: a refusal must not make wake-ups more frequent.
    pub(crate) fn wake_refused(&self, reason: &str, retry_after: Duration) {
        let after_us = micros(retry_after).max(WAKE_EVERY_US);
        let until_us = self.now_us().saturating_add(after_us);
        let refusal = Refusal::new(reason.to_owned()).after(after_us.div_ceil(1_000_000));
        self.send_away(&refusal, Some(until_us));
    }

    fn send_away(&self, refusal: &Refusal, until_us: Option<u64>) {
        let mut queue = self.line.lock();
        let all = std::mem::take(&mut queue.waiters);
        if let Some(until_us) = until_us {
            queue.refused = Some((refusal.clone(), until_us));
        }
        self.line.note_length(&queue);
        drop(queue);
        for waiter in all {
            // One who has left meanwhile need not know.
            let _ = waiter.told.send(Err(refusal.clone()));
        }
        self.line.changed();
    }
}
