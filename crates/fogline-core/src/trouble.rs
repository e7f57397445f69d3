//! What strangers are told of why a deployment does not serve.
//!
//! Answers of proxies go to whoever asks, and what agents report has addresses, paths and output of programs in it. So of
//! all that only which of these it is gets out; the whole text stays with replicas, decisions and history, for those who
//! may see them. Invariant: a closed set, without any part of a text from outside. Tests: below, and where agents word
//! their failures.

use std::fmt;

/// Why requests are not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// No node has room.
    NoRoom,
    /// Its image could not be pulled.
    Image,
    /// Its program, directory or port cannot be had on the node.
    Start,
    /// Its check does not pass.
    NotReady,
    /// Its warm-up does not pass.
    WarmUp,
    /// It ends by itself.
    Ends,
    /// Its owner's deployments were woken as often as they may be.
    WokenTooOften,
    /// Its owner has as many replicas as they may have.
    Quota,
    /// It is switched off.
    Stopped,
    /// Anything else.
    NotWoken,
}

impl Trouble {
    /// What a reason comes down to that an agent gave, told by how it begins.
    #[must_use]
    pub fn of(reason: &str) -> Self {
        // An agent that gives up tells what it was last.
        let last = if reason.starts_with("crash loop: ") { reason.split_once("the last time: ") } else { None };
        let reason = last.map_or(reason, |(_, last)| last);
        let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| reason.starts_with(beginning));
        if begins(&["cannot get the image"]) {
            Self::Image
        } else if begins(&["its warm-up failed"]) {
            Self::WarmUp
        } else if begins(&["not ready within", "its readiness check fails"]) {
            Self::NotReady
        } else if begins(&["cannot run", "cannot mount", "there is no command", "port ", "no port "]) {
            Self::Start
        } else {
            Self::Ends
        }
    }

    /// As it is told.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoRoom => "it cannot be placed: no room",
            Self::Image => "its image cannot be had",
            Self::Start => "it cannot be started",
            Self::NotReady => "it does not become ready",
            Self::WarmUp => "its warm-up fails",
            Self::Ends => "it ends right after its start",
            Self::WokenTooOften => "it was woken too often",
            Self::Quota => "its account has no replicas left",
            Self::Stopped => "it is stopped",
            Self::NotWoken => "it cannot be woken now",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;

    #[test]
    fn what_it_was_last_counts_and_nothing_of_the_text_is_told() {
        for (reason, trouble) in [
            ("its warm-up failed: http://10.0.0.7/ answered 500", Trouble::WarmUp),
            ("its readiness check fails: connection refused", Trouble::NotReady),
            ("exited with code 3: secret", Trouble::Ends),
            (
                "crash loop: it ended 5 times without being ready for 10 s in between; the last time: not ready within \
                 its start_timeout_s: 10.0.0.7:20000 refused",
                Trouble::NotReady,
            ),
            ("", Trouble::Ends),
        ] {
            assert_eq!(Trouble::of(reason), trouble, "{reason}");
            assert!(!trouble.to_string().contains("10.0"));
        }
    }
}
