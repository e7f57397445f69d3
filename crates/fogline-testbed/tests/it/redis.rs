//! Redis: started, killed, restarted, closed.

use fogline_testbed::Redis;

#[test]
fn it_answers_and_is_empty_after_a_restart() {
    let redis = Redis::start();
    assert_eq!(redis.run(&["RPUSH", "queue", "a", "b"]), "2");
    assert_eq!(redis.run(&["LLEN", "queue"]), "2");
    redis.kill();
    assert!(std::net::TcpStream::connect(redis.addr()).is_err(), "nobody listens after a kill");
    redis.restart();
    assert_eq!(redis.run(&["EXISTS", "queue"]), "0");
    let (address, directory) = (redis.addr(), redis.run(&["CONFIG", "GET", "dir"]).replace("dir\n", ""));
    assert!(std::path::Path::new(&directory).is_dir(), "{directory}");
    drop(redis);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens after a drop");
    assert!(!std::path::Path::new(&directory).exists(), "{directory} is left");
}

#[test]
fn a_closed_one_answers_by_tls_to_who_knows_the_password() {
    let redis = Redis::start_closed();
    assert!(redis.url().starts_with("rediss://127.0.0.1:"));
    assert_eq!(redis.run(&["SET", "a", "1"]), "OK");
}
