//! A text of SQL and its parameters, as every backend takes them.

use fogline_core::time::Timestamp;
use sqlx::types::Uuid;

/// A parameter. Which of a backend's types it becomes is the backend's.
#[derive(Debug)]
pub(crate) enum Parameter {
    Id(Option<Uuid>),
    Ids(Vec<Uuid>),
    Text(Option<String>),
    Texts(Vec<String>),
    Number(i64),
    Flag(bool),
    Time(Timestamp),
}

/// One statement. `$1` is the first parameter.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
    pub(crate) parameters: Vec<Parameter>,
}

impl Query {
    /// A text that both dialects understand alike.
    pub(crate) const fn new(sql: &'static str) -> Self {
        Self::either(sql, sql)
    }

    /// One text for each dialect, with the same parameters.
    pub(crate) const fn either(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres, parameters: Vec::new() }
    }

    fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    pub(crate) fn id(self, id: Uuid) -> Self {
        self.optional_id(Some(id))
    }

    pub(crate) fn optional_id(self, id: Option<Uuid>) -> Self {
        self.with(Parameter::Id(id))
    }

    pub(crate) fn ids(self, ids: Vec<Uuid>) -> Self {
        self.with(Parameter::Ids(ids))
    }

    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.optional_text(Some(text.into()))
    }

    pub(crate) fn optional_text(self, text: Option<String>) -> Self {
        self.with(Parameter::Text(text))
    }

    pub(crate) fn texts(self, texts: Vec<String>) -> Self {
        self.with(Parameter::Texts(texts))
    }

    pub(crate) fn number(self, number: impl Into<i64>) -> Self {
        self.with(Parameter::Number(number.into()))
    }

    pub(crate) fn flag(self, flag: bool) -> Self {
        self.with(Parameter::Flag(flag))
    }

    pub(crate) fn time(self, time: Timestamp) -> Self {
        self.with(Parameter::Time(time))
    }
}
