//! Texts that others have made as long as they liked.

/// Leaves at most `most` characters, and marks where something is missing.
pub fn shorten(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn characters_count_and_not_bytes() {
        for (text, short) in [("", ""), ("äöü", "äöü"), ("äöüß", "äöü…")] {
            let mut text = text.to_owned();
            shorten(&mut text, 3);
            assert_eq!(text, short);
        }
    }
}
