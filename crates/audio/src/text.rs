//! Texts from files, as they are kept.

/// The longest text that is kept, in characters.
const LONGEST: usize = 1_000;

/// A text without control and invisible characters, with single blanks, of
/// bounded length; None if nothing is left.
pub(crate) fn clean(text: &str) -> Option<String> {
    let hidden = |c: char| {
        matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
    };
    let spaced: String = text
        .chars()
        .filter(|&c| !hidden(c))
        .map(|c| if c.is_control() { ' ' } else { c })
        // Blanks are about to be folded; a few times the limit is enough.
        .take(LONGEST * 4)
        .collect();
    let folded = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = folded.chars().take(LONGEST).collect();
    let cut = cut.trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_freed_of_what_nobody_sees() {
        assert_eq!(clean(" a\tb\n\u{7}c\u{202e}d \0").as_deref(), Some("a b cd"));
        assert_eq!(clean("\u{feff} \r\n"), None);
        assert_eq!(clean(&"x".repeat(5_000)).map(|text| text.len()), Some(1_000));
    }
}
