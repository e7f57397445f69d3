//! Schedules across both changes of the clocks, and fire times that were missed.

use fogline_core::scaling::decision::{Action, Event};
use fogline_core::scaling::inputs::Trigger;
use fogline_core::scaling::preview;
use fogline_core::time::Timestamp;

use super::stage::{Stage, policy, seconds, time};

/// The next fire times of an expression, as UTC without date's year and fractions: `03-29 01:00`.
fn fires(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let yaml = format!("schedules: [{{cron_expression: \"{cron}\", timezone: {zone}, desired_replicas: 2}}]\n");
    let shown = |at: Timestamp| at.to_string()[5..16].replace('T', " ");
    preview(&policy(1, &yaml), time(from), count).into_iter().map(|one| shown(one.at)).collect()
}

#[test]
fn budapest() {
    let at = |cron, from, count| fires(cron, "Europe/Budapest", from, count);
    assert_eq!(at("0 8 * * 1-5", "2026-03-26T12:00:00Z", 3), ["03-27 07:00", "03-30 06:00", "03-31 06:00"]);
    // There is no 02:30 on the 29th: the first instant after the gap.
    assert_eq!(at("30 2 * * *", "2026-03-27T12:00:00Z", 3), ["03-28 01:30", "03-29 01:00", "03-30 00:30"]);
    // 02:30 comes twice on the 25th of October: once.
    assert_eq!(at("30 2 * * *", "2026-10-23T12:00:00Z", 3), ["10-24 00:30", "10-25 00:30", "10-26 01:30"]);
    // All of the half hours in the gap are one instant.
    assert_eq!(at("*/30 * * * *", "2026-03-29T00:00:00Z", 3), ["03-29 00:30", "03-29 01:00", "03-29 01:30"]);
    // In the hour that comes twice each time fires in the first pass.
    assert_eq!(at("*/30 * * * *", "2026-10-24T23:45:00Z", 3), ["10-25 00:00", "10-25 00:30", "10-25 02:00"]);
    // From within the second pass.
    assert_eq!(at("30 2 * * *", "2026-10-25T01:10:00Z", 1), ["10-26 01:30"]);
}

#[test]
fn new_york() {
    let at = |cron, from, count| fires(cron, "America/New_York", from, count);
    assert_eq!(at("30 2 * * *", "2026-03-07T00:00:00Z", 3), ["03-07 07:30", "03-08 07:00", "03-09 06:30"]);
    assert_eq!(at("30 1 * * *", "2026-10-31T00:00:00Z", 3), ["10-31 05:30", "11-01 05:30", "11-02 06:30"]);
    assert_eq!(at("0 9 * * 1", "2026-10-30T00:00:00Z", 2), ["11-02 14:00", "11-09 14:00"]);
}

#[test]
fn kolkata_never_changes_and_is_half_an_hour_off() {
    let at = |from| fires("0 8 * * *", "Asia/Kolkata", from, 2);
    assert_eq!(at("2026-03-28T12:00:00Z"), ["03-29 02:30", "03-30 02:30"]);
    assert_eq!(at("2026-10-24T12:00:00Z"), ["10-25 02:30", "10-26 02:30"]);
}

#[test]
fn six_fields_begin_with_seconds() {
    assert_eq!(fires("30 0 12 * * *", "UTC", "2026-01-28T12:00:00Z", 1), ["01-28 12:00"]);
    assert_eq!(fires("0 12 * * *", "UTC", "2026-01-28T12:00:00Z", 1), ["01-29 12:00"], "after, not at");
}

#[test]
fn a_window_in_the_hour_that_comes_twice_is_as_long_as_it_says() {
    let yaml = "schedules: [{cron_expression: \"30 2 * * *\", timezone: Europe/Budapest, desired_replicas: 4, duration: 1h}]\n";
    for (at, replicas) in [
        ("2026-10-25T00:29:59Z", 1),
        ("2026-10-25T00:30:00Z", 4),
        ("2026-10-25T01:10:00Z", 4),
        ("2026-10-25T01:29:59Z", 4),
        ("2026-10-25T01:30:00Z", 1),
    ] {
        let mut stage = Stage::new(1, yaml);
        stage.now = time(at);
        assert_eq!(stage.evaluate().replicas, replicas, "{at}");
    }
}

#[test]
fn a_preview_shows_windows_opening_and_closing() {
    let yaml = "schedules:\n  - {cron_expression: \"0 8 * * *\", desired_replicas: 4, duration: 2h}\n  - {cron_expression: \"0 9 * * *\", desired_replicas: 3}\n";
    let shown: Vec<String> = preview(&policy(1, yaml), time("2026-01-28T09:30:00Z"), 4)
        .iter()
        .map(|one| format!("{} {:?} {}", &one.at.to_string()[11..16], one.kind, one.desired_replicas))
        .collect();
    assert_eq!(shown, ["10:00 Close 4", "08:00 Open 4", "09:00 Set 3", "10:00 Close 4"]);
}

fn down_from(stopped: &str, started: &str, yaml: &str) -> Stage {
    let mut stage = Stage::new(2, yaml);
    stage.now = time(stopped);
    assert_eq!(stage.evaluate().action, Action::Hold);
    stage.now = time(started);
    stage.restart();
    stage
}

const AT_EIGHT: &str =
    "schedules: [{cron_expression: \"0 8 * * *\", timezone: Europe/Budapest, desired_replicas: 5}]\n";

#[test]
fn a_time_that_was_missed_by_less_than_an_hour_is_caught_up_once() {
    let mut stage = down_from("2026-01-28T06:50:00Z", "2026-01-28T07:59:59Z", AT_EIGHT);
    let decision = stage.evaluate();
    assert_eq!((decision.replicas, decision.trigger), (5, Trigger::Schedule));
    assert!(decision.reason.contains("caught up for 2026-01-28T07:00:00Z"), "{}", decision.reason);
    stage.replicas(2);
    assert_eq!(stage.after(seconds(15)).action, Action::Hold, "once");
}

#[test]
fn a_time_that_was_missed_by_an_hour_is_told_and_left() {
    let mut stage = down_from("2026-01-28T06:50:00Z", "2026-01-28T08:00:00Z", AT_EIGHT);
    let decision = stage.evaluate();
    assert_eq!(decision.action, Action::Hold);
    assert!(matches!(decision.events[..], [Event::ScheduleMissed { .. }]), "{:?}", decision.events);
}

#[test]
fn of_several_missed_times_the_last_counts() {
    let yaml = AT_EIGHT.replace("0 8", "*/10 *");
    let mut stage = down_from("2026-01-28T06:50:00Z", "2026-01-28T09:34:00Z", &yaml);
    let decision = stage.evaluate();
    assert!(decision.reason.contains("caught up for 2026-01-28T09:30:00Z"), "{}", decision.reason);
    assert!(decision.events.is_empty());
}

#[test]
fn a_gap_of_the_clocks_that_was_slept_through_is_caught_up_as_well() {
    let yaml = AT_EIGHT.replace("0 8", "30 2");
    let mut stage = down_from("2026-03-29T00:50:00Z", "2026-03-29T01:20:00Z", &yaml);
    assert_eq!(stage.evaluate().replicas, 5);
}

#[test]
fn times_before_the_policy_was_there_were_not_missed() {
    let mut stage = Stage::new(2, AT_EIGHT);
    stage.now = time("2026-01-28T07:10:00Z");
    let decision = stage.evaluate();
    assert_eq!((decision.action, decision.events.len()), (Action::Hold, 0));
}
