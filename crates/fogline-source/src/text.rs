//! Words of strangers, as people may be shown them.

/// At most so many characters, without any that move the cursor, colour, or turn the direction of writing.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let harmless = |c: char| {
        let turns =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || turns { ' ' } else { c }
    };
    // Of a long text no more is copied than is kept.
    let mut rest = text.chars().map(harmless).skip_while(|c| c.is_whitespace());
    let mut kept: String = rest.by_ref().take(most).collect();
    if rest.all(char::is_whitespace) {
        kept.truncate(kept.trim_end().len());
    } else {
        kept.pop();
        kept.push('…');
    }
    kept
}

/// The share of a stranger's words in a reason, in characters.
pub(crate) const STRANGER_CHARS: usize = 200;

/// What a stranger said.
pub(crate) fn said(text: &str) -> String {
    shown(text, STRANGER_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_controls_a_terminal_is_left() {
        assert_eq!(shown(" a\u{1b}[31mb\r\n\u{202e}c\u{0}\u{9b}d ", 99), "a [31mb   c  d");
        assert_eq!(shown("abcdef", 4), "abc…");
        assert_eq!(shown("äöüß", 4), "äöüß");
        assert_eq!(shown("  ab \t\n  ", 4), "ab");
        assert_eq!(shown("abcd   ", 4), "abcd");
        assert_eq!(shown("abc e", 4), "abc…");
        assert_eq!(shown(" \n ", 4), "");
        assert_eq!(said(&"x".repeat(1_000)).chars().count(), STRANGER_CHARS);
    }
}
