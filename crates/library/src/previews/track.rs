//! What a service says of a track.

use serde::Serialize;
use songrec_core::{Song, Tags};

/// Which service a song's `track_id` is of.
pub(super) const SERVICE: &str = "preview_service";
pub(super) const TRACK_ID: &str = "track_id";
pub(crate) const PREVIEW_URL: &str = "preview_url";
/// Of this service a track is of which nobody says it: the old recommender knew no other.
const FIRST: &str = "itunes";

/// A track of a music service, as the service says. Addresses begin with `http`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PreviewTrack {
    /// The service, such as `itunes`.
    pub service: &'static str,
    /// What the service calls the track: digits.
    pub id: String,
    /// Its title; empty if the service has none.
    pub title: String,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// What it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    /// What the service calls the album: digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album_id: Option<String>,
    /// Its genre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// The length of the whole track, in seconds; the preview may be shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// When it came out, or was sent to the service, such as `1999-04-20`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// The preview's audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_url: Option<String>,
    /// The track's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The artist's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist_url: Option<String>,
    /// The album's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album_url: Option<String>,
    /// A picture of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artwork_url: Option<String>,
    /// Under which licence the audio is, usually as an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Whom to name where the preview is used.
    pub attribution: String,
}

impl PreviewTrack {
    /// What is kept of it in a song: what has no field of its own is `extra`, under the names
    /// that the old recommender had for it.
    pub(super) fn tags(&self) -> Tags {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let extra = [
            (SERVICE, Some(self.service.to_owned())),
            (TRACK_ID, Some(self.id.clone())),
            (PREVIEW_URL, self.preview_url.clone()),
            ("track_view_url", self.url.clone()),
            ("artist_view_url", self.artist_url.clone()),
            ("collection_view_url", self.album_url.clone()),
            ("collection_id", self.album_id.clone()),
            ("artwork_url", self.artwork_url.clone()),
            ("release_date", self.released.clone()),
            ("track_time_millis", self.duration.map(|seconds| format!("{:.0}", seconds * 1000.0))),
            ("license", self.license.clone()),
            ("attribution", text(&self.attribution)),
        ];
        // A service for sounds says when they were sent, which is no year of a recording.
        let year = self.released.as_deref().filter(|_| self.album.is_some());
        Tags {
            title: text(&self.title),
            artist: self.artist.clone(),
            album: self.album.clone(),
            genres: self.genre.clone().into_iter().collect(),
            year: year.and_then(|date| date.get(..4)?.parse().ok()),
            extra: extra
                .into_iter()
                .filter_map(|(name, value)| Some((name.into(), value?)))
                .collect(),
            ..Tags::default()
        }
    }

    /// Whether `song` is this track.
    pub(super) fn is_of(&self, song: &Song) -> bool {
        let extra = song.effective_tags().extra;
        let service = extra.get(SERVICE).map_or(FIRST, String::as_str);
        service == self.service && extra.get(TRACK_ID) == Some(&self.id)
    }
}
