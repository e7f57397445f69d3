//! Step 2: one count from all votes.
//!
//! The highest count wins. Down needs every voter that does not abstain to agree, and none to be without data; a forecast's
//! floor stops it, whoever agrees.
//! Invariant: the order of the votes does not matter. Tests: below, `properties.rs`.

use crate::scaling::vote::{Ballot, StrategyKind, Vote};

/// What the votes come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Merged {
    pub replicas: u32,
    pub why: String,
    /// A panic window asks for it.
    pub urgent: bool,
}

/// Merges. Idle votes are for the record: zero is decided at the bounds, a wake-up is a command.
pub(crate) fn merge(votes: &[Vote], current: u32) -> Merged {
    let votes = || votes.iter().filter(|vote| vote.strategy != StrategyKind::Idle);
    let up = |vote: &Vote| match vote.up {
        Ballot::Count(count) if count > current => Some(count),
        _ => None,
    };
    if let Some(highest) = votes().filter_map(up).max() {
        let winners = || votes().filter(|vote| up(vote) == Some(highest));
        return Merged {
            replicas: highest,
            why: first(winners()).map(|vote| vote.why.clone()).unwrap_or_default(),
            urgent: winners().any(|vote| vote.urgent),
        };
    }
    let hold = |why: String| Merged { replicas: current, why, urgent: votes().any(|vote| vote.urgent) };
    let voters = || votes().filter(|vote| vote.down != Ballot::Abstain || vote.lacks_data());
    let down = |vote: &Vote| match vote.down {
        Ballot::Count(count) if count < current && !vote.lacks_data() => Some(count),
        _ => None,
    };
    let Some(wants) = first(voters().filter(|vote| down(vote).is_some())) else {
        let mut heard: Vec<&Vote> =
            votes().filter(|vote| (vote.up, vote.down) != (Ballot::Abstain, Ballot::Abstain)).collect();
        heard.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let words: Vec<&str> = heard.iter().map(|vote| vote.why.as_str()).filter(|why| !why.is_empty()).collect();
        return hold(if words.is_empty() { "no strategy has anything to say".to_owned() } else { words.join("; ") });
    };
    if let Some(against) = first(voters().filter(|vote| down(vote).is_none())) {
        let how = if against.lacks_data() { "is without data" } else { "does not agree" };
        return hold(format!("{}, but {} {how}: {}", wants.why, against.strategy.as_str(), against.why));
    }
    let highest = voters().filter_map(down).max().unwrap_or(current);
    let floor = first(votes().filter(|vote| vote.floor.is_some_and(|floor| floor > highest)));
    if let Some(floor) = floor {
        let replicas = votes().filter_map(|vote| vote.floor).max().unwrap_or(highest).min(current);
        return Merged {
            replicas,
            why: format!("{}, but not below {replicas}: {}", wants.why, floor.why),
            urgent: false,
        };
    }
    let why =
        first(voters().filter(|vote| down(vote) == Some(highest))).map_or_else(String::new, |vote| vote.why.clone());
    Merged { replicas: highest, why, urgent: false }
}

/// The one that speaks for several, whatever order they come in.
fn first<'a>(votes: impl Iterator<Item = &'a Vote>) -> Option<&'a Vote> {
    votes.min_by(|a, b| a.rank().cmp(&b.rank()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PolicyId;
    use uuid::Uuid;

    fn vote(number: u128, up: Ballot, down: Ballot) -> Vote {
        let id = PolicyId::from_uuid(Uuid::from_u128(number));
        Vote { up, down, ..Vote::new(id, StrategyKind::Rules, format!("v{number}")) }
    }

    #[test]
    fn every_pair_of_votes_in_every_order() {
        use Ballot::{Abstain, Count, Hold, NoData};
        for (a, b, replicas) in [
            ((Count(7), Hold), (Count(5), Hold), 7),
            ((Count(7), Hold), (NoData, NoData), 7),
            ((Count(7), Hold), (Hold, Count(2)), 7),
            ((Hold, Count(2)), (Hold, Count(3)), 3),
            ((Hold, Count(2)), (Hold, Hold), 4),
            ((Hold, Count(2)), (NoData, NoData), 4),
            ((Hold, Count(2)), (NoData, Abstain), 4),
            ((Hold, Count(2)), (Abstain, Abstain), 2),
            ((Hold, Count(2)), (Hold, Abstain), 2),
            ((Abstain, Abstain), (Abstain, Abstain), 4),
        ] {
            let (a, b) = (vote(1, a.0, a.1), vote(2, b.0, b.1));
            let forth = merge(&[a.clone(), b.clone()], 4);
            assert_eq!(forth, merge(&[b, a], 4));
            assert_eq!(forth.replicas, replicas, "{forth:?}");
        }
    }
}
