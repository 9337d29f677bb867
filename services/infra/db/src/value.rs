//! What goes into a statement and what comes out: integers, text and bytes are all that our tables hold.

use sqlx::mysql::MySqlRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Encode, Row as _, Type};

use crate::DbError;

/// A bound value.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// BIGINT.
    Int(i64),
    /// VARCHAR or TEXT.
    Text(&'a str),
    /// VARBINARY or BLOB.
    Bytes(&'a [u8]),
    /// NULL of a text column.
    Null,
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// Ids, seqs and counts are below 2^63; what is above is as good as the largest (as in "before any seq").
impl From<u64> for Arg<'_> {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

pub(crate) fn bind<A: Arguments>(args: &[Arg<'_>]) -> Result<A, DbError>
where
    i64: for<'q> Encode<'q, A::Database> + Type<A::Database>,
    for<'q> &'q str: Encode<'q, A::Database> + Type<A::Database>,
    for<'q> &'q [u8]: Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Option<&'q str>: Encode<'q, A::Database> + Type<A::Database>,
{
    let mut bound = A::default();
    bound.reserve(args.len(), args.len() * 9);
    for arg in args {
        match *arg {
            Arg::Int(value) => bound.add(value),
            Arg::Text(value) => bound.add(value),
            Arg::Bytes(value) => bound.add(value),
            Arg::Null => bound.add(None::<&str>),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(bound)
}

/// A row of an answer; columns by position.
#[derive(Debug)]
pub struct Row(pub(crate) Engine);

#[derive(Debug)]
pub(crate) enum Engine {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

macro_rules! get {
    ($row:expr, $column:expr) => {
        match &$row.0 {
            Engine::MySql(row) => row.try_get($column),
            Engine::Sqlite(row) => row.try_get($column),
        }
        .map_err(DbError::from)
    };
}

impl Row {
    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64, DbError> {
        get!(self, column)
    }

    /// An id, a seq or a count; 0 for NULL, which is what "the last of none" means here.
    pub fn uint(&self, column: usize) -> Result<u64, DbError> {
        let value: Option<i64> = get!(self, column)?;
        u64::try_from(value.unwrap_or_default())
            .map_err(|error| DbError::Statement(sqlx::Error::Decode(Box::new(error))))
    }

    /// Text.
    pub fn text(&self, column: usize) -> Result<String, DbError> {
        get!(self, column)
    }

    /// Text or NULL.
    pub fn text_or_null(&self, column: usize) -> Result<Option<String>, DbError> {
        get!(self, column)
    }

    /// Bytes.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>, DbError> {
        get!(self, column)
    }
}
