//! What commands print. Everything goes through here, because `println!` and `eprintln!` panic if the reader has closed its end
//! of the pipe, as `encore import-venue plan.json | head -1` does.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints a line to standard output. If nobody reads it any more, nothing is printed, and that is no error.
pub fn print_line(line: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a line to standard error. If that fails, nobody can be told.
pub fn print_error_line(line: impl Display) {
    let _unread = writeln!(io::stderr().lock(), "{line}");
}
