//! Reading tokens out of a text, with the line and column of what is wrong. Knows nothing of graphs; every text form of
//! the project can be read with it. Spaces, newlines and `;` comments separate tokens and mean nothing else.

use std::fmt;

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    /// At the start.
    pub fn new(text: &'t str) -> Cursor<'t> {
        Cursor { text, at: 0 }
    }

    /// What is left, from the next token on.
    pub fn rest(&mut self) -> &'t str {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with(';') {
                return trimmed;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// Is nothing left?
    pub fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Steps over a punctuation token if it is next.
    pub fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Steps over a word if it is next, and only if it is the whole word.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek_word() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    /// Steps over a punctuation token or complains.
    pub fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"))) }
    }

    /// The next word (letters, digits, `_`, and `-` between them), empty if there is none.
    pub fn peek_word(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
        rest[..end].trim_end_matches('-')
    }

    /// Steps over a word or complains that there is none.
    pub fn word(&mut self, what: &str) -> Result<&'t str, ParseError> {
        let word = self.peek_word();
        if word.is_empty() || word.starts_with('-') {
            return Err(self.expected(what));
        }
        self.at += word.len();
        Ok(word)
    }

    /// Steps over a literal: everything up to a space, comma, bracket or comment.
    pub fn literal(&mut self, what: &str) -> Result<&'t str, ParseError> {
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || ",()[]{};".contains(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected(what));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    /// A comma-separated list up to the closing token, which may follow at once.
    pub fn list<T>(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Cursor<'t>) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(close) {
                return Ok(items);
            }
            if !self.eat(",") {
                return Err(self.expected(&format!("`,` or `{close}`")));
            }
        }
    }

    /// A mark of the next token, for errors about it once it is read.
    pub fn mark(&mut self) -> Cursor<'t> {
        self.rest();
        *self
    }

    /// An error at the next token.
    pub fn error(&mut self, message: impl Into<String>) -> ParseError {
        self.rest();
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        ParseError { line, column, message: message.into() }
    }

    /// The error that something else stands where `what` should.
    pub fn expected(&mut self, what: &str) -> ParseError {
        let rest = self.rest();
        let word = self.peek_word();
        let found = match rest.chars().next() {
            None => "the end of the text".to_owned(),
            Some(_) if !word.is_empty() => format!("`{word}`"),
            Some(c) => format!("`{c}`"),
        };
        self.error(format!("expected {what}, found {found}"))
    }
}
