//! Requests around the moment in which a deployment falls asleep: each is answered, by the replica that was there or by the
//! next one. Ten thousand of these, without processes, are in the proxy's own tests.

use std::time::Duration;

use serde_json::json;

use super::Site;

const DEPLOYMENTS: u64 = 20;
/// As the policy has it, and how far apart the deployments' requests are: a look at what is idle comes each second.
const IDLE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(120);

#[test]
fn a_request_in_the_moment_of_falling_asleep_is_answered() {
    let site = Site::start();
    let name = |number: u64| format!("app-{number}");
    let last: Vec<String> = (0..DEPLOYMENTS)
        .map(|number| {
            let id = site.deploy(&name(number), &json!({"replicas": 1}));
            site.let_sleep(&name(number));
            id
        })
        .collect();
    std::thread::scope(|scope| {
        for number in 0..DEPLOYMENTS {
            let (site, name) = (&site, name(number));
            scope.spawn(move || {
                assert_eq!(site.ask(&name, "/").0, 200, "{name}");
                // Not to wait for something: this is the moment that is looked for, a little later for each.
                std::thread::sleep(IDLE + STEP * u32::try_from(number).expect("few"));
                let (status, body) = site.ask(&name, "/");
                assert_eq!(status, 200, "{name}: {body}");
            });
        }
    });
    // One that certainly sleeps.
    let (id, name) = (&last[0], name(0));
    site.until_asleep(id);
    let (status, body) = site.ask(&name, "/");
    assert!(status == 200 && body.contains(&site.live(id)[0]), "{status} {body}");
}
