//! Lists in pages. A cursor holds the key of the last row that was given, never a position, so rows that come or go
//! between two pages neither repeat nor hide another.
//!
//! Must never let a cursor of one list be used on another: it names its list. Tests: below, and the paging tests of the
//! contract suite.

use crate::error::StoreError;

/// The most rows that one page gives.
pub const MAX_PAGE: u32 = 1_000;

/// Which page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// How many rows at most; taken as 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// The `next` of the page before; nothing for the first page.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// The first page of at most `limit` rows.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }

    /// The page after the one that ended with `cursor`.
    #[must_use]
    pub fn after(limit: u32, cursor: impl Into<String>) -> Self {
        Self { limit, cursor: Some(cursor.into()) }
    }

    /// The key to go on after, as text.
    pub(crate) fn key(&self, list: List) -> Result<Option<String>, StoreError> {
        self.cursor.as_deref().map(|cursor| list.decode(cursor)).transpose()
    }

    /// One row more than is given, to know whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit.clamp(1, MAX_PAGE)) + 1
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(100)
    }
}

/// Some rows of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub items: Vec<T>,
    /// Shown with the next request to go on; nothing when this was the last page. Opaque to callers.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of what was read with [`PageRequest::rows`].
    pub(crate) fn of(mut items: Vec<T>, request: &PageRequest, list: List, key: impl Fn(&T) -> String) -> Self {
        let limit = request.limit.clamp(1, MAX_PAGE) as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| list.encode(&key(last)));
        Self { items, next }
    }
}

/// The lists that there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum List {
    Users,
    Nodes,
    Deployments,
    Replicas,
    Revisions,
    History,
    Audit,
    Policies,
    PolicyVersions,
    Decisions,
}

impl List {
    const fn tag(self) -> &'static str {
        match self {
            Self::Users => "u",
            Self::Nodes => "n",
            Self::Deployments => "d",
            Self::Replicas => "r",
            Self::Revisions => "v",
            Self::History => "h",
            Self::Audit => "a",
            Self::Policies => "p",
            Self::PolicyVersions => "pv",
            Self::Decisions => "sd",
        }
    }

    /// Hexadecimal, so that a cursor needs no escaping in a URL whatever a name is made of.
    fn encode(self, key: &str) -> String {
        let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{}.{hex}", self.tag())
    }

    fn decode(self, cursor: &str) -> Result<String, StoreError> {
        let key = cursor.strip_prefix(self.tag()).and_then(|rest| rest.strip_prefix('.')).and_then(unhex);
        key.ok_or_else(|| StoreError::BadCursor { cursor: cursor.chars().take(64).collect() })
    }

    /// A key that has to be of a certain form, such as an id.
    pub(crate) fn parse<K: std::str::FromStr>(self, request: &PageRequest) -> Result<Option<K>, StoreError> {
        let Some(key) = request.key(self)? else { return Ok(None) };
        let bad = |_| StoreError::BadCursor {
            cursor: request.cursor.iter().flat_map(|text| text.chars()).take(64).collect(),
        };
        key.parse().map(Some).map_err(bad)
    }
}

fn unhex(hex: &str) -> Option<String> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = hex.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(pairs.map(byte).collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_its_own_inverse() {
        for key in ["", "node-01", "Zoë/β", "00000000-0000-7000-8000-000000000001"] {
            assert_eq!(List::Nodes.decode(&List::Nodes.encode(key)).expect("a cursor"), key);
        }
    }

    #[test]
    fn a_cursor_of_another_list_or_none_at_all_is_refused() {
        let users = List::Users.encode("admin");
        for cursor in [users.as_str(), "", "n", "n.6", "n.zz", "n.ff", "n.+1", "n.é", "' OR 1=1"] {
            assert!(matches!(List::Nodes.decode(cursor), Err(StoreError::BadCursor { .. })), "{cursor}");
        }
    }

    #[test]
    fn only_a_page_with_more_behind_it_has_a_next() {
        let request = PageRequest::first(2);
        assert_eq!(request.rows(), 3);
        let page = Page::of(vec![1, 2, 3], &request, List::History, ToString::to_string);
        assert_eq!((page.items, page.next), (vec![1, 2], Some(List::History.encode("2"))));
        assert_eq!(Page::of(vec![1, 2], &request, List::History, ToString::to_string).next, None);
    }
}
