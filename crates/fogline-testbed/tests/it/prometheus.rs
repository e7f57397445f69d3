//! Prometheus: it scrapes, answers, keeps what it knew over a kill, and lets in only whom it should.

use fogline_testbed::{Exporter, Prometheus};

#[test]
fn what_was_scraped_can_be_asked_for_after_a_kill() {
    let exporter = Exporter::start("queue_length 7");
    let prometheus = Prometheus::start(&[exporter.addr()]);
    prometheus.wait_for("queue_length == 7");
    exporter.set("queue_length 9");
    prometheus.wait_for("queue_length == 9");
    drop(exporter);
    prometheus.wait_for("up == 0");
    prometheus.kill();
    assert!(std::net::TcpStream::connect(prometheus.addr()).is_err(), "nobody listens after a kill");
    prometheus.restart();
    prometheus.wait_for("max_over_time(queue_length[1h]) == 9");
    let address = prometheus.addr();
    drop(prometheus);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens after a drop");
}

#[test]
fn a_closed_one_answers_to_its_user_by_tls() {
    let prometheus = Prometheus::start_closed(&[]);
    assert!(prometheus.url().starts_with("https://127.0.0.1:"));
    assert!(prometheus.query("vector(1)").contains("\"value\":"));
}
