//! `fogline policy show`.

use super::OnePolicy;
use super::list::{state, strategies};
use crate::env::Environment;
use crate::exit::{Failure, Outcome};
use crate::output::{clean, moment};
use crate::session::Session;

/// Prints what it is, as remarks, and what it says, as the file that `policy apply` takes.
pub(super) async fn run(args: OnePolicy, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let policy = super::find(&session, &args.policy).await?;
    let spec = serde_saphyr::to_string(&policy.spec)
        .map_err(|error| Failure::general("cannot write the policy as YAML").because(error))?;
    session.output.print(&policy, |_| {
        let mut lines = vec![
            format!("# {}, by {}: {}", super::target(&policy), strategies(&policy.spec), state(&policy)),
            format!("# version {}, since {}; id {}", policy.version, moment(policy.updated_at), policy.id),
        ];
        lines.extend(policy.faults.iter().map(|fault| format!("# not evaluated: {fault}")));
        let mut text: Vec<String> = lines.iter().map(|line| clean(line).into_owned()).collect();
        text.extend(spec.trim_end().lines().map(|line| clean(line).into_owned()));
        text.join("\n")
    })
}
