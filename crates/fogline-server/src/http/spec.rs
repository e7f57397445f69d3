//! The API's description (OpenAPI 3.1), made from the endpoints themselves.
//!
//! Invariant: deterministic, so that the committed file differs only when the API does.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Description, SecurityRequirement};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Fogline",
        description = "Runs, scales and routes services across machines that a team owns.\n\nErrors are problem details \
                       (RFC 9457) with a stable `type`. Lists are paged by `cursor`. Changes take an `Idempotency-Key`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "auth", description = "Logging in and out"),
        (name = "deployments", description = "Services: what was asked for, and how far it is true"),
        (name = "scaling", description = "Policies that set the number of replicas, their decisions, and metrics"),
        (name = "routes", description = "Ways in to services, and the proxies that they lead through"),
        (name = "nodes", description = "Machines that run replicas"),
        (name = "users", description = "For administrators"),
        (name = "audit", description = "For administrators"),
        (name = "events", description = "Changes as they happen"),
        (name = "seeds", description = "The paths of the first documents, over the same functions"),
        (name = "proxy scaling", description = "The proxy document's view of the same policies, decisions and metrics"),
        (name = "probes", description = "For machines that watch this one"),
    ),
    modifiers(&Bearer),
)]
pub(super) struct Base;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_with(Components::new);
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.bearer_format = Some("JWT".to_owned());
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        description.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    }
}

/// The description of everything that is served.
#[must_use]
pub fn openapi() -> Description {
    super::routes::described().into_openapi()
}

/// The description as the committed file has it: indented, with a line end.
///
/// # Panics
/// Never: the description is plain data.
#[must_use]
pub fn openapi_json() -> String {
    let mut json = openapi().to_pretty_json().expect("plain data is JSON");
    json.push('\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_the_same_each_time() {
        assert_eq!(openapi_json(), openapi_json());
    }

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let json: serde_json::Value = serde_json::from_str(&openapi_json()).expect("JSON");
        let paths = json["paths"].as_object().expect("paths");
        let operations = paths.values().flat_map(|path| path.as_object().expect("methods").values());
        let mut names: Vec<&str> = operations.map(|o| o["operationId"].as_str().expect("a name")).collect();
        let all = names.len();
        assert!(all > 30, "{all}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
