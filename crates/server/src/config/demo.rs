//! The demo.

use std::net::SocketAddr;

use clap::Args;
use encore_domain::identity::Password;

use super::check::Check;
use crate::demo::OPERATOR_PASSWORD;

/// Whether to serve the demo.
#[derive(Args, Clone)]
pub struct DemoArgs {
    /// Fill an empty catalogue with the demo venue and concerts. Always on without a database.
    #[arg(long, env = "ENCORE_DEMO")]
    pub demo: bool,
    /// Create the demo's operator with this password. Without a database there always is one, whose password everybody
    /// knows unless this is set.
    #[arg(long, env = "ENCORE_DEMO_OPERATOR_PASSWORD", hide_env_values = true)]
    pub demo_operator_password: Option<String>,
    /// A file with the value of `ENCORE_DEMO_OPERATOR_PASSWORD`.
    #[arg(long, env = "ENCORE_DEMO_OPERATOR_PASSWORD_FILE")]
    pub demo_operator_password_file: Option<String>,
}

/// The demo catalogue, and who runs its sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demo {
    /// The password of the demo's operator; none if there is no such operator.
    pub operator: Option<Password>,
}

impl DemoArgs {
    /// The demo, if it is asked for or there is nothing else to serve. Its operator is made where somebody asked for it, or where
    /// nothing lasts. Everybody knows the default password, so with it nobody may call from elsewhere.
    pub(super) fn read(&self, check: &mut Check, is_embedded: bool, listen: Option<SocketAddr>) -> Option<Demo> {
        let (password, file) = (self.demo_operator_password.as_deref(), self.demo_operator_password_file.as_deref());
        let asked = check.secret("ENCORE_DEMO_OPERATOR_PASSWORD", password, file).ok()?;
        let asked = asked.as_deref().filter(|password| !password.is_empty());
        if !self.demo && !is_embedded {
            if asked.is_some() {
                check.0.push("ENCORE_DEMO_OPERATOR_PASSWORD: requires ENCORE_DEMO".to_owned());
            }
            return None;
        }
        let password = asked.or(is_embedded.then_some(OPERATOR_PASSWORD));
        if password == Some(OPERATOR_PASSWORD) && listen.is_some_and(|listen| !listen.ip().is_loopback()) {
            check.0.push(
                "ENCORE_LISTEN: must be a loopback address, because everybody knows the password of the demo's operator: \
                 set ENCORE_DEMO_OPERATOR_PASSWORD to another"
                    .to_owned(),
            );
        }
        let operator = password.map(|password| check.read("ENCORE_DEMO_OPERATOR_PASSWORD", Password::parse(password)));
        Some(Demo { operator: operator.flatten() })
    }
}
