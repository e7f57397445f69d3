//! The list of tables and columns is the schema's: a forgotten column would be a column that no backup holds.

use std::collections::BTreeSet;

use fogline_store::{Kind, TABLES};

use crate::backend::Backend;

/// Tables that no backup holds as such, with all of their columns. What a backup keeps of them is in its header
/// (`cluster_id`, `epoch`, `revision`, `fingerprint`); the rest is of whoever leads at the moment. Whoever adds a column
/// decides where it belongs.
const ELSEWHERE: [(&str, &[&str]); 3] = [
    ("cluster_keys", &["fingerprint", "singleton"]),
    (
        "leader",
        &[
            "agent_address",
            "cluster_id",
            "epoch",
            "holder",
            "http_address",
            "lease_ms",
            "renewed_at",
            "revision",
            "singleton",
        ],
    ),
    ("schema_migrations", &["checksum", "description", "execution_time", "installed_on", "success", "version"]),
];

/// Table, column, type, in the words of the database.
fn compare(found: Vec<Vec<String>>, fits: impl Fn(Kind, &str) -> bool) {
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for (table, columns) in ELSEWHERE {
        wanted.extend(columns.iter().map(|column| (table.to_owned(), (*column).to_owned())));
    }
    for table in TABLES {
        wanted.extend(table.columns.iter().map(|column| (table.name.to_owned(), column.name.to_owned())));
    }
    let there: BTreeSet<(String, String)> = found.iter().map(|line| (line[0].clone(), line[1].clone())).collect();
    let forgotten: Vec<_> = there.difference(&wanted).collect();
    assert!(forgotten.is_empty(), "add these to transfer/catalogue.rs, or to the header: {forgotten:?}");
    let gone: Vec<_> = wanted.difference(&there).collect();
    assert!(gone.is_empty(), "the schema has no such columns: {gone:?}");
    for table in TABLES {
        for column in table.columns {
            let line = found.iter().find(|line| line[0] == table.name && line[1] == column.name).expect("is there");
            assert!(
                fits(column.kind, &line[2]),
                "{}.{} is {:?}, and a {}",
                table.name,
                column.name,
                column.kind,
                line[2]
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_of_sqlite_is_in_the_catalogue() {
    let backend = Backend::sqlite().await;
    backend.open().await.close().await;
    let sql = "SELECT m.name, c.name, c.type FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'";
    let found = backend.sql(sql).await.expect("reads");
    compare(found, |kind, sql_type| match kind {
        Kind::Id | Kind::Text | Kind::Document => sql_type == "TEXT",
        Kind::Integer | Kind::Flag => sql_type == "INTEGER",
        Kind::Time => sql_type == "BIGINT",
        Kind::Float => sql_type == "FLOAT",
        Kind::Bytes => sql_type == "BLOB",
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_of_postgres_is_in_the_catalogue() {
    let backend = Backend::postgres().await;
    backend.open().await.close().await;
    let sql = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a \
        JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
        AND a.attnum > 0 AND NOT a.attisdropped";
    let mut found = backend.sql(sql).await.expect("reads");
    // Of the server that holds the rows, and so of no backup; SQLite has none.
    found.retain(|line| line[..2] != ["leader", "timeline"]);
    let enums = backend.sql("SELECT typname::text FROM pg_type WHERE typtype = 'e'").await.expect("reads").concat();
    compare(found, |kind, sql_type| match kind {
        Kind::Id => sql_type == "uuid",
        Kind::Text => sql_type == "text" || enums.iter().any(|name| name == sql_type),
        Kind::Document => sql_type == "jsonb",
        Kind::Integer => sql_type == "bigint",
        Kind::Flag => sql_type == "boolean",
        Kind::Time => sql_type == "timestamp with time zone",
        Kind::Float => sql_type == "double precision",
        Kind::Bytes => sql_type == "bytea",
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_column_says_which_migration_brought_it() {
    let backend = Backend::sqlite().await;
    let store = backend.open().await;
    let newest = store.migrations().await.expect("reads").len();
    for schema in (3..=newest).rev() {
        let schema = i64::try_from(schema).expect("small");
        for table in TABLES {
            let sql = format!("SELECT name FROM pragma_table_info('{}')", table.name);
            let there: BTreeSet<String> = backend.sql(sql).await.expect("reads").concat().into_iter().collect();
            let wanted = table.columns_at(schema).iter().map(|column| column.name.to_owned()).collect();
            assert_eq!(there, wanted, "table {} with {schema} migrations", table.name);
        }
        store.revert(1).await.expect("reverts");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parents_come_before_children() {
    let backend = Backend::sqlite().await;
    backend.open().await.close().await;
    for (at, table) in TABLES.iter().enumerate() {
        let sql = format!("SELECT \"table\" FROM pragma_foreign_key_list('{}')", table.name);
        for parent in backend.sql(sql).await.expect("reads").concat() {
            let before = TABLES[..at].iter().any(|table| table.name == parent);
            assert!(before, "{} refers to {parent}, which must come before it", table.name);
        }
    }
}
