//! Addresses that songs and services name, which anybody may have written.

use songrec_core::Song;

const LONGEST: usize = 4_000;

/// Whether a text may be an address that a browser opens.
pub(crate) fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |c: char| !c.is_whitespace() && !c.is_control();
    rest.is_some_and(|rest| !rest.is_empty()) && text.len() <= LONGEST && text.chars().all(fits)
}

/// The address in a song's field `extra.NAME`, if it is one.
pub(crate) fn named_address(song: &Song, name: &str) -> Option<String> {
    song.effective_tags().extra.remove(name).filter(|text| is_web_address(text))
}
