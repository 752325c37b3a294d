//! Every SQL statement of the program can be prepared on both databases: a misspelled table or column fails here.
//!
//! `Db` accepts statements made by `sql!` only, and this test finds every `sql!` in the sources, so no statement is missed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use signpost::db::Db;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Expr, ItemMacro, Lit, Macro, Token};

use crate::harness::World;

/// A file's macros that build texts, by name: the names of their parameters and their body.
type TextMacros = BTreeMap<String, (Vec<String>, String)>;

#[derive(Default)]
struct Found {
    macros: TextMacros,
    statements: Vec<Expr>,
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        if let Some(name) = &item.ident {
            // `($what:literal) => { concat!(…) };`
            let text = item.mac.tokens.to_string();
            let (parameters, body) = text.split_once("=>").unwrap();
            let parameters = parameters.split('$').skip(1);
            let parameters = parameters.map(|text| text.split(':').next().unwrap().trim().to_owned()).collect();
            let body = body.trim().trim_end_matches(';').trim();
            self.macros.insert(name.to_string(), (parameters, body.to_owned()));
        }
        syn::visit::visit_item_macro(self, item);
    }

    fn visit_macro(&mut self, found: &'ast Macro) {
        if found.path.is_ident("sql") {
            self.statements.push(found.parse_body().unwrap());
        }
    }
}

/// The text of a literal, of `concat!`, or of a macro of the same file.
fn text(expression: &Expr, macros: &TextMacros) -> String {
    let inner = match expression {
        Expr::Lit(literal) => {
            let Lit::Str(text) = &literal.lit else { panic!("a statement is made of texts") };
            return text.value();
        }
        Expr::Block(block) => match &block.block.stmts[..] {
            [syn::Stmt::Expr(inner, None)] => return text(inner, macros),
            [syn::Stmt::Macro(inner)] => &inner.mac,
            _ => panic!("a text macro is one expression"),
        },
        Expr::Macro(inner) => &inner.mac,
        _ => panic!("a statement is a literal, `concat!` or a macro of its file"),
    };
    let arguments = inner.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated).unwrap();
    let arguments: Vec<String> = arguments.iter().map(|argument| text(argument, macros)).collect();
    let name = inner.path.get_ident().unwrap().to_string();
    if name == "concat" {
        return arguments.concat();
    }
    let (parameters, body) = macros.get(&name).unwrap_or_else(|| panic!("`{name}!` is not defined in this file"));
    let mut body = body.clone();
    for (parameter, argument) in parameters.iter().zip(&arguments) {
        for spelled in [format!("${parameter}"), format!("$ {parameter}")] {
            body = body.replace(&spelled, &format!("{argument:?}"));
        }
    }
    text(&syn::parse_str(&body).unwrap(), macros)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    nested.flatten().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Every statement and where it stands.
pub(crate) fn statements() -> Vec<(String, String)> {
    let mut statements = Vec::new();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        if path.ends_with("db/statement.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let mut found = Found::default();
        found.visit_file(&syn::parse_file(&source).unwrap());
        let count = source.matches("sql!(").count();
        assert_eq!(found.statements.len(), count, "{}: a `sql!` stands inside another macro", path.display());
        for statement in &found.statements {
            statements.push((path.display().to_string(), text(statement, &found.macros)));
        }
    }
    assert!(statements.len() > 80, "only {} statements were found", statements.len());
    statements
}

/// The statement as `all_in` and `bulk_insert` complete it.
pub(crate) fn complete(statement: &str, list: &str) -> String {
    let statement = statement.replace("{keys}", list);
    let columns = statement.split(['(', ')']).nth(1).unwrap_or_default().split(',').count();
    let parameters: Vec<String> = (1..=columns).map(|at| format!("${at}")).collect();
    statement.replace("{rows}", &format!("({})", parameters.join(", ")))
}

async fn prepare_all(world: &World) {
    let mut failures = Vec::new();
    for (place, statement) in statements() {
        let prepared = match &world.state.db {
            Db::Sqlite(_) => {
                let sql = AssertSqlSafe(complete(&statement, "(SELECT value FROM json_each($2))")).into_sql_str();
                world.sqlite_connection().await.prepare(sql).await.map(drop)
            }
            Db::Postgres(postgres) => {
                let list = "(SELECT value FROM json_array_elements_text($2::json))";
                let sql = AssertSqlSafe(complete(&statement, list)).into_sql_str();
                postgres.pool.acquire().await.unwrap().prepare(sql).await.map(drop)
            }
        };
        if let Err(error) = prepared {
            failures.push(format!("{place}: {error}\n    {statement}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    prepare_all(&World::start().await).await;
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn every_statement_can_be_prepared_on_postgresql() {
    prepare_all(&World::on_postgres("").await.unwrap()).await;
}
