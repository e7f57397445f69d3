//! Which certificate is shown to a client that asks for a name.
//!
//! The certificate that has this very name, else one with a wildcard for it, else the one called `default`, else the
//! self-made one: nobody is turned away here, because the answer to a name that is not served is the route's to give.
//! Invariant: a wildcard stands for one label. Tests: below.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::pair::Pair;

/// The pair that is shown where no other fits.
const DEFAULT: &str = "default";

/// All that can be shown.
#[derive(Debug)]
pub(super) struct Choice {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows the `*.`.
    by_wildcard: HashMap<String, Arc<CertifiedKey>>,
    otherwise: Arc<CertifiedKey>,
}

impl Choice {
    /// Of pairs by the names of their files, and what is shown where none fits. Of several for one name the first counts.
    pub fn new<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p Pair)>, self_made: &Pair) -> Self {
        let (mut by_name, mut by_wildcard) = (HashMap::new(), HashMap::new());
        let mut otherwise = Arc::clone(&self_made.key);
        for (file, pair) in pairs {
            if file == DEFAULT {
                otherwise = Arc::clone(&pair.key);
            }
            for name in &pair.names {
                let name = normal(name);
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut by_wildcard, rest.to_owned()),
                    None => (&mut by_name, name),
                };
                map.entry(name).or_insert_with(|| Arc::clone(&pair.key));
            }
        }
        Self { by_name, by_wildcard, otherwise }
    }

    /// For the name that a client asks for, if it does.
    pub fn choose(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = name.map(normal) else { return &self.otherwise };
        let wildcard = || self.by_wildcard.get(name.split_once('.')?.1);
        self.by_name.get(&name).or_else(wildcard).unwrap_or(&self.otherwise)
    }
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The choice of this moment. Handshakes read it without a lock.
#[derive(Debug)]
pub(super) struct Choices(pub ArcSwap<Choice>);

impl ResolvesServerCert for Choices {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.0.load().choose(hello.server_name())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pair::tests::pem;
    use super::*;

    fn pair(names: &[&str]) -> Pair {
        let (chain, key) = pem(names);
        Pair::read(chain.as_bytes(), key.as_bytes()).expect("a pair")
    }

    #[test]
    fn the_closest_name_counts_and_nobody_is_turned_away() {
        let [own, exact, wild, fallback] =
            [&["localhost"], &["shop.example.com"], &["*.Example.com"], &["other.example"]].map(|names| pair(names));
        let all = [("exact", &exact), ("wild", &wild)];
        let choice = Choice::new(all, &own);
        let with_default = Choice::new([("default", &fallback), all[0], all[1]], &own);
        let table = [
            (Some("shop.example.com"), &exact, &exact),
            (Some("SHOP.example.com."), &exact, &exact),
            (Some("blog.example.com"), &wild, &wild),
            (Some("a.b.example.com"), &own, &fallback),
            (Some("example.com"), &own, &fallback),
            (Some("com"), &own, &fallback),
            (Some("other.example"), &own, &fallback),
            (None, &own, &fallback),
        ];
        for (name, expected, expected_with_default) in table {
            assert!(Arc::ptr_eq(choice.choose(name), &expected.key), "{name:?}");
            assert!(Arc::ptr_eq(with_default.choose(name), &expected_with_default.key), "{name:?}");
        }
    }

    #[test]
    fn of_two_for_one_name_the_first_by_file_counts() {
        let [own, first, second] = [&["localhost"], &["a.example"], &["a.example"]].map(|names| pair(names));
        let choice = Choice::new([("a", &first), ("b", &second)], &own);
        assert!(Arc::ptr_eq(choice.choose(Some("a.example")), &first.key));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_certificate_is_only_chosen_for_a_name_that_it_has(name in "(?s).{0,40}|([aA*]\\.?){0,4}\\.?example\\.?") {
            static ALL: std::sync::LazyLock<[Pair; 2]> =
                std::sync::LazyLock::new(|| [pair(&["localhost"]), pair(&["a.example", "*.a.example"])]);
            let [own, given] = &*ALL;
            let choice = Choice::new([("given", given)], own);
            let plain = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
            let fits = plain == "a.example" || plain.strip_suffix(".a.example").is_some_and(|label| !label.contains('.'));
            prop_assert_eq!(Arc::ptr_eq(choice.choose(Some(&name)), &given.key), fits);
        }
    }
}
