//! Takes the sting out of text that somebody else wrote, before a terminal sees it.
//!
//! Escape sequences can clear a screen, set a window's title or make a line look like another; so control characters
//! are shown as escapes instead of being sent. Invariant: what comes out has no control character but tab and, in logs,
//! the line feed.

use std::borrow::Cow;

/// Whether a terminal might do something with `c` other than show it.
pub fn is_unsafe(c: char) -> bool {
    // Overrides and isolates of writing direction make text look like other text.
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// `text` on one line, with every control character shown as an escape.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len() + 8), |mut shown, c| {
        push_shown(&mut shown, c);
        shown
    }))
}

fn push_shown(shown: &mut String, c: char) {
    if is_unsafe(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
}

/// Cleans a log that arrives in pieces, which may break in the middle of a character.
#[derive(Debug, Default)]
pub struct LogCleaner {
    /// The bytes of a character whose rest has not arrived.
    rest: Vec<u8>,
}

impl LogCleaner {
    /// The next piece, safe to print. Bytes that are no UTF-8 become U+FFFD.
    pub fn push(&mut self, piece: &[u8]) -> String {
        self.rest.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.rest);
        let mut shown = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                // A carriage return before a line feed belongs to the line's end; alone it would hide what came before.
                if matches!(c, '\n' | '\t') {
                    shown.push(c)
                } else if c != '\r' {
                    push_shown(&mut shown, c)
                }
            }
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && !invalid.is_empty() && is_unfinished(invalid) {
                self.rest = invalid.to_vec();
            } else if !invalid.is_empty() {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
        }
        shown
    }

    /// What is left when nothing more comes.
    pub fn finish(&mut self) -> &'static str {
        if std::mem::take(&mut self.rest).is_empty() { "" } else { "\u{fffd}" }
    }
}

/// Whether `bytes` may be the beginning of a character.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_and_not_sent() {
        for (text, shown) in [
            ("web-api", "web-api"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\nb\rc", "a\\nb\\rc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("file\u{202e}gpj.exe", "file\\u{202e}gpj.exe"),
            ("größe", "größe"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    #[test]
    fn a_log_keeps_its_lines_and_survives_any_cut() {
        let log = "first\r\n\tzwölf \u{1b}]0;title\u{7} 漢\n".as_bytes();
        for cut in 0..=log.len() {
            let mut cleaner = LogCleaner::default();
            let mut shown = cleaner.push(&log[..cut]);
            shown.push_str(&cleaner.push(&log[cut..]));
            shown.push_str(cleaner.finish());
            assert_eq!(shown, "first\n\tzwölf \\u{1b}]0;title\\u{7} 漢\n", "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        let mut cleaner = LogCleaner::default();
        assert_eq!(cleaner.push(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(cleaner.push(b"\xe6\xbc"), "");
        assert_eq!(cleaner.finish(), "\u{fffd}");
    }
}
