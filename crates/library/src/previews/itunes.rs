//! Apple's iTunes Search API: songs of its store, with previews of up to 30 s. Needs no key.
//!
//! <https://performance-partners.apple.com/search-api> describes it: about 20 questions a
//! minute, 200 results at the most.

use serde_json::Value;

use super::{
    PreviewTrack,
    json::{address, day, id, results, seconds, text},
    service::{PreviewService, Question},
};
use crate::{Config, Error, Result, keys};

pub(super) const NAME: &str = "itunes";
/// What Apple asks for where a preview is used.
const ATTRIBUTION: &str = "preview provided courtesy of iTunes";

#[derive(Debug)]
pub(super) struct Itunes {
    base: String,
    country: String,
    per_minute: usize,
}

pub(super) fn make(config: &Config) -> Result<Box<dyn PreviewService>> {
    let country = config.get(keys::PREVIEWS_COUNTRY).to_owned();
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Error::usage(format_args!("`{country}` is no country"))
            .with_hint("set `previews.country` to two letters, such as `US` or `DE`"));
    }
    Ok(Box::new(Itunes {
        base: config.get(keys::PREVIEWS_ITUNES_URL).to_owned(),
        country,
        per_minute: config.get(keys::PREVIEWS_ITUNES_RATE),
    }))
}

impl PreviewService for Itunes {
    fn name(&self) -> &'static str {
        NAME
    }

    fn base(&self) -> &str {
        &self.base
    }

    fn per_minute(&self) -> usize {
        self.per_minute
    }

    fn key(&self) -> Option<(&'static str, &str)> {
        None
    }

    fn most(&self) -> usize {
        200
    }

    fn search(&self, words: &str, limit: usize) -> Question {
        let parameters = vec![
            ("term", words.to_owned()),
            ("media", "music".to_owned()),
            ("entity", "song".to_owned()),
            ("country", self.country.clone()),
            ("limit", limit.to_string()),
        ];
        Question { path: "search", parameters }
    }

    fn look_up(&self, ids: &[String]) -> Question {
        let parameters = vec![("id", ids.join(",")), ("country", self.country.clone())];
        Question { path: "lookup", parameters }
    }

    fn tracks(&self, answer: &[u8]) -> Result<Vec<PreviewTrack>, String> {
        Ok(results(answer)?.iter().filter_map(track).collect())
    }
}

// Albums and artists, which have ids as well, are no tracks.
fn track(of: &Value) -> Option<PreviewTrack> {
    let is = |field: &str, wanted: &str| of[field].as_str().is_none_or(|found| found == wanted);
    if !is("wrapperType", "track") || !is("kind", "song") {
        return None;
    }
    Some(PreviewTrack {
        service: NAME,
        id: id(of, "trackId")?,
        title: text(of, "trackName").unwrap_or_default(),
        artist: text(of, "artistName"),
        album: text(of, "collectionName"),
        album_id: id(of, "collectionId"),
        genre: text(of, "primaryGenreName"),
        duration: seconds(of, "trackTimeMillis", 1000.0),
        released: day(of, "releaseDate"),
        preview_url: address(of, "previewUrl"),
        url: address(of, "trackViewUrl"),
        artist_url: address(of, "artistViewUrl"),
        album_url: address(of, "collectionViewUrl"),
        artwork_url: address(of, "artworkUrl100"),
        license: None,
        attribution: ATTRIBUTION.to_owned(),
    })
}
