//! What a stranger or one fan can do to the others: each attack runs from this machine with a bounded load, while another fan holds
//! and releases seats. The report has that fan's latency before, during and after, and the server's memory.

mod attacks;
mod neighbour;
mod report;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::attacks::{ATTACKS, Attack, Target};
use self::neighbour::Neighbour;
use self::report::Row;
use crate::environment::{Environment, EnvironmentError, InstancesPlan};
use crate::operator::{Bounds, Terms};
use crate::resources::usage_of;
use crate::venue::Venue;

/// How long the neighbour is measured before an attack.
const BEFORE: Duration = Duration::from_secs(5);
/// How long the neighbour is measured after an attack.
const AFTER: Duration = Duration::from_secs(5);
/// How long the server has after an attack before the neighbour is measured again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often the server's memory is looked at.
const MEMORY_LOOK_EVERY: Duration = Duration::from_millis(100);
/// The seats of the venue: its chart is a reply of about a quarter of a megabyte.
const SEATS: u32 = 5_000;
/// The connections to Postgres of the server, as by default.
const POOL_SIZE: u32 = 16;
/// How long holds live: they are released at once.
const HOLD_FOR: Duration = Duration::from_mins(10);
/// The longest that everything may take.
const LASTS_MAX: Duration = Duration::from_hours(1);

/// What to attack, and with what.
#[derive(Args, Clone, Debug)]
pub struct AttackArgs {
    /// The attacks, by name; all if none is named.
    #[arg(value_parser = attack_names())]
    pub attacks: Vec<String>,
    /// A server on a private Postgres and Redis. By default it keeps everything in its process.
    #[arg(long)]
    pub local: bool,
    /// How long each attack lasts.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Only lists the attacks.
    #[arg(long)]
    pub list: bool,
    /// The server's program; by default `encore` beside this program.
    #[arg(long)]
    pub encore: Option<PathBuf>,
    /// Where the server's log goes.
    #[arg(long, default_value = "target/attack")]
    pub out: PathBuf,
}

fn attack_names() -> clap::builder::PossibleValuesParser {
    ATTACKS.iter().map(|attack| attack.name).collect::<Vec<_>>().into()
}

/// Why there is no result, or a bad one.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum AttackError {
    #[error("the path of this program cannot be determined")]
    Program(#[source] std::io::Error),
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error("the sale cannot be prepared: {}", .0.message())]
    Sale(Status),
    #[error("these attacks hurt a neighbour or the server: {}", .0.join(", "))]
    Hurt(Vec<String>),
}

/// Runs the attacks one after the other and prints the table. Fails if one of them hurt the neighbour beyond the bounds.
pub async fn run(args: &AttackArgs) -> Result<(), AttackError> {
    let attacks: Vec<&Attack> = ATTACKS
        .iter()
        .filter(|attack| args.attacks.is_empty() || args.attacks.iter().any(|it| it == attack.name))
        .collect();
    if args.list {
        for attack in &attacks {
            println!("{:16} {}", attack.name, attack.what);
        }
        return Ok(());
    }
    let mut rows = Vec::new();
    for attack in attacks {
        eprintln!("{}: {}", attack.name, attack.what);
        let row = measured(args, attack).await?;
        eprintln!("  {}", row.line());
        rows.push(row);
    }
    println!("{}", report::table(&rows));
    let hurt: Vec<String> = rows.iter().filter(|row| !row.is_within_bounds()).map(|row| row.name.to_owned()).collect();
    if hurt.is_empty() { Ok(()) } else { Err(AttackError::Hurt(hurt)) }
}

/// One attack on a fresh server.
async fn measured(args: &AttackArgs, attack: &'static Attack) -> Result<Row, AttackError> {
    let bounds = Bounds::without_audit(LASTS_MAX);
    let plan = plan(args)?;
    let environment = Environment::of_instances(plan, 1, bounds).await?;
    let (neighbour, target) = prepared(&environment).await.map_err(AttackError::Sale)?;
    let pids = environment.pids();
    let memory = || usage_of(&pids).memory_bytes;
    let mut row = Row::new(attack);
    // The first calls load the seats and warm the connections.
    neighbour.measured(PAUSE).await;
    row.before = neighbour.measured(BEFORE).await;
    row.memory_before = memory();
    let stop = CancellationToken::new();
    let attacking = tokio::spawn((attack.run)(target, stop.clone()));
    let watched = async {
        let mut most = 0;
        loop {
            most = memory().max(most);
            tokio::select! {
                () = sleep(MEMORY_LOOK_EVERY) => {}
                () = stop.cancelled() => return most,
            }
        }
    };
    let during = async {
        let during = neighbour.measured(Duration::from_secs(args.seconds)).await;
        stop.cancel();
        during
    };
    (row.memory_most, row.during) = tokio::join!(watched, during);
    row.note = attacking.await.unwrap_or_else(|failed| failed.to_string());
    sleep(PAUSE).await;
    row.after = neighbour.measured(AFTER).await;
    row.memory_after = memory();
    Ok(row)
}

fn plan(args: &AttackArgs) -> Result<InstancesPlan, AttackError> {
    let beside = || std::env::current_exe().map(|program| program.with_file_name("encore"));
    let program = args.encore.clone().map_or_else(beside, Ok).map_err(AttackError::Program)?;
    Ok(InstancesPlan {
        program,
        on_stores: args.local,
        access_token_lifetime: LASTS_MAX,
        instances: 1,
        pool_size: POOL_SIZE,
        sandbox: false,
        logs: args.out.clone(),
    })
}

/// A sale with the neighbour in it, and what is attacked.
async fn prepared(environment: &Environment) -> Result<(Neighbour, Target), Status> {
    let terms = Terms { seats_per_fan: 8, hold_for: HOLD_FOR, queue: None };
    let operator = &environment.operator;
    let venue = Venue::of(SEATS);
    let on_sale = operator.put_on_sale(venue, &terms, 1).await?.remove(0);
    let shut = operator.put_on_sale_later(Venue::of(1), LASTS_MAX).await?;
    let address = environment.addresses[0].trim_start_matches("http://").to_owned();
    let tokens = operator.fans(attacks::FANS + 1).await?;
    let neighbour = Neighbour::new(&environment.addresses[0], &tokens[0], &on_sale, venue)?;
    Ok((neighbour, Target { address, performance: on_sale, shut_performance: shut, access_tokens: tokens[1..].into() }))
}
