//! How many rows there are.

use std::str::FromStr;

use super::{Query, Reader};
use crate::counts::Counts;
use crate::error::StoreError;
use crate::row::Columns;

/// The indexes and what is dead but not yet swept up count too.
const SIZE: Query = Query::either(
    "SELECT page_count * page_size AS count FROM pragma_page_count, pragma_page_size",
    "SELECT pg_database_size(current_database()) AS count",
);

pub(crate) async fn counts(db: &mut impl Reader) -> Result<Counts, StoreError> {
    let deployments = "SELECT status, count(*) AS count FROM deployments GROUP BY status";
    let replicas = "SELECT status, count(*) AS count FROM deployment_replicas GROUP BY status";
    Ok(Counts {
        users: count(db, Query::new("SELECT count(*) AS count FROM users")).await?,
        nodes: count(db, Query::new("SELECT count(*) AS count FROM nodes")).await?,
        deployments: by_status(db, "deployments", deployments).await?,
        replicas: by_status(db, "deployment_replicas", replicas).await?,
        database_bytes: count(db, SIZE).await?,
    })
}

/// The one number that a query gives.
pub(super) async fn count(db: &mut impl Reader, query: Query) -> Result<u64, StoreError> {
    let number = |row: &Columns<'_>| row.number("count");
    Ok(db.one(query, "(all rows)", number).await?.unwrap_or(0))
}

async fn by_status<S: FromStr + Ord + Send>(
    db: &mut impl Reader,
    table: &'static str,
    sql: &'static str,
) -> Result<Vec<(S, u64)>, StoreError> {
    let of = |row: &Columns<'_>| Ok((row.word("status", |word| word.parse().ok())?, row.number("count")?));
    let mut counts = db.all(Query::new(sql), table, of).await?;
    counts.sort();
    Ok(counts)
}
