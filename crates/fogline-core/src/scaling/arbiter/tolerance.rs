//! Step 4: a ratio near 1.0 is no change. Target tracking only.
//!
//! Source: Kubernetes documentation, "Horizontal Pod Autoscaling", tolerance 0.1 by default, one a direction possible.

use super::merge::{Merged, merge};
use crate::scaling::policy::Policy;
use crate::scaling::vote::Vote;

/// Merges again, with every target that is near enough holding.
pub(crate) fn apply(policies: &[&Policy], votes: &[Vote], merged: Merged, current: u32) -> (Merged, String) {
    let mut near = Vec::new();
    let judged: Vec<Vote> = votes
        .iter()
        .map(|vote| match is_near(policies, vote) {
            Some((ratio, tolerance)) => {
                near.push(format!("{ratio:.3} is within {tolerance} of 1.0"));
                vote.clone().holding()
            }
            None => vote.clone(),
        })
        .collect();
    if near.is_empty() {
        return (merged, String::new());
    }
    let again = merge(&judged, current);
    let note = if again.replicas == merged.replicas { String::new() } else { near.join("; ") };
    (again, note)
}

fn is_near(policies: &[&Policy], vote: &Vote) -> Option<(f64, f64)> {
    let ratio = vote.ratio?;
    let tolerance = policies.iter().find(|policy| policy.id() == vote.policy_id)?.spec().tolerance;
    let tolerance = if ratio >= 1.0 { tolerance.up() } else { tolerance.down() };
    ((ratio - 1.0).abs() <= tolerance + 1e-9).then_some((ratio, tolerance))
}
