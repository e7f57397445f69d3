//! A replica that dies in the middle of a request, and one that is told to stop: nothing is done twice, nothing that can be
//! saved is lost.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use fogline_testbed::Load;
use rustix::process::Signal;
use serde_json::json;

use super::{Site, begin, end, printed};
use crate::harness::{PATIENCE, signal, wait_for};

const KILLS: usize = 4;
/// One order at a time on each.
const CONNECTIONS: usize = 6;

#[test]
fn a_replica_that_is_killed_costs_no_order_twice_and_no_question_its_answer() {
    let site = Site::start();
    let id = site.deploy("web", &json!({"replicas": 3}));
    let questions = Load::start(&site.plan("web", "/wait?ms=10"));
    let over = AtomicBool::new(false);
    let answers: BTreeMap<String, Option<u16>> = std::thread::scope(|scope| {
        let (site, over) = (&site, &over);
        let lanes: Vec<_> = (0..CONNECTIONS).map(|lane| scope.spawn(move || orders(site, lane, over))).collect();
        for kill in 0..KILLS {
            let replica = &site.live(&id)[kill % 3];
            let before = site.dev.replica_processes(replica);
            before.iter().for_each(|pid| signal(*pid, Signal::KILL));
            wait_for("three to be ready, one of them again", || {
                let again = site.dev.replica_processes(replica);
                let is_new = !again.is_empty() && again.iter().all(|pid| !before.contains(pid));
                (is_new && site.get(&id)["health"]["ready"] == 3).then_some(())
            });
        }
        over.store(true, Ordering::SeqCst);
        lanes.into_iter().flat_map(|lane| lane.join().expect("no panic")).collect()
    });
    let questions = questions.stop();
    assert!(questions.is_flawless() && questions.good() > 0, "a question may be asked again: {questions:#?}");

    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for line in printed(&site.dev.data) {
        let order = line.strip_prefix("POST /wait?ms=10&order=").and_then(|rest| rest.split(' ').next());
        *done.entry(order.unwrap_or_default().to_owned()).or_default() += 1;
    }
    done.remove("");
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    for (order, status) in &answers {
        match status {
            Some(200) => assert!(done.contains_key(order), "{order} was answered and never done"),
            Some(502) | None => {}
            Some(other) => panic!("{order} was answered with {other}"),
        }
    }
    let good = answers.values().filter(|status| **status == Some(200)).count();
    assert!(good > 0 && answers.len() - good <= KILLS * CONNECTIONS, "{good} of {}", answers.len());
    assert!(answers.values().all(Option::is_some), "the proxy answers for a replica that cannot: {answers:?}");
}

/// Orders, one after the other on a connection that stays; what each was answered.
fn orders(site: &Site, lane: usize, over: &AtomicBool) -> Vec<(String, Option<u16>)> {
    let mut answers = Vec::new();
    let mut connection: Option<BufReader<TcpStream>> = None;
    for number in 0.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let mut reader = connection.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(site.door).expect("the door is open");
            stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
            BufReader::new(stream)
        });
        let order = format!("{lane}-{number}");
        let head = format!("POST /wait?ms=10&order={order} HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nok");
        reader.get_mut().write_all(head.as_bytes()).expect("it is read");
        let answer = answer(&mut reader);
        connection = answer.is_some().then_some(reader);
        answers.push((order, answer));
    }
    answers
}

/// The status of the next answer; nothing where the connection ended before.
fn answer(reader: &mut BufReader<TcpStream>) -> Option<u16> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some(status)
}

#[test]
fn a_stop_ends_no_request_that_is_open() {
    let site = Site::start();
    let id = site.deploy("web", &json!({"replicas": 2}));
    let mut open: Vec<_> = (0..10).map(|_| begin(site.door, "GET /wait?ms=1500", "web")).collect();
    wait_for("all to be with a replica", || {
        let lines = printed(&site.dev.data);
        (lines.iter().filter(|line| line.starts_with("GET /wait?ms=1500")).count() == open.len()).then_some(())
    });
    site.call("POST", &format!("/api/v1/deployments/{id}/stop"), 202, &json!({}));
    for stream in &mut open {
        assert_eq!(end(stream), (200, "waited\n".to_owned()));
    }
    wait_for("it to be stopped", || site.live(&id).is_empty().then_some(()));
    let (status, body) = site.ask("web", "/");
    assert!(status == 503 && body.contains("does not serve"), "{status} {body}");
}
