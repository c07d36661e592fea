//! The command line as a report keeps it: so that the run can be repeated, and without secrets.

use std::borrow::Cow;
use std::ffi::OsString;

/// What stands in the place of a secret.
const REDACTED: &str = "xxxxx";
/// The flags whose values are secrets.
const SECRET_FLAGS: [&str; 1] = ["--operator-password"];

/// The words of a command line as they are typed in a shell, without passwords.
pub fn redacted(args: impl IntoIterator<Item = OsString>) -> String {
    let mut words = Vec::new();
    let mut is_secret = false;
    for arg in args {
        let arg = arg.to_string_lossy();
        let word = if is_secret { REDACTED.to_owned() } else { without_secret(&arg) };
        is_secret = !is_secret && SECRET_FLAGS.contains(&arg.as_ref());
        words.push(quoted(&word).into_owned());
    }
    words.join(" ")
}

/// A URL, or whatever contains one, without its passwords.
pub(crate) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // Somebody's password may have characters that a URL does not allow; whatever is before the last `@` is left out.
    let (userinfo, place) = rest.rsplit_once('@').map_or((None, rest), |(userinfo, place)| (Some(userinfo), place));
    let userinfo = userinfo.map_or_else(String::new, |userinfo| match userinfo.split_once(':') {
        Some((user, _)) => format!("{user}:{REDACTED}@"),
        None => format!("{userinfo}@"),
    });
    format!("{scheme}://{userinfo}{}", without_parameter(place))
}

/// Postgres takes a password as a parameter too.
fn without_parameter(place: &str) -> String {
    let Some((place, parameters)) = place.split_once('?') else { return place.to_owned() };
    let parameters = parameters.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if name.contains("password") => format!("{name}={REDACTED}"),
        Some(_) | None => parameter.to_owned(),
    });
    format!("{place}?{}", parameters.collect::<Vec<_>>().join("&"))
}

fn without_secret(arg: &str) -> String {
    match arg.split_once('=') {
        Some((flag, _)) if SECRET_FLAGS.contains(&flag) => format!("{flag}={REDACTED}"),
        Some(_) | None => without_password(arg),
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,=@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> String {
        redacted(args.iter().map(OsString::from))
    }

    #[test]
    fn a_plain_line_is_as_it_was_typed() {
        let args = ["rehearse", "hold", "--seats=10", "--address", "http://localhost:50051"];
        assert_eq!(line(&args), "rehearse hold --seats=10 --address http://localhost:50051");
    }

    #[test]
    fn passwords_are_not_told() {
        assert_eq!(line(&["--operator-password", "a secret", "--json"]), "--operator-password xxxxx --json");
        assert_eq!(line(&["--operator-password=a secret"]), "--operator-password=xxxxx");
        assert_eq!(line(&["--operator-password", "--operator-password", "b"]), "--operator-password xxxxx b");
        for (url, expected) in [
            ("postgres://user:s3cret@host/base", "postgres://user:xxxxx@host/base"),
            ("postgres://user:s/3:c@ret@host/base", "postgres://user:xxxxx@host/base"),
            ("redis://:s3cret@host", "redis://:xxxxx@host"),
            ("postgres://user@host", "postgres://user@host"),
        ] {
            assert_eq!(line(&["--baseline-database-url", url]), format!("--baseline-database-url {expected}"));
            assert_eq!(line(&[&format!("--url={url}")]), format!("--url={expected}"));
        }
        let told = line(&["postgres://host/base?user=a&password=s3cret&sslmode=off"]);
        assert_eq!(told, "'postgres://host/base?user=a&password=xxxxx&sslmode=off'");
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(line(&["--out", "my report", "it's", ""]), r"--out 'my report' 'it'\''s' ''");
    }
}
