//! `encore rehearse`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use encore_app::identity::SignUp;
use encore_credentials::Keyring;
use encore_domain::identity::{DisplayName, Email, Password, Role};
use encore_grpc::GuardedRpcs;
use encore_rehearsal::command_line;
use encore_rehearsal::live::Live;
use encore_rehearsal::operator::Bounds;
use encore_rehearsal::options::RehearseArgs;
use encore_rehearsal::rehearsal::{RehearsalError, make_folder, rehearse, tell};
use encore_rehearsal::report::model::Proof;
use encore_rehearsal::stage::{LocalPlan, OperatorLogin, Stage, StageKind, StoreUrls};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::TcpIncoming;

use crate::commands::CommandError;
use crate::commands::serve::shutdown_signal;
use crate::encore::Encore;
use crate::ports::Ports;
use crate::system::throwaway_secret;

/// Longer than any rehearsal.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_hours(48);
const OPERATOR_EMAIL: &str = "operator@rehearsal.invalid";
const OPERATOR_PASSWORD: &str = "a rehearsal's own";

/// Holds a rehearsal, tells what came of it, and fails if a promise was broken.
pub async fn run(args: &RehearseArgs) -> Result<(), CommandError> {
    make_folder(&args.out)?;
    let bounds = Bounds::begin(args.bound());
    let live = Arc::new(Live::new());
    tokio::spawn(end_on_signal(bounds.stop.clone(), Arc::clone(&live)));
    live.phase("setting the stage");
    let (stage, _server) = tokio::select! {
        opened = open_stage(args, bounds.clone()) => opened?,
        () = bounds.stop.cancelled() => return Err(RehearsalError::EndedBefore { what: "setting the stage" }.into()),
    };
    let command = format!("encore {}", command_line::told(std::env::args_os().skip(1)));
    let report = rehearse(args, &stage, &live, command, &bounds).await?;
    let told = tell(&report, &args.out, args.json);
    judge(&report.proof, told)
}

/// What the rehearsal proved weighs more than whether all of it could be told.
fn judge(proof: &Proof, told: Result<(), RehearsalError>) -> Result<(), CommandError> {
    match (verdict(proof), told) {
        (Ok(()), told) => Ok(told?),
        (verdict, Ok(())) => verdict,
        (verdict, Err(pending)) => {
            let why = pending.source().map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("rehearse: {pending}{why}");
            verdict
        }
    }
}

/// Promises that are broken weigh more than those of which nothing is known.
fn verdict(proof: &Proof) -> Result<(), CommandError> {
    let broken: Vec<String> = proof.broken().map(str::to_owned).collect();
    if !broken.is_empty() {
        Err(CommandError::PromisesBroken(broken))
    } else if !proof.unexamined.is_empty() {
        Err(CommandError::NotProven(proof.unexamined.clone()))
    } else {
        Ok(())
    }
}

/// The first signal ends the rehearsal with its report so far, the second one the process.
async fn end_on_signal(stop: CancellationToken, live: Arc<Live>) {
    shutdown_signal().await;
    live.say("ending; once more to end at once");
    stop.cancel();
    shutdown_signal().await;
    std::process::exit(130);
}

async fn open_stage(args: &RehearseArgs, bounds: Bounds) -> Result<(Stage, Option<DropGuard>), CommandError> {
    let connections = usize::try_from(args.stage.connections).unwrap_or(usize::MAX);
    if args.stage.local {
        let instances = usize::try_from(args.stage.instances).unwrap_or(usize::MAX);
        let plan = LocalPlan { instances, pool_size: args.stage.pool, logs: args.out.join("logs") };
        return Ok((Stage::local(plan, connections, bounds).await?, None));
    }
    if !args.stage.address.is_empty() {
        let (email, password) = (args.stage.operator_email.clone(), args.stage.operator_password.clone());
        let login = OperatorLogin { email: email.unwrap_or_default(), password: password.unwrap_or_default() };
        let stores = StoreUrls {
            database: args.stage.baseline_database_url.clone(),
            redis: args.stage.baseline_redis_url.clone(),
            pool_size: args.stage.pool,
        };
        let addresses = args.stage.address.clone();
        return Ok((Stage::at(StageKind::Address, addresses, connections, login, stores, bounds).await?, None));
    }
    let (address, server) = embedded_server().await?;
    let login = OperatorLogin { email: OPERATOR_EMAIL.to_owned(), password: OPERATOR_PASSWORD.to_owned() };
    let stage = Stage::at(StageKind::Embedded, vec![address], connections, login, StoreUrls::default(), bounds).await?;
    Ok((stage, Some(server)))
}

/// A server in this process that ends with what is answered.
async fn embedded_server() -> Result<(String, DropGuard), CommandError> {
    let keyring = Keyring::from_secret("rehearsal", &throwaway_secret());
    let keyring = keyring.map_err(|error| CommandError::Usage(error.to_string()))?;
    let ports = Ports::embedded(keyring, ACCESS_TOKEN_LIFETIME);
    let encore = Encore::new(ports, GuardedRpcs::default()).allowing_rehearsals();
    encore.api.identity.sign_up(operator()?, None).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listen = |source| CommandError::Listen { address: ([127, 0, 0, 1], 0).into(), source };
    let listener = listener.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let stop = CancellationToken::new();
    tokio::spawn(encore.workers.run(stop.clone()));
    tokio::spawn(encore.api.serve(TcpIncoming::from(listener).with_nodelay(Some(true)), stop.clone()));
    Ok((format!("http://{address}"), stop.drop_guard()))
}

fn operator() -> Result<SignUp, CommandError> {
    let usage = |rule: &dyn std::fmt::Display| CommandError::Usage(rule.to_string());
    Ok(SignUp {
        email: Email::parse(OPERATOR_EMAIL).map_err(|rule| usage(&rule))?,
        password: Password::parse(OPERATOR_PASSWORD).map_err(|rule| usage(&rule))?,
        display_name: DisplayName::parse("Rehearsal operator").map_err(|rule| usage(&rule))?,
        role: Role::Operator,
    })
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use encore_rehearsal::report::model::PromiseReport;

    use super::*;

    fn code(proof: &Proof) -> ExitCode {
        verdict(proof).map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
    }

    #[test]
    fn what_is_broken_weighs_more_than_what_was_not_examined() {
        let broken = PromiseReport {
            promise: "orphan_hold".to_owned(),
            witness: "auditor".to_owned(),
            examined: 5,
            breaches: 1,
            findings: Vec::new(),
        };
        let mut proof = Proof::default();
        assert_eq!(code(&proof), ExitCode::SUCCESS);
        proof.unexamined.push("performance 7: the auditor gave no answer".to_owned());
        assert_eq!(code(&proof), ExitCode::from(4));
        let told = verdict(&proof).expect_err("not proven").to_string();
        assert!(told.ends_with("\n  performance 7: the auditor gave no answer"), "{told}");
        proof.promises.push(broken);
        assert_eq!(code(&proof), ExitCode::from(3));
        let pending = || Err(RehearsalError::Print(std::io::Error::other("nobody reads")));
        assert!(matches!(judge(&proof, pending()), Err(CommandError::PromisesBroken(_))));
        assert!(matches!(judge(&Proof::default(), pending()), Err(CommandError::Rehearsal(_))));
    }
}
