//! How texts are compared: without case, accents or punctuation.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// `text` without case and accents, for comparing: `Björk` becomes `bjork`.
pub fn fold(text: &str) -> String {
    // Most names are plain, and nothing else below changes those.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkd()
        .filter(|character| !is_combining_mark(*character))
        .flat_map(char::to_lowercase)
        .map(|character| match character {
            'ø' => 'o',
            'ł' => 'l',
            'đ' => 'd',
            'ı' => 'i',
            other => other,
        })
        .collect::<String>()
        .replace('ß', "ss")
        .replace('æ', "ae")
        .replace('œ', "oe")
}

/// The words of `text`, folded: runs of letters and runs of digits, so that
/// `Kick_01` and `kick01` are both `kick` and `01`.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = Class::Other;
    for character in fold(text).chars() {
        let class = Class::of(character);
        if class != Class::Other {
            if class != last {
                words.push(String::new());
            }
            words.last_mut().expect("pushed when the class changed").push(character);
        }
        last = class;
    }
    words
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Letter,
    Digit,
    Other,
}

impl Class {
    fn of(character: char) -> Self {
        if character.is_numeric() {
            Self::Digit
        } else if character.is_alphabetic() {
            Self::Letter
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_forgets_case_and_accents() {
        assert_eq!(fold("Björk ÆØÅ Straße Ｆｕｌｌ"), "bjork aeoa strasse full");
    }

    #[test]
    fn plain_text_only_loses_its_case() {
        let every: String = (0..128u8).map(char::from).collect();

        assert_eq!(fold(&every) + "e", fold(&(every + "é")));
    }

    #[test]
    fn words_are_letters_or_digits() {
        assert_eq!(words("Kick_01-Deep(120bpm).wav"), ["kick", "01", "deep", "120", "bpm", "wav"]);
        assert_eq!(words("—…!"), Vec::<String>::new());
    }
}
