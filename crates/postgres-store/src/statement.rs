//! Statements of constant text, prepared once per connection.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId, SqlQuery};
use diesel::{QueryResult, RunQueryDsl, sql_query};

/// A query whose text is the same at each run, so that each connection prepares it once and not at each run. diesel
/// caches no `sql_query` and no `UPDATE` by itself, which costs a round trip per statement.
///
/// The cache keeps every text for the life of the connection: never wrap a query whose text depends on its values.
pub struct Cached<Q>(pub Q);

/// SQL of constant text; bind its values, then wrap it into [`Cached`].
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

    // Without an id of its own a query is cached under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Cached<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, Conn> RunQueryDsl<Conn> for Cached<Q> {}
