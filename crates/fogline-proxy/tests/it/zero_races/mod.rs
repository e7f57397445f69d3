//! A request against the decision to sleep, thousands of times: none is lost, none is answered with an error, and none is
//! done twice.
//!
//! The proxy is the real one, a front with its workers on real sockets, and so is the cluster that decides. What stands in
//! for the rest is in [`site`]: above all, replicas are sockets of the test, which answer until the cluster says that they
//! may be stopped, and are cut off at that moment with whatever is open. The idle period is taken to be over at once, so
//! that nothing but the last look of the writer and the draining is between a request and its loss. All requests are POSTs,
//! which the proxy never repeats. What is chosen follows from the seed; what the machine makes of it does not.

mod site;

use bytes::Bytes;
use fogline_core::command::{Command, Request};
use fogline_core::id::DeploymentId;
use fogline_sim::Rng;
use http_body_util::Full;

use crate::front::stage::Client;
use site::{Site, dawdle};

/// Deployments that are raced for side by side.
const DEPLOYMENTS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_to_a_deployment_that_falls_asleep() {
    races(1, 10_000).await;
}

/// `make soak` runs this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: make soak"]
async fn no_request_is_lost_to_a_deployment_that_falls_asleep_many_times() {
    for seed in 2..=6 {
        races(seed, 10_000).await;
    }
}

/// How the races of one deployment ended.
#[derive(Clone, Copy, Default, Debug)]
struct Ended {
    asked: usize,
    asleep: usize,
    stayed_awake: usize,
}

async fn races(seed: u64, races: usize) {
    let mut rng = Rng::new(seed);
    let site = Site::open(&mut rng).await;
    let racing: Vec<_> = (0..DEPLOYMENTS)
        .map(|number| {
            let id = site.deploy(&format!("app-{number}"), number % 2 + 1);
            tokio::spawn(Racer::new(&site, id, number, Rng::new(rng.bits())).run(races / DEPLOYMENTS))
        })
        .collect();
    let mut all = Ended::default();
    for one in racing {
        let Ended { asked, asleep, stayed_awake } = one.await.expect("every request was answered");
        all.asked += asked;
        all.asleep += asleep;
        all.stayed_awake += stayed_awake;
    }
    assert!(all.asleep > 0 && all.stayed_awake > 0, "each side wins some: {all:?}");
    assert_eq!(site.received(), all.asked, "each request was done once: {all:?}");
}

/// Whoever asks for one deployment, and whoever has it sleep.
struct Racer {
    site: std::sync::Arc<Site>,
    id: DeploymentId,
    host: String,
    rng: Rng,
}

impl Racer {
    fn new(site: &std::sync::Arc<Site>, id: DeploymentId, number: usize, rng: Rng) -> Self {
        Self { site: std::sync::Arc::clone(site), id, host: format!("app-{number}.test"), rng }
    }

    async fn run(mut self, races: usize) -> Ended {
        let mut first = Client::of(self.site.address).await;
        let mut second = Client::of(self.site.address).await;
        let mut ended = Ended::default();
        self.site.until_known(self.id).await;
        for _ in 0..races {
            let decided = loop {
                if self.site.is_asleep(self.id) {
                    ask(&mut first, &self.host).await;
                    ended.asked += 1;
                }
                if let Some(decided) = self.site.found_idle(self.id) {
                    break decided;
                }
                dawdle(&mut self.rng, 1).await;
            };
            let mut rngs = [0; 3].map(|_| Rng::new(self.rng.bits()));
            let [of_writer, of_first, of_second] = &mut rngs;
            let two = self.rng.percent(30);
            let (sleeps, (), ()) = tokio::join!(
                async {
                    dawdle(of_writer, 3).await;
                    self.site.submit(&Request::system(Command::Decide(Box::new(decided)))).is_ok()
                },
                async {
                    dawdle(of_first, 3).await;
                    ask(&mut first, &self.host).await;
                },
                async {
                    if two {
                        dawdle(of_second, 6).await;
                        ask(&mut second, &self.host).await;
                    }
                },
            );
            ended.asked += 1 + usize::from(two);
            *if sleeps { &mut ended.asleep } else { &mut ended.stayed_awake } += 1;
        }
        ended
    }
}

async fn ask(client: &mut Client, host: &str) {
    let order = hyper::Request::post("/").header("host", host).body(Full::new(Bytes::from_static(b"order")));
    let got = client.send(order.expect("a request")).await;
    assert_eq!((got.status, got.body.as_str()), (200, "done"), "for {host}");
}
