//! Which service a request is for: by its host, then by the longest path that fits.
//!
//! The most specific host alone decides: where `shop.example.com` has routes, `*.example.com` is not asked, even if none of
//! them fits. Built whole and swapped; must never change. Tests: below.

mod host;
mod path;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use host::normalised;

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Found<'a, T> {
    pub target: &'a Arc<T>,
    /// What is cut from the beginning of the path.
    pub strip: Option<&'a str>,
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoRoute {
    /// Nobody has claimed its host and path.
    Unknown,
    /// Its path leads to one route as it is spelt, and to another as it may be read.
    Ambiguous,
}

#[derive(Debug)]
struct Entry<T> {
    path: String,
    strip: bool,
    target: Arc<T>,
}

/// The entries of one host, longest path first.
#[derive(Debug)]
struct Paths<T>(Vec<Entry<T>>);

/// All routes by host and path.
#[derive(Debug)]
pub(crate) struct Router<T> {
    exact: HashMap<String, Paths<T>>,
    /// By what follows the star, with its dot.
    wildcard: HashMap<String, Paths<T>>,
    any: Paths<T>,
}

/// A claim: host, path, whether the path is cut off, and for whom.
pub(crate) type Claim<'a, T> = (Option<&'a str>, &'a str, bool, &'a Arc<T>);

impl<T> Router<T> {
    /// A router of these claims. Of two equal ones, the first counts.
    pub fn new<'a>(claims: impl Iterator<Item = Claim<'a, T>>) -> Self
    where
        T: 'a,
    {
        let mut router = Self { exact: HashMap::new(), wildcard: HashMap::new(), any: Paths(Vec::new()) };
        for (host, path, strip, target) in claims {
            let host = host.map(str::to_ascii_lowercase);
            let paths = match host.as_deref() {
                None => &mut router.any,
                Some(host) => match host.strip_prefix('*') {
                    Some(suffix) => router.wildcard.entry(suffix.to_owned()).or_insert_with(|| Paths(Vec::new())),
                    None => router.exact.entry(host.to_owned()).or_insert_with(|| Paths(Vec::new())),
                },
            };
            paths.0.push(Entry { path: path.to_owned(), strip, target: Arc::clone(target) });
        }
        let Self { exact, wildcard, any } = &mut router;
        for paths in exact.values_mut().chain(wildcard.values_mut()).chain([any]) {
            // Stable, so that equal ones stay in their order.
            paths.0.sort_by_key(|entry| std::cmp::Reverse(entry.path.len()));
        }
        router
    }

    /// The route of a request to this host, normalised, and this path, as it was sent and without its query.
    pub fn find(&self, host: &str, path: &str) -> Result<Found<'_, T>, NoRoute> {
        let paths = self.paths_of(host);
        let found = paths.find(path).ok_or(NoRoute::Unknown)?;
        let only_one_for_all = paths.0.len() == 1 && found.path == "/";
        if !only_one_for_all && path::may_be_read_otherwise(path) {
            let plain = paths.find(&path::plain(path));
            if !plain.is_some_and(|plain| std::ptr::eq(plain, found)) {
                return Err(NoRoute::Ambiguous);
            }
        }
        Ok(Found { target: &found.target, strip: found.strip.then_some(found.path.as_str()) })
    }

    fn paths_of(&self, host: &str) -> &Paths<T> {
        if let Some(paths) = self.exact.get(host) {
            return paths;
        }
        if !self.wildcard.is_empty() {
            // From the first dot on, so that the longest comes first.
            for (at, _) in host.match_indices('.') {
                if at > 0
                    && let Some(paths) = self.wildcard.get(&host[at..])
                {
                    return paths;
                }
            }
        }
        &self.any
    }
}

impl<T> Paths<T> {
    fn find(&self, path: &str) -> Option<&Entry<T>> {
        self.0.iter().find(|entry| path::begins_with(path, &entry.path) || path == "*" && entry.path == "/")
    }
}

/// The path and query without the beginning `prefix`; never empty.
pub(crate) fn stripped(path_and_query: &str, prefix: &str) -> String {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path_and_query.strip_prefix(prefix).unwrap_or(path_and_query);
    if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(claims: &[(Option<&str>, &str, &str)], host: &str, path: &str) -> Result<String, NoRoute> {
        let targets: Vec<_> = claims.iter().map(|claim| Arc::new(claim.2.to_owned())).collect();
        let claims = claims.iter().zip(&targets).map(|(claim, target)| (claim.0, claim.1, false, target));
        let router = Router::new(claims);
        router.find(host, path).map(|found| found.target.as_str().to_owned())
    }

    #[test]
    fn the_most_specific_host_and_then_the_longest_path_count() {
        let claims = [
            (None, "/", "any"),
            (Some("*.example.com"), "/", "star"),
            (Some("*.eu.example.com"), "/", "eu"),
            (Some("Shop.example.com"), "/api", "api"),
            (Some("shop.example.com"), "/api/v2", "v2"),
        ];
        for (host, path, target) in [
            ("other.org", "/x", Ok("any")),
            ("example.com", "/x", Ok("any")),
            ("a.example.com", "/x", Ok("star")),
            ("a.b.example.com", "/x", Ok("star")),
            ("a.eu.example.com", "/x", Ok("eu")),
            ("shop.example.com", "/api/v1", Ok("api")),
            ("shop.example.com", "/api/v2", Ok("v2")),
            ("shop.example.com", "/api/v22", Ok("api")),
            ("shop.example.com", "/", Err(NoRoute::Unknown)),
        ] {
            assert_eq!(found(&claims, host, path), target.map(str::to_owned), "{host}{path}");
        }
    }

    #[test]
    fn a_spelling_that_may_lead_elsewhere_is_refused() {
        let claims = [(Some("a"), "/", "all"), (Some("a"), "/admin", "admin")];
        for bad in ["/x/../admin", "/%61dmin", "//admin", "/admin/..", "/admin%2fx", "/x/..;/admin", "/.%2e/admin"] {
            assert_eq!(found(&claims, "a", bad), Err(NoRoute::Ambiguous), "{bad}");
        }
        for (good, target) in
            [("/@x%2fy", "all"), ("/admin/a%2fb", "admin"), ("/admin/./x", "admin"), ("/a;v=1", "all")]
        {
            assert_eq!(found(&claims, "a", good), Ok(target.to_owned()), "{good}");
        }
        let one = [(Some("a"), "/", "all")];
        assert_eq!(found(&one, "a", "/x/../y"), Ok("all".to_owned()), "there is nowhere else to get to");
    }

    #[test]
    fn stripping_leaves_a_path() {
        for (path, prefix, left) in [
            ("/api", "/api", "/"),
            ("/api/x?y=/api", "/api", "/x?y=/api"),
            ("/api?y", "/api", "/?y"),
            ("/x", "/", "/x"),
        ] {
            assert_eq!(stripped(path, prefix), left);
        }
    }

    /// How closely a claim names a host; nothing where it does not.
    fn closeness(claim: Option<&str>, host: &str) -> Option<usize> {
        match claim.map(str::to_ascii_lowercase) {
            None => Some(0),
            Some(claim) => match claim.strip_prefix('*') {
                Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len()),
                None => (claim == host).then_some(usize::MAX),
            },
        }
    }

    fn lies_below(path: &str, prefix: &str) -> bool {
        let segments = |path: &str| path.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
        prefix == "/" || segments(path).starts_with(&segments(prefix.strip_suffix('/').unwrap_or(prefix)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_request_gets_to_who_has_claimed_its_host_and_path_most_closely_and_to_nobody_else(
            claims in proptest::collection::vec(("(\\*\\.)?([abA]\\.){0,2}[ab]|", "/|(/[xy]{1,2}){1,3}/?"), 0..8),
            asked in "([abA]\\.){0,3}[ab]\\.?(:80)?|(?s).{0,12}",
            path in "/(/?[xy]{0,2}|/\\.\\.?|/%78|;x|%2f|\\\\){0,5}|\\*",
        ) {
            let claims: Vec<(Option<String>, String, Arc<usize>)> = claims
                .into_iter()
                .enumerate()
                .map(|(number, (host, path))| (Some(host).filter(|host| !host.is_empty()), path, Arc::new(number)))
                .collect();
            let router = Router::new(claims.iter().map(|claim| (claim.0.as_deref(), claim.1.as_str(), true, &claim.2)));
            let Some(host) = normalised(&asked) else { return Ok(()) };
            prop_assert_eq!(normalised(&host), Some(host.clone()), "it is in its last form");
            let fits = |claim: &(Option<String>, String, Arc<usize>)| {
                let host = closeness(claim.0.as_deref(), &host)?;
                let prefix = claim.1.strip_suffix('/').unwrap_or(&claim.1);
                Some((host, prefix.len(), path == "*" && claim.1 == "/" || path.starts_with('/') && lies_below(&path, &claim.1)))
            };
            let Ok(found) = router.find(&host, &path) else { return Ok(()) };
            let by = fits(&claims[**found.target]);
            prop_assert!(by.is_some_and(|(_, _, below)| below), "{asked}{path} -> {:?}", claims[**found.target]);
            let (host_of_it, path_of_it, _) = by.unwrap();
            for other in claims.iter().filter_map(fits) {
                prop_assert!(other.0 <= host_of_it, "a closer host counts");
                prop_assert!(other.0 < host_of_it || !other.2 || other.1 <= path_of_it, "a longer path counts");
            }
            prop_assert!(stripped(&path, found.strip.unwrap()).starts_with('/'));
        }
    }
}
