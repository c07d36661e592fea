//! Finds the identifiers of source texts. Comments and strings are left out.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    Rust,
    Proto,
    Sql,
    Lua,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) struct Identifier {
    pub(super) name: String,
    pub(super) line: usize,
}

/// Where the parts of a text begin and end that are no code.
struct Syntax {
    /// Each reaches to the end of the line.
    line_comment: &'static str,
    /// What begins and ends long comments and long strings.
    blocks: &'static [(&'static str, &'static str)],
    quotes: &'static [char],
    /// Whether a backslash escapes a quote.
    has_escapes: bool,
}

const PROTO: Syntax = Syntax { line_comment: "//", blocks: &[("/*", "*/")], quotes: &['"', '\''], has_escapes: true };
/// A quoted identifier, in double quotes, is an identifier, and so are those between dollars.
const SQL: Syntax = Syntax { line_comment: "--", blocks: &[("/*", "*/")], quotes: &['\''], has_escapes: false };
const LUA: Syntax =
    Syntax { line_comment: "--", blocks: &[("--[[", "]]"), ("[[", "]]")], quotes: &['"', '\''], has_escapes: true };

impl Language {
    /// The language of a file, if it is one that is checked.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "rs" => Some(Self::Rust),
            "proto" => Some(Self::Proto),
            "sql" => Some(Self::Sql),
            "lua" => Some(Self::Lua),
            _ => None,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "Rust" => Some(Self::Rust),
            "proto" => Some(Self::Proto),
            "SQL" => Some(Self::Sql),
            "Lua" => Some(Self::Lua),
            _ => None,
        }
    }

    /// The identifiers of a text, in their order, with the lines on which they stand.
    pub(super) fn identifiers(self, text: &str) -> Result<Vec<Identifier>, String> {
        match self {
            Self::Rust => {
                let tokens: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
                let mut identifiers = Vec::new();
                add_identifiers(tokens, &mut identifiers);
                Ok(identifiers)
            }
            Self::Proto => Ok(PROTO.identifiers(text)),
            Self::Sql => Ok(SQL.identifiers(text)),
            Self::Lua => Ok(LUA.identifiers(text)),
        }
    }
}

fn add_identifiers(tokens: TokenStream, identifiers: &mut Vec<Identifier>) {
    for token in tokens {
        match token {
            TokenTree::Ident(found) => {
                let name = found.to_string();
                let name = name.strip_prefix("r#").unwrap_or(&name).to_owned();
                identifiers.push(Identifier { name, line: found.span().start().line });
            }
            TokenTree::Group(group) => add_identifiers(group.stream(), identifiers),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

impl Syntax {
    fn identifiers(&self, text: &str) -> Vec<Identifier> {
        let mut identifiers = Vec::new();
        let mut line = 1;
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let skipped = self.no_code(rest);
            let word = rest.find(|letter| !is_of_identifier(letter)).unwrap_or(rest.len());
            let length = skipped.unwrap_or(if word > 0 { word } else { next.len_utf8() });
            let (read, left) = rest.split_at(length);
            if skipped.is_none() && word > 0 && !next.is_ascii_digit() {
                identifiers.push(Identifier { name: read.to_owned(), line });
            }
            line += read.matches('\n').count();
            rest = left;
        }
        identifiers
    }

    /// The length of the comment or string that the text begins with.
    fn no_code(&self, text: &str) -> Option<usize> {
        for (begin, end) in self.blocks {
            if let Some(inner) = text.strip_prefix(begin) {
                return Some(inner.find(end).map_or(text.len(), |at| begin.len() + at + end.len()));
            }
        }
        if text.starts_with(self.line_comment) {
            return Some(text.find('\n').unwrap_or(text.len()));
        }
        let quote = text.chars().next().filter(|first| self.quotes.contains(first))?;
        let mut is_escaped = false;
        for (at, letter) in text.char_indices().skip(1) {
            if letter == quote && !is_escaped {
                return Some(at + letter.len_utf8());
            }
            is_escaped = self.has_escapes && letter == '\\' && !is_escaped;
        }
        Some(text.len())
    }
}

fn is_of_identifier(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(language: Language, text: &str) -> Vec<String> {
        language.identifiers(text).expect("source text").into_iter().map(|identifier| identifier.name).collect()
    }

    #[test]
    fn rust_is_read_without_comments_and_strings() {
        let text = "//! Crate.\n/* a /* nested */ one */ fn r#type(c: char) { m!(c == '\"', r#\"raw\"#, b\"x\", inner); } // end";
        assert_eq!(names(Language::Rust, text), ["doc", "fn", "type", "c", "char", "m", "c", "inner"]);
    }

    #[test]
    fn proto_is_read_without_comments_and_strings() {
        let text = "import \"a/b.proto\"; /* two\nlines */ message Fan { // one\n string user_id = 1 [json_name = 'it\\'s']; }";
        let expected = ["import", "message", "Fan", "string", "user_id", "json_name"];
        assert_eq!(names(Language::Proto, text), expected);
    }

    #[test]
    fn sql_is_read_with_quoted_identifiers_and_function_bodies() {
        let text =
            "SELECT 'it''s', \"quoted\" FROM t1 -- it's\nWHERE a=$1; DO $$ BEGIN inner_call('no'); END $$; /* no */";
        let expected = ["SELECT", "quoted", "FROM", "t1", "WHERE", "a", "DO", "BEGIN", "inner_call", "END"];
        assert_eq!(names(Language::Sql, text), expected);
    }

    #[test]
    fn lua_is_read_without_long_comments_and_long_strings() {
        let text =
            "--[[ long\ncomment ]] local head = redis.call('GET', \"k\\\"\") -- it's\nlocal s = [[ long ]] .. t[tail]";
        let expected = ["local", "head", "redis", "call", "local", "s", "t", "tail"];
        assert_eq!(names(Language::Lua, text), expected);
    }

    #[test]
    fn identifiers_have_the_lines_on_which_they_stand() {
        let at = |name: &str, line| Identifier { name: name.to_owned(), line };
        assert_eq!(Language::Sql.identifiers("a /*\n\n*/ b\n\nc"), Ok(vec![at("a", 1), at("b", 3), at("c", 5)]));
        assert_eq!(Language::Rust.identifiers("a /*\n\n*/ b\n\nc"), Ok(vec![at("a", 1), at("b", 3), at("c", 5)]));
    }
}
