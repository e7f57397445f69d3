//! Calls as any program makes them, and looks into the database that no API shows.

use std::process::Command;

use serde_json::Value;

use crate::harness::Dev;

/// One call: status and body.
pub fn call(dev: &Dev, method: &str, path: &str, token: &str, body: Option<&Value>) -> (u16, Value) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-X", method, "-w", "\n%{http_code}", "-H", &format!("Authorization: Bearer {token}")]);
    if let Some(body) = body {
        curl.args(["-d", &body.to_string()]);
    }
    let out = curl.arg(format!("{}{path}", dev.url)).output().expect("curl runs");
    assert!(out.status.success(), "{method} {path}: {}", String::from_utf8_lossy(&out.stderr));
    answer(&String::from_utf8(out.stdout).expect("UTF-8"))
}

/// Body and status as `curl -w '\n%{http_code}'` prints them.
pub fn answer(text: &str) -> (u16, Value) {
    let (body, status) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim()));
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    (status.trim().parse().expect("a status"), body)
}

/// What the sqlite3 program answers on the server's database.
pub fn sqlite(dev: &Dev, sql: &str) -> String {
    let database = dev.data.join("fogline.db");
    let out = Command::new("sqlite3").arg("-readonly").arg(database).arg(sql).output().expect("sqlite3 runs");
    assert!(out.status.success(), "{sql}\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8").trim_end().to_owned()
}
