//! A table that comes in parts, put together. Invariant: nothing of it is given out before its last part is there. Tests:
//! below.

use fogline_api::protocol::proxy::RoutesUpdate;

/// What has come so far of a table.
#[derive(Debug, Default)]
pub(super) struct Parts(Option<RoutesUpdate>);

impl Parts {
    /// Takes a part. Gives all of them as one, where this is the last.
    pub fn take(&mut self, part: RoutesUpdate) -> Option<RoutesUpdate> {
        let more = part.more;
        let mut all = match self.0.take() {
            None => part,
            Some(mut all) => {
                all.services.extend(part.services);
                all.removed.extend(part.removed);
                all
            }
        };
        all.more = more;
        if more {
            self.0 = Some(all);
            return None;
        }
        Some(all)
    }

    /// The rest will not come.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::service;
    use super::*;

    #[test]
    fn all_parts_are_one_table_when_the_last_is_there() {
        let (a, b, c) = (service(1, "a"), service(2, "b"), service(3, "c"));
        let mut parts = Parts::default();
        let part = |services, more| RoutesUpdate { services, more, ..RoutesUpdate::default() };
        assert_eq!(parts.take(RoutesUpdate { whole: true, ..part(vec![a.clone()], true) }), None);
        assert_eq!(parts.take(part(vec![b.clone()], true)), None);
        let removed = vec![c.deployment_id];
        let all = parts.take(RoutesUpdate { removed: removed.clone(), ..RoutesUpdate::default() });
        assert_eq!(all, Some(RoutesUpdate { whole: true, removed, ..part(vec![a.clone(), b], false) }));
        assert_eq!(parts.take(part(vec![a], true)), None);
        parts.forget();
        assert_eq!(parts.take(part(vec![c.clone()], false)), Some(part(vec![c], false)));
    }
}
