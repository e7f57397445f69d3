//! The proxy seed's view of scaling: the same policies, samples and decisions in its shapes, which are camelCase.

mod evaluation;
mod event;
mod load;
mod policy;
mod summary;

pub use evaluation::{ProxyAction, ProxyEvaluationResponse};
pub use event::{CompleteEventRequest, ExecuteScalingRequest, ProxyEventResponse, ProxyEventStatus};
pub use load::{LoadMetricsRequest, LoadMetricsResponse};
pub use policy::{ProxyPolicyRequest, ProxyPolicyResponse};
pub use summary::{Direction, EventCounts, ProxySummaryResponse, SeriesSummary, Trend};
