//! `GET /api/v1/routes`: what `fogline route list` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Page, RouteResponse};
use fogline_core::Cluster;
use fogline_core::id::{DeploymentId, UserId};
use fogline_core::spec::RouteSpec;
use fogline_core::traffic::{Service, UpstreamState};

use crate::http::app::App;
use crate::http::extract::{Caller, Paging, Params};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;
use crate::leadership::Term;

/// The ways in to the caller's deployments, with what is behind them; everybody's, and where proxies listen, for an
/// administrator.
#[utoipa::path(
    get, path = "/api/v1/routes", operation_id = "listRoutes", tag = "routes",
    params(Paging),
    responses((status = 200, description = "A page of routes", body = Page<RouteResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<RouteResponse>>> {
    let request = paging.request()?;
    let (from, limit) = (Place::read(request.cursor.as_deref())?, request.limit as usize);
    let term = app.term()?;
    let sees = caller.sees();
    let found = app.shared.writer.view(move |cluster, _| page(cluster, sees, from, limit + 1));
    let mut found = found.await?;
    let next = (found.len() > limit).then(|| found.pop()).flatten().map(|(place, _)| place.to_string());
    // Where machines listen is for those who run them; everybody else has got the host to be asked for.
    let listeners = if caller.is_admin() { Listeners::of(&term) } else { Listeners::default() };
    let shown = |(place, service): (Place, Arc<Service>)| {
        let route = service.routes.get(place.index)?;
        Some(response(&service, route, &listeners, term.traffic.rate(service.deployment_id, app.shared.clock.now())))
    };
    Ok(Json(Page { items: found.into_iter().filter_map(shown).collect(), next }))
}

/// The routes from there on, in the order of their places: what is behind them is looked up for those that are shown only,
/// because the writer waits for it.
fn page(cluster: &Cluster, sees: Option<UserId>, from: Place, most: usize) -> Vec<(Place, Arc<Service>)> {
    let places = cluster.deployments().map(|deployment| &deployment.record);
    let places = places.filter(|record| sees.is_none_or(|user| user == record.user_id));
    let places =
        places.flat_map(|record| (0..record.spec.routes.len()).map(|index| Place { deployment: record.id, index }));
    let places: BTreeSet<Place> = places.filter(|place| *place >= from).collect();
    let mut services: BTreeMap<DeploymentId, Option<Arc<Service>>> = BTreeMap::new();
    let found = places.into_iter().filter_map(|place| {
        let known = services.entry(place.deployment);
        let service = known.or_insert_with(|| cluster.service(place.deployment).map(Arc::new));
        Some((place, service.clone()?))
    });
    found.take(most).collect()
}

fn response(service: &Service, route: &RouteSpec, listeners: &Listeners, request_rate: Option<f64>) -> RouteResponse {
    let ready = service.upstreams.iter().filter(|upstream| upstream.state == UpstreamState::Ready).count();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    RouteResponse {
        host: route.host.clone(),
        path: route.tcp_port.is_none().then(|| route.path().to_owned()),
        strip_path: route.strip_path,
        tcp_port: route.tcp_port,
        deployment_id: service.deployment_id,
        deployment: service.name.to_string(),
        user_id: service.owner,
        asleep: service.asleep,
        trouble: service.trouble.as_deref().map(str::to_owned),
        upstreams_ready: count(ready),
        upstreams: count(service.upstreams.len()),
        request_rate,
        listeners: listeners.of_route(route),
    }
}

/// Where a page begins: a route of a deployment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    deployment: DeploymentId,
    index: usize,
}

impl Place {
    fn read(cursor: Option<&str>) -> ApiResult<Self> {
        let Some(cursor) = cursor else {
            return Ok(Self { deployment: DeploymentId::from_uuid(uuid::Uuid::nil()), index: 0 });
        };
        let read = || {
            let (deployment, index) = cursor.split_once('.')?;
            Some(Self { deployment: deployment.parse().ok()?, index: index.parse().ok()? })
        };
        read().ok_or_else(|| ApiError::field("cursor", "is none of this list", "`next` of the page before"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.deployment, self.index)
    }
}

/// Where all attached proxies listen.
#[derive(Default)]
struct Listeners {
    http: Vec<String>,
    hosts: Vec<String>,
}

impl Listeners {
    fn of(term: &Term) -> Self {
        let (mut http, mut hosts) = (Vec::new(), Vec::new());
        for proxy in term.proxies.all() {
            let greeting = &proxy.greeting;
            http.extend(greeting.http.iter().map(|address| format!("http://{address}")));
            http.extend(greeting.https.iter().map(|address| format!("https://{address}")));
            let addresses = greeting.http.iter().chain(&greeting.https);
            hosts.extend(addresses.filter_map(|address| Some(address.rsplit_once(':')?.0.to_owned())));
        }
        hosts.sort_unstable();
        hosts.dedup();
        Self { http, hosts }
    }

    fn of_route(&self, route: &RouteSpec) -> Vec<String> {
        match route.tcp_port {
            Some(port) => self.hosts.iter().map(|host| format!("tcp://{host}:{port}")).collect(),
            None => self.http.clone(),
        }
    }
}
