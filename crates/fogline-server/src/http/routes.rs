//! The one list of what is served where. A route that is not here does not exist, neither in the description.

use axum::Router;
use axum::middleware;
use fogline_api::http::ProblemKind;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use super::app::App;
use super::forward::by_leader;
use super::guard::guard;
use super::problem::{ApiError, shown};
use super::spec::Base;
use super::{probes, seeds, v1};

/// Every endpoint with its description, and who answers it where several servers share the database: those in [`leader`] only
/// the one that leads, because they change something or tell what is in its memory (loads of nodes, logs, explanations,
/// routes, what was decided and measured, changes as they happen); all others whoever is asked, from the database.
pub(super) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(leader(routes!(v1::auth::login::handler)))
        .routes(leader(routes!(v1::auth::refresh::handler)))
        .routes(leader(routes!(v1::auth::logout::handler)))
        .routes(routes!(v1::auth::me::handler))
        .routes(leader(routes!(v1::auth::password::handler)))
        .routes(routes!(v1::users::list::handler))
        .routes(leader(routes!(v1::users::create::handler)))
        .routes(routes!(v1::users::get::handler))
        .routes(leader(routes!(v1::users::patch::handler, v1::users::delete::handler)))
        .routes(leader(routes!(v1::nodes::list::handler)))
        .routes(leader(routes!(v1::nodes::get::handler, v1::nodes::patch::handler, v1::nodes::delete::handler)))
        .routes(leader(routes!(v1::nodes::stop_unlisted::handler)))
        .routes(routes!(v1::deployments::list::handler))
        .routes(leader(routes!(v1::deployments::create::handler)))
        .routes(leader(routes!(v1::deployments::explain_spec::handler)))
        .routes(routes!(v1::deployments::get::handler))
        .routes(leader(routes!(
            v1::deployments::replace::handler,
            v1::deployments::patch::handler,
            v1::deployments::delete::handler
        )))
        .routes(leader(routes!(v1::deployments::scale::handler)))
        .routes(leader(routes!(v1::deployments::stop::handler)))
        .routes(leader(routes!(v1::deployments::start::handler)))
        .routes(routes!(v1::deployments::history::handler))
        .routes(routes!(v1::deployments::replicas::handler))
        .routes(leader(routes!(v1::deployments::explain::handler)))
        .routes(leader(routes!(v1::deployments::logs::of_deployment)))
        .routes(leader(routes!(v1::deployments::logs::of_replica)))
        .routes(leader(routes!(v1::deployments::exec::handler)))
        .routes(leader(routes!(v1::deployments::decisions::handler)))
        .routes(leader(routes!(v1::deployments::traffic::handler)))
        .routes(leader(routes!(v1::routes::list::handler)))
        .routes(leader(routes!(v1::proxies::list::handler)))
        .routes(leader(routes!(v1::scaling::policies::list::handler, v1::scaling::policies::create::handler)))
        .routes(leader(routes!(
            v1::scaling::policies::get::handler,
            v1::scaling::policies::replace::handler,
            v1::scaling::policies::patch::handler,
            v1::scaling::policies::delete::handler
        )))
        .routes(routes!(v1::scaling::policies::versions::handler))
        .routes(leader(routes!(v1::scaling::policies::evaluate::handler)))
        .routes(routes!(v1::scaling::policies::schedule::handler))
        .routes(leader(routes!(v1::scaling::policies::decisions::handler)))
        .routes(leader(routes!(v1::scaling::policies::pause::handler, v1::scaling::policies::resume::handler)))
        .routes(leader(routes!(v1::scaling::history::handler)))
        .routes(leader(routes!(v1::scaling::backtest::handler)))
        .routes(leader(routes!(v1::metrics::latest::handler, v1::metrics::push::handler)))
        .routes(routes!(v1::audit::list::handler))
        .routes(leader(routes!(v1::events::watch::handler)))
        .routes(leader(routes!(seeds::login::handler)))
        .routes(leader(routes!(seeds::deploy::handler)))
        .routes(routes!(seeds::status::handler))
        .routes(leader(routes!(seeds::scale::handler)))
        .routes(routes!(seeds::list::handler))
        .routes(leader(routes!(seeds::delete::handler)))
        .routes(leader(routes!(seeds::delete::named)))
        .routes(leader(routes!(seeds::proxy_scaling::policy::handler, seeds::proxy_scaling::set_policy::handler)))
        .routes(leader(routes!(seeds::proxy_scaling::latest::handler, seeds::proxy_scaling::record::handler)))
        .routes(leader(routes!(seeds::proxy_scaling::evaluate::handler)))
        .routes(leader(routes!(seeds::proxy_scaling::execute::handler)))
        .routes(leader(routes!(seeds::proxy_scaling::complete::handler)))
        .routes(leader(routes!(seeds::proxy_scaling::events::handler)))
        .routes(leader(routes!(seeds::proxy_scaling::summary::handler)))
        .routes(routes!(probes::health::handler))
        .routes(routes!(probes::ready::handler))
        .routes(routes!(probes::metrics::handler))
}

/// Endpoints that only the leader answers: any other server passes their requests on.
fn leader((schemas, paths, methods): UtoipaMethodRouter<App>) -> UtoipaMethodRouter<App> {
    (schemas, paths, methods.route_layer(middleware::from_fn(by_leader)))
}

/// The router, with what is around every request.
pub(super) fn assemble(app: App) -> Router {
    let (router, description) = described().split_for_parts();
    router
        .merge(SwaggerUi::new("/docs").url("/api/v1/openapi.json", description))
        .fallback(nothing_here)
        .method_not_allowed_fallback(another_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn nothing_here(uri: axum::http::Uri) -> ApiError {
    let path = shown(uri.path());
    ApiError::new(ProblemKind::NotFound, format!("nothing is served at {path}: /docs shows what there is"))
}

async fn another_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    let path = shown(uri.path());
    let method = shown(method.as_str());
    ApiError::new(ProblemKind::MethodNotAllowed, format!("{path} does not know {method}: /docs shows what it does"))
}
