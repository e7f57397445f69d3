//! `fogline policy list`.

use clap::Args;
use fogline_api::http::{PolicyExecutor, PolicyResponse};
use fogline_core::scaling::PolicySpec;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Table, age, moment};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline policy list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints them.
pub(super) async fn run(args: ListArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let policies = session.client().await?.all_policies(None).await?;
    session.output.print(&policies, |paint| {
        let mut table =
            Table::new(paint, &["NAME", "TARGET", "REPLICAS", "STRATEGIES", "STATE", "VERSION", "AGE", "ID"]);
        for one in &policies {
            table.row(&[
                one.spec.name.clone(),
                super::target(one),
                format!("{}-{}", one.spec.min_replicas, one.spec.max_replicas),
                strategies(&one.spec),
                state(one),
                one.version.to_string(),
                age(one.created_at),
                one.id.to_string(),
            ]);
        }
        table.render("no scaling policies; `fogline policy apply -f FILE` creates one")
    })
}

/// What it scales by.
pub(super) fn strategies(spec: &PolicySpec) -> String {
    let rules = spec.scale_up_rules.len() + spec.scale_down_rules.len();
    let of = |count: usize, name: &str| match count {
        0 => None,
        1 => Some(name.to_owned()),
        several => Some(format!("{several} {name}")),
    };
    let found: Vec<String> = [
        of(rules, "rules"),
        spec.load_score.as_ref().map(|_| "load score".to_owned()),
        of(spec.targets.len(), "target"),
        spec.forecast.as_ref().map(|_| "forecast".to_owned()),
        of(spec.schedules.len(), "schedule"),
        spec.scale_to_zero.then(|| "to zero".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if found.is_empty() { "bounds only".to_owned() } else { found.join(", ") }
}

/// In a word, or a few.
pub(super) fn state(policy: &PolicyResponse) -> String {
    match (policy.paused_until, policy.executor) {
        _ if !policy.spec.enabled => "disabled".to_owned(),
        _ if !policy.faults.is_empty() => "failed".to_owned(),
        (Some(until), _) => format!("paused until {}", moment(until)),
        (None, PolicyExecutor::Logging) if policy.spec.dry_run => "dry run".to_owned(),
        (None, PolicyExecutor::Logging) => "shadow".to_owned(),
        (None, PolicyExecutor::None) => "no executor".to_owned(),
        (None, PolicyExecutor::Deployment | PolicyExecutor::Webhook) => "active".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_of_a_policy_is_named() {
        let of = |rest: &str| {
            let text = format!("name: web\ntarget_type: deployment\nmin_replicas: 1\nmax_replicas: 9\n{rest}");
            strategies(&serde_saphyr::from_str::<PolicySpec>(&text).expect("a policy"))
        };
        for (rest, named) in [
            ("", "bounds only"),
            ("forecast: {metric: request_rate, target: 80}\n", "forecast"),
            (
                "targets: [{metric: request_rate, target: 80}]\nforecast: {metric: request_rate, target: 80}\n",
                "target, forecast",
            ),
        ] {
            assert_eq!(of(rest), named, "{rest}");
        }
    }
}
