//! `encore migrate`.

use clap::Args;

use crate::commands::{CommandError, migrated};
use crate::config::{StoreArgs, Stores};

/// Which database.
#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    stores: StoreArgs,
}

/// Brings the schema up to date.
pub async fn run(args: &MigrateArgs) -> Result<(), CommandError> {
    let Stores::Durable { database, .. } = args.stores.check()? else {
        return Err(CommandError::Usage("ENCORE_DATABASE_URL: must be set: there is nothing to migrate".into()));
    };
    migrated(&database).await?;
    println!("the schema is up to date");
    Ok(())
}
