//! What both backends say in the same words but for a function that they call otherwise.

/// Takes rows of 10 s into those that are there. Gets the values, and what the larger of two numbers is called.
macro_rules! take_in {
    ($values:literal, $larger:literal) => {
        concat!(
            "INSERT INTO sample_fine AS old (at, series, rest_count, rest_sum, rest_max, last_at, last_value) ",
            $values,
            " ON CONFLICT (at, series) DO UPDATE SET \
                rest_count = old.rest_count + excluded.rest_count \
                    + CASE WHEN excluded.last_at = old.last_at THEN 0 ELSE 1 END, \
                rest_sum = old.rest_sum + excluded.rest_sum + CASE WHEN excluded.last_at > old.last_at \
                    THEN old.last_value WHEN excluded.last_at < old.last_at THEN excluded.last_value ELSE 0 END, \
                rest_max = ",
            $larger,
            "(old.rest_max, excluded.rest_max, CASE WHEN excluded.last_at > old.last_at THEN old.last_value \
                    WHEN excluded.last_at < old.last_at THEN excluded.last_value ELSE old.rest_max END), \
                last_at = ",
            $larger,
            "(old.last_at, excluded.last_at), \
                last_value = CASE WHEN excluded.last_at >= old.last_at THEN excluded.last_value ELSE old.last_value END"
        )
    };
}

/// Takes minutes into those that are there. Gets where they come from, and what the larger of two numbers is called.
macro_rules! take_minutes_in {
    ($from:literal, $larger:literal) => {
        concat!(
            "INSERT INTO sample_coarse AS old (at, series, count, sum, max) ",
            $from,
            " ON CONFLICT (at, series) DO UPDATE SET count = old.count + excluded.count, \
                sum = old.sum + excluded.sum, max = ",
            $larger,
            "(old.max, excluded.max)"
        )
    };
}

/// Where rows begin and end; NULL where there are none. An index answers each.
pub(super) const ENDS: &str = "SELECT (SELECT min(at) FROM sample_fine), (SELECT max(at) FROM sample_fine), \
    (SELECT min(at) FROM sample_coarse), (SELECT max(at) FROM sample_coarse)";

pub(super) use {take_in, take_minutes_in};
