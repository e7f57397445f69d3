//! The wire types of the HTTP API: what a request may say and what an answer says.
//!
//! Requests refuse fields that they do not know; answers may grow fields, so a client must ignore those that it does
//! not know. Must never decide anything: ranges are core's, statuses the server's. Invariant: every field that the
//! seeds name is there under the seeds' name. Tests: below in each file, and the server's tables of exact shapes.

mod audit;
mod auth;
mod backtest;
mod decision;
mod deployment;
mod event;
mod exec;
mod explain;
mod history;
mod metric;
mod node;
mod page;
mod policy;
mod probe;
mod problem;
mod proxy_scaling;
mod replica;
mod route;
mod seeds;
mod traffic;
mod user;

pub use audit::AuditEntry;
pub use auth::{ChangePasswordRequest, LoginRequest, LogoutRequest, MeResponse, RefreshRequest, TokenResponse};
pub use backtest::{BacktestRequest, BacktestResponse, BacktestRow, RecordedRange};
pub use decision::{DecisionResponse, EvaluationResponse, ScalingHistoryEntry};
pub use deployment::{
    DeploymentHealth, DeploymentResponse, DeploymentSummary, HealthSummary, OperationResponse, ScaleRequest,
};
pub use event::{ChangeKind, ChangedObject, EventResponse};
pub use exec::{DEFAULT_EXEC_TIMEOUT_S, ExecCommandRequest, ExecCommandResponse};
pub use explain::{ExplainResponse, ReplicaPlace};
pub use history::HistoryEntry;
pub use metric::{MetricsResponse, PushMetricsRequest, PushMetricsResponse, PushedMetric};
pub use node::{NodeResponse, NodeStatus, PatchNodeRequest};
pub use page::Page;
pub use policy::{PausePolicyRequest, PolicyExecutor, PolicyResponse, PolicyVersionResponse, ScheduleResponse};
pub use probe::{LostRevisions, ProbeResponse, ReadyResponse, ScalingEngineState, ScalingEngineStatus, ServerRole};
pub use problem::{PROBLEM_JSON, Problem, ProblemKind};
pub use proxy_scaling::{
    CompleteEventRequest, Direction, EventCounts, ExecuteScalingRequest, LoadMetricsRequest, LoadMetricsResponse,
    ProxyAction, ProxyEvaluationResponse, ProxyEventResponse, ProxyEventStatus, ProxyPolicyRequest,
    ProxyPolicyResponse, ProxySummaryResponse, SeriesSummary, Trend,
};
pub use replica::ReplicaResponse;
pub use route::{ProxyResponse, RouteResponse};
pub use seeds::{SeedDeploymentList, SeedReplica, SeedStatusResponse};
pub use traffic::{ReplicaTrafficResponse, TrafficResponse, TrafficSecond};
pub use user::{CreateUserRequest, PatchUserRequest, UserResponse};
