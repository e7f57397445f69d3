//! The forecast strategy: a floor of replicas for a load that is about to come.
//!
//! Decides nothing when there is no model, or its error is above the policy's `max_error`: it abstains and says so. Must
//! never be a reason to go down: below its floor others cannot go, above it they may. Tests:
//! `tests/it/scaling/forecast.rs`.

use super::{Context, ceil};
use crate::scaling::policy::{ForecastSpec, Span};
use crate::scaling::vote::{Ballot, StrategyKind, Vote};

/// The vote of a forecast.
pub(super) fn vote(context: &Context<'_>, spec: &ForecastSpec) -> Vote {
    let mut vote = Vote::new(context.policy.id(), StrategyKind::Forecast, "");
    vote.metric = Some(spec.metric.clone());
    let model = match context.inputs.forecasts.get(&context.policy.id()) {
        Some(Ok(model)) => model,
        Some(Err(why)) => return Vote { why: format!("no forecast of {}: {why}", spec.metric), ..vote },
        None => return Vote { why: format!("no forecast of {} yet", spec.metric), ..vote },
    };
    let error = model.error_percent();
    vote.parts = vec![("error_percent".to_owned(), error), ("level".to_owned(), model.level())];
    if error > spec.max_error {
        let why = format!(
            "the forecast of {} is off: it was wrong by {} %, and {} % are allowed",
            spec.metric,
            context.shown(error),
            context.shown(spec.max_error)
        );
        return Vote { why, ..vote };
    }
    let ahead = spec.look_ahead(context.inputs.start_time);
    let Some(load) = model.largest(context.now, ahead) else {
        return Vote { why: format!("no forecast of {}: nothing is recorded for this time", spec.metric), ..vote };
    };
    vote.parts.push(("forecast".to_owned(), load));
    let (floor, current) = (ceil(load / spec.target), context.inputs.replicas.current);
    vote.floor = Some(floor);
    vote.why = format!(
        "{} will be {} within {} (as in earlier seasons, times {}; wrong by {} % on the last one), {} a replica",
        spec.metric,
        context.shown(load),
        Span(ahead),
        context.shown(model.level()),
        context.shown(error),
        context.shown(spec.target)
    );
    (vote.up, vote.down) = match floor.cmp(&current) {
        std::cmp::Ordering::Greater => (Ballot::Count(floor), Ballot::Hold),
        std::cmp::Ordering::Equal => (Ballot::Hold, Ballot::Hold),
        std::cmp::Ordering::Less => (Ballot::Abstain, Ballot::Abstain),
    };
    vote
}
