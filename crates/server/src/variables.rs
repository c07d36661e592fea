//! The variables that configure the commands.

use clap::Command;

/// A variable that some command reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Such as `ENCORE_LISTEN`.
    pub name: String,
    /// Such as `--listen`.
    pub flag: String,
    /// The default; none if there is none.
    pub default: Option<String>,
    /// Whether the value is not to be shown.
    pub is_secret: bool,
}

/// The variables of a command line and of its subcommands, each once, in the order of the help.
pub fn variables(command: &Command) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    for argument in command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments)) {
        let (Some(name), Some(flag)) = (argument.get_env(), argument.get_long()) else { continue };
        let name = name.to_string_lossy().into_owned();
        if variables.iter().all(|known| known.name != name) {
            let takes_value = argument.get_action().takes_values();
            let default = argument.get_default_values().first().filter(|_| takes_value);
            variables.push(Variable {
                name,
                flag: format!("--{flag}"),
                default: default.map(|default| default.to_string_lossy().into_owned()),
                is_secret: argument.is_hide_env_values_set(),
            });
        }
    }
    variables
}
