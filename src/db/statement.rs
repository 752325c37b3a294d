//! The text of statements.

/// A statement with parameters `$1`, `$2`, … that SQLite and PostgreSQL both accept.
///
/// `{keys}` stands for the list of keys of [`Db::all_in`](super::Db::all_in), `{rows}` for the rows of
/// [`Db::bulk_insert`](super::Db::bulk_insert). Only [`sql!`](crate::sql) makes one: a test finds every `sql!` in the source
/// and prepares its statement on both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sql(&'static str);

impl Sql {
    /// For [`sql!`](crate::sql) and for tests.
    #[doc(hidden)]
    pub const fn new_unchecked(text: &'static str) -> Self {
        Self(text)
    }

    pub(super) const fn text(self) -> &'static str {
        self.0
    }
}

/// Makes an [`Sql`](crate::db::Sql) from a text that is known at compile time.
#[macro_export]
macro_rules! sql {
    ($text:expr) => {{
        const TEXT: &str = $text;
        $crate::db::Sql::new_unchecked(TEXT)
    }};
}
