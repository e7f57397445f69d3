//! Cron expressions in time zones.
//!
//! Decides at which instant a wall-clock time is. Where clocks spring forward, a time in the gap is the first instant
//! after it; where they fall back, a time that comes twice is its first. So each wall-clock time fires once. The zones
//! are those compiled into the program: the machine's own data and `TZ` are never read. Tests: below, and
//! `tests/it/scaling/time_zones.rs`.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp as Instant};

use crate::spec::FieldError;
use crate::time::Timestamp;

/// Wall-clock times that one search may pass over: two hours of seconds, the longest that clocks go back.
const MOST_STEPS: usize = 7_201;
/// No zone goes back by more than this.
const LONGEST_FOLD: SignedDuration = SignedDuration::from_hours(3);
const ACCEPTED: &str = "minute, hour, day of the month, month and day of the week, such as \"0 8 * * 1-5\"; or six \
                        fields, with seconds first";

/// A cron expression that was read, in its time zone.
#[derive(Clone, Debug)]
pub(crate) struct CronSchedule {
    cron: Cron,
    zone: TimeZone,
}

impl CronSchedule {
    /// Reads an expression of 5 fields, or of 6 with seconds first.
    pub(crate) fn read(expression: &str, zone: &str) -> Result<Self, FieldError> {
        let refused = |why: String| FieldError::new("cron_expression", why, ACCEPTED);
        let fields = expression.split_whitespace().count();
        if !(5..=6).contains(&fields) {
            return Err(refused(format!("{expression:?} has {fields} fields")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron =
            parser.parse(expression).map_err(|error| refused(format!("{expression:?} cannot be read: {error}")))?;
        let zone = TimeZoneDatabase::bundled().get(zone).map_err(|_| {
            let message = format!("{zone:?} is no time zone");
            FieldError::new(
                "timezone",
                message,
                "a name of the IANA time zone database, such as Europe/Budapest or UTC",
            )
        })?;
        let read = Self { cron, zone };
        // Any moment will do: an expression that fires at all fires within the years that are searched.
        if read.next_after(Timestamp::from_micros(1_767_225_600_000_000)).is_none() {
            return Err(refused(format!("{expression:?} never fires")));
        }
        Ok(read)
    }

    /// The first fire time after `now`.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = Instant::from_microsecond(now.as_micros()).ok()?;
        let mut civil = self.zone.to_datetime(now);
        for _ in 0..MOST_STEPS {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let at = self.resolve(civil)?;
            // In the second pass of an hour that comes twice, its wall-clock times have fired already.
            if at > now {
                return Some(Timestamp::from_micros(at.as_microsecond()));
            }
        }
        None
    }

    /// The last fire time at or before `now`.
    pub(crate) fn last_until(&self, now: Timestamp) -> Option<Timestamp> {
        let now = Instant::from_microsecond(now.as_micros()).ok()?;
        let earlier = now.checked_sub(LONGEST_FOLD).ok()?;
        let gone_back = self.zone.to_offset(earlier).seconds() - self.zone.to_offset(now).seconds();
        // After clocks went back, later wall-clock times may have fired before `now`.
        let ahead = SignedDuration::from_secs(i64::from(gone_back.max(0)));
        let mut civil = self.zone.to_datetime(now).checked_add(ahead).ok()?;
        let mut inclusive = true;
        for _ in 0..MOST_STEPS {
            civil = self.cron.find_previous_occurrence(&civil, inclusive).ok()?;
            inclusive = false;
            let at = self.resolve(civil)?;
            if at <= now {
                return Some(Timestamp::from_micros(at.as_microsecond()));
            }
        }
        None
    }

    /// The instant of a wall-clock time.
    fn resolve(&self, civil: DateTime) -> Option<Instant> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => ambiguous.unambiguous().ok(),
            AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
            AmbiguousOffset::Gap { .. } => {
                // Read with the offset after the gap, the time lies before it: the next transition is the gap.
                let before = ambiguous.earlier().ok()?;
                self.zone.following(before).next().map(|transition| transition.timestamp())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_what_would_do() {
        for (expression, zone, field, part) in [
            ("0 8 * *", "UTC", "cron_expression", "4 fields"),
            ("0 8 * * 1-5 2027 *", "UTC", "cron_expression", "7 fields"),
            ("61 8 * * *", "UTC", "cron_expression", "cannot be read"),
            ("0 0 30 2 *", "UTC", "cron_expression", "never fires"),
            ("0 8 * * *", "Europe/Budapset", "timezone", "no time zone"),
            ("0 8 * * *", "", "timezone", "no time zone"),
        ] {
            let error = CronSchedule::read(expression, zone).expect_err(expression);
            assert_eq!(error.field, field);
            assert!(error.message.contains(part), "{error}");
        }
    }
}
