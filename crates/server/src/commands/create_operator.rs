//! `encore create-operator`.

use std::io::{BufRead, IsTerminal, stdin};

use clap::Args;
use encore_app::error::{AppError, Violation};
use encore_app::identity::SignUp;
use encore_domain::identity::{DisplayName, Email, Password, Role};

use crate::commands::{CommandError, on_database};
use crate::config::StoreArgs;
use crate::output::{print_error_line, print_line};

/// The arguments of `encore create-operator`.
#[derive(Args)]
pub struct CreateOperatorArgs {
    #[command(flatten)]
    stores: StoreArgs,
    /// The e-mail address, which no other user may have.
    #[arg(long)]
    email: String,
    /// The display name.
    #[arg(long, default_value = "Operator")]
    display_name: String,
    /// The password. If it is not set, the first line of standard input is read, which keeps it out of the shell's
    /// history.
    #[arg(long, env = "ENCORE_OPERATOR_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// Creates the operator.
pub async fn run(args: CreateOperatorArgs) -> Result<(), CommandError> {
    let password = args.password.map_or_else(password_from_stdin, Ok)?;
    let sign_up = sign_up(&args.email, &args.display_name, &password).map_err(AppError::Invalid)?;
    let encore = on_database(&args.stores).await?;
    let user = encore.api.identity.create(sign_up, None, None).await?.user;
    Ok(print_line(format_args!("operator {} created with id {}", user.email.as_str(), user.id))?)
}

fn sign_up(email: &str, display_name: &str, password: &str) -> Result<SignUp, Vec<Violation>> {
    match (Email::parse_to_sign_up(email), DisplayName::parse(display_name), Password::parse(password)) {
        (Ok(email), Ok(display_name), Ok(password)) => {
            Ok(SignUp { email, password, display_name, role: Role::Operator, is_vouched_for: true })
        }
        (email, display_name, password) => Err([
            email.err().map(|rule| Violation::new("--email", rule.to_string())),
            display_name.err().map(|rule| Violation::new("--display-name", rule.to_string())),
            password.err().map(|rule| Violation::new("ENCORE_OPERATOR_PASSWORD", rule.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()),
    }
}

fn password_from_stdin() -> Result<String, CommandError> {
    if stdin().is_terminal() {
        print_error_line("operator's password:");
    }
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line);
    read.map_err(|source| CommandError::Read { what: "the password from standard input".into(), source })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
