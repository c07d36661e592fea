//! Statements of constant text, prepared once per connection.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId, SqlQuery};
use diesel::{QueryResult, RunQueryDsl, sql_query};

/// A query of constant text, which each connection prepares once. diesel does not cache `sql_query` and `UPDATE`
/// statements by itself, which costs a round trip per execution.
///
/// The cache keeps every text for the life of the connection. Never wrap a query whose text depends on its parameters.
pub struct Cached<Q>(pub Q);

/// A query of constant SQL. Bind its parameters, then wrap it in [`Cached`].
pub fn sql(text: &'static str) -> SqlQuery {
    sql_query(text)
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Cached<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for Cached<Q> {
    type QueryId = ();

    // A query without a static id is cached by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Cached<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, Conn> RunQueryDsl<Conn> for Cached<Q> {}
