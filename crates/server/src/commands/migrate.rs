//! `encore migrate`.

use clap::Args;

use crate::commands::{CommandError, migrated};
use crate::config::{StoreArgs, Stores};
use crate::output::print_line;

/// The arguments of `encore migrate`.
#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    stores: StoreArgs,
}

/// Applies the pending migrations.
pub async fn run(args: &MigrateArgs) -> Result<(), CommandError> {
    let Stores::Durable { database, .. } = args.stores.check()? else {
        return Err(CommandError::Usage("ENCORE_DATABASE_URL: must be set, it names the database to migrate".into()));
    };
    migrated(&database).await?;
    Ok(print_line("the schema is up to date")?)
}
