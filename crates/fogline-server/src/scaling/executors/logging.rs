//! The executor of dry runs: a line in the log.

use fogline_core::record::ScalingTarget;
use fogline_core::scaling::Decision;
use fogline_core::scaling::inputs::Run;

/// Says what would have been done.
pub(in super::super) fn log(target: &ScalingTarget, decision: &Decision) {
    let kind = match decision.run {
        Run::Shadow => "shadow",
        _ => "dry run",
    };
    tracing::info!(
        %target, kind, from = decision.current, to = decision.replicas, reason = decision.reason,
        "would have scaled a target"
    );
}
