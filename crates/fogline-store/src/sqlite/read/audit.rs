//! The audit log.

use fogline_core::id::AuditId;

use super::all;
use crate::audit_entry::AuditEntry;
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::sqlite::{SqliteStore, row};

/// Greater than any id, which is made of digits up to `f`.
const AFTER_ALL_IDS: &str = "g";

impl SqliteStore {
    pub(crate) async fn audit(&self, page: &PageRequest) -> Result<Page<AuditEntry>, StoreError> {
        let before = List::Audit.parse::<AuditId>(page)?.map_or_else(|| AFTER_ALL_IDS.to_owned(), |id| id.to_string());
        let sql = "SELECT * FROM audit_logs WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        let query = sqlx::query(sql).bind(before).bind(page.rows());
        let lines = all(&self.readers, query, "audit_logs", row::audit).await?;
        Ok(Page::of(lines, page, List::Audit, |line| line.id.to_string()))
    }
}
