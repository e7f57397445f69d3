//! A deadline that every move puts off. It costs nothing while things move: the timer is set only when something waits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that every move puts off.
pub(crate) struct Stall {
    most: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waits: bool,
}

impl Stall {
    pub fn new(most: Duration) -> Self {
        Self { most, timer: None, waits: false }
    }

    /// Something moved.
    pub fn moved(&mut self) {
        self.waits = false;
    }

    /// Begins to wait, or goes on: ready once nothing has moved for too long.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let most = self.most;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + most)));
        if !self.waits {
            self.waits = true;
            timer.as_mut().reset(Instant::now() + most);
        }
        timer.as_mut().poll(cx)
    }
}
