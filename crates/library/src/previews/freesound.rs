//! Freesound: sounds under Creative Commons licences, with previews as MP3. Needs a key.
//!
//! <https://freesound.org/docs/api/> describes it: 60 questions a minute, 150 results at the
//! most. A sound's licence asks to name who made it, so both are kept.

use serde_json::Value;

use super::{
    PreviewTrack,
    json::{address, day, id, results, seconds, text},
    service::{PreviewService, Question},
};
use crate::{Config, Error, ErrorKind, Result, keys};

pub(super) const NAME: &str = "freesound";
/// What is asked of each sound.
const FIELDS: &str = "id,name,username,license,url,duration,created,previews,images";

#[derive(Debug)]
pub(super) struct Freesound {
    base: String,
    key: Key,
    per_minute: usize,
}

struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

pub(super) fn make(config: &Config) -> Result<Box<dyn PreviewService>> {
    let Some(key) = config.get(keys::PREVIEWS_FREESOUND_KEY) else {
        return Err(Error::new(ErrorKind::Denied, "there is no key for Freesound").with_hint(
            "get one at https://freesound.org/apiv2/apply/ and set `FREESOUND_API_KEY` in the \
             environment or in `.env`",
        ));
    };
    refuse_a_projects_server(config)?;
    Ok(Box::new(Freesound {
        base: config.get(keys::PREVIEWS_FREESOUND_URL).to_owned(),
        key: Key(key.to_owned()),
        per_minute: config.get(keys::PREVIEWS_FREESOUND_RATE),
    }))
}

// The author of a folder's files would otherwise be sent the key of everybody who works there.
fn refuse_a_projects_server(config: &Config) -> Result<()> {
    let of_key = config.project_file(keys::PREVIEWS_FREESOUND_KEY);
    match config.project_file(keys::PREVIEWS_FREESOUND_URL) {
        Some(file) if of_key != Some(file) => Err(Error::usage("your key is not sent there")
            .because(format!(
                "`{}` names the server as `previews.freesound_url`, and the key is from elsewhere",
                file.display()
            ))
            .with_hint(
                "if you trust the server, name it in your own configuration or in the environment",
            )),
        _ => Ok(()),
    }
}

impl PreviewService for Freesound {
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
        Some(("Token", &self.key.0))
    }

    fn most(&self) -> usize {
        150
    }

    fn search(&self, words: &str, limit: usize) -> Question {
        question(words.to_owned(), None, limit)
    }

    fn look_up(&self, ids: &[String]) -> Question {
        question(String::new(), Some(format!("id:({})", ids.join(" OR "))), ids.len())
    }

    fn tracks(&self, answer: &[u8]) -> Result<Vec<PreviewTrack>, String> {
        Ok(results(answer)?.iter().filter_map(track).collect())
    }
}

fn question(query: String, filter: Option<String>, limit: usize) -> Question {
    let mut parameters = vec![("query", query)];
    parameters.extend(filter.map(|filter| ("filter", filter)));
    parameters.push(("fields", FIELDS.to_owned()));
    parameters.push(("page_size", limit.to_string()));
    Question { path: "search/text/", parameters }
}

fn track(of: &Value) -> Option<PreviewTrack> {
    let id = id(of, "id")?;
    let title = text(of, "name").unwrap_or_default();
    let artist = text(of, "username");
    let url = address(of, "url");
    let by = artist.as_deref().unwrap_or("an unknown user");
    let at = url.clone().unwrap_or_else(|| format!("https://freesound.org/s/{id}/"));
    Some(PreviewTrack {
        service: NAME,
        attribution: format!("\"{title}\" by {by}, {at}"),
        id,
        title,
        artist,
        duration: seconds(of, "duration", 1.0),
        released: day(of, "created"),
        preview_url: address(&of["previews"], "preview-hq-mp3")
            .or_else(|| address(&of["previews"], "preview-lq-mp3")),
        url,
        artwork_url: address(&of["images"], "waveform_m"),
        license: text(of, "license"),
        ..PreviewTrack::default()
    })
}
