//! The text of statements.

/// A statement with parameters `$1`, `$2`, … that SQLite and PostgreSQL both accept.
///
/// `{keys}` stands for the list of keys of [`Db::all_in`](super::Db::all_in), `{rows}` for the rows of
/// [`Db::bulk_insert`](super::Db::bulk_insert). Only [`sql!`](crate::sql) makes one, so that a test can prepare every
/// statement of the program on both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sql(&'static str);

impl Sql {
    /// For [`sql!`](crate::sql) and for tests.
    #[doc(hidden)]
    pub const fn from_macro(text: &'static str) -> Self {
        Self(text)
    }

    pub(super) const fn text(self) -> &'static str {
        self.0
    }
}

/// Until every statement is written with `sql!`.
impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self(text)
    }
}

/// Makes an [`Sql`](crate::db::Sql) from a text that is known at compile time.
#[cfg(not(test))]
#[macro_export]
macro_rules! sql {
    ($text:expr) => {{
        const TEXT: &str = $text;
        $crate::db::Sql::from_macro(TEXT)
    }};
}

/// The same, and registers the statement for `statements_test`.
#[cfg(test)]
#[macro_export]
macro_rules! sql {
    ($text:expr) => {{
        #[linkme::distributed_slice($crate::db::STATEMENTS)]
        static STATEMENT: $crate::db::Statement = $crate::db::Statement { text: $text, file: file!(), line: line!() };
        $crate::db::Sql::from_macro($text)
    }};
}

/// A statement and where the source has it.
#[cfg(test)]
pub(crate) struct Statement {
    pub(crate) text: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

/// Every `sql!` of the program: the linker collects them.
#[cfg(test)]
#[linkme::distributed_slice]
pub(crate) static STATEMENTS: [Statement];
