//! The audit log.

use fogline_core::id::AuditId;
use sqlx::types::Uuid;

use super::{Query, Reader};
use crate::audit_entry::AuditEntry;
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::row;

pub(crate) async fn audit(db: &mut impl Reader, page: &PageRequest) -> Result<Page<AuditEntry>, StoreError> {
    let before = List::Audit.parse::<AuditId>(page)?.map_or(Uuid::max(), |id| id.as_uuid());
    let query = Query::new("SELECT * FROM audit_logs WHERE id < $1 ORDER BY id DESC LIMIT $2");
    let lines = db.all(query.id(before).number(page.rows()), "audit_logs", row::audit).await?;
    Ok(Page::of(lines, page, List::Audit, |line| line.id.to_string()))
}
