//! The token by which servers know their agents and proxies. Must never be shown. Tests: below.

use std::fmt;

/// The token by which servers know their agents and proxies. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps the token's text; blanks around it are not part of it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text, to be sent and for nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_trimmed_and_never_shown() {
        let token = Token::new(" secret\n");
        assert_eq!(token.reveal(), "secret");
        assert!(!format!("{token:?}").contains("secret"));
    }
}
