//! `GET /api/v1/proxies`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Page, ProxyResponse};

use crate::http::app::App;
use crate::http::extract::{Admin, Paging, Params};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Lists the proxies that are attached, by name.
#[utoipa::path(
    get, path = "/api/v1/proxies", operation_id = "listProxies", tag = "routes",
    params(Paging),
    responses((status = 200, description = "A page of proxies", body = Page<ProxyResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    _: Admin,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<ProxyResponse>>> {
    let request = paging.request()?;
    let term = app.term()?;
    let mut proxies = term.proxies.all();
    // A name that is gone is as good a place to go on as one that is there.
    proxies.retain(|proxy| request.cursor.as_ref().is_none_or(|from| proxy.greeting.name >= *from));
    let next = proxies.get(request.limit as usize).map(|proxy| proxy.greeting.name.clone());
    proxies.truncate(request.limit as usize);
    let items = proxies.iter().map(|proxy| {
        let (open, held) = term.traffic.open_and_held(proxy.number);
        ProxyResponse {
            name: proxy.greeting.name.clone(),
            version: proxy.greeting.version.clone(),
            http: proxy.greeting.http.clone(),
            https: proxy.greeting.https.clone(),
            attached_at: proxy.since,
            last_heard_at: proxy.heard(),
            open,
            held,
        }
    });
    Ok(Json(Page { items: items.collect(), next }))
}
