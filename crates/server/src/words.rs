//! What the library says a person can do, as requests.
//!
//! Below here a hint names a [`Remedy`]; this file alone says how a client does it.

use songrec_core::{Hint, Remedy, Scan};

/// A hint in the words of HTTP.
pub(crate) fn in_words(hint: &Hint) -> String {
    hint.worded(requested)
}

/// Puts a hint of an answer into the words of HTTP.
pub(crate) fn put_in_words(hint: &mut Hint) {
    *hint = in_words(hint).into();
}

// How a client asks for it; what only the machine itself can do is said as a command.
fn requested(remedy: &Remedy) -> String {
    let words = match remedy {
        Remedy::Init => "`songrec init` on the server's machine",
        Remedy::InitAstra { .. } => "`songrec init-astra` on the server's machine",
        Remedy::NameLibrary => "`--library` of `songrec serve`",
        Remedy::Clone => "`songrec clone` on the server's machine",
        Remedy::Verify { repair: false, read_data: false } => "`POST /api/v1/jobs/verify`",
        Remedy::Verify { repair: true, read_data: false } => {
            "`POST /api/v1/jobs/verify` with `{\"repair\":true}`"
        }
        Remedy::Verify { repair: false, read_data: true } => {
            "`POST /api/v1/jobs/verify` with `{\"read_data\":true}`"
        }
        Remedy::Verify { repair: true, read_data: true } => {
            "`POST /api/v1/jobs/verify` with `{\"repair\":true,\"read_data\":true}`"
        }
        Remedy::Scan(scan) => return scanned(scan),
        Remedy::PlanOnly => "`POST /api/v1/sync/plan`",
        Remedy::AllowDeletions(songs) => return format!("`\"max_delete\": {songs}`"),
        Remedy::Adopt => "`\"adopt\": true`",
        Remedy::Fully => "`\"full\": true`",
        Remedy::FewerJobs => "`songrec sync --jobs` on the server's machine",
        Remedy::Trash => "`GET /api/v1/trash`",
        Remedy::Conflicts(song) => return format!("`GET /api/v1/conflicts/{song}`"),
        Remedy::Machines => "`GET /api/v1/machines`",
        Remedy::GetAudio => "`GET /api/v1/songs/{id}/audio`",
        Remedy::GetFromCloud(song) => return format!("`GET /api/v1/songs/{song}/audio`"),
        Remedy::List => "`GET /api/v1/songs`",
        Remedy::ListSilent => "`GET /api/v1/songs?filter=warning:silent`",
        Remedy::Search => "`GET /api/v1/songs?q=WORDS`",
        Remedy::Filter(filter) => return format!("`filter={filter}`"),
        Remedy::Metric => "`metric`",
        Remedy::Model(None) => "`model`",
        Remedy::Model(Some(model)) => return format!("`model={model}`"),
        Remedy::Blend => "`blend`",
        Remedy::Weights => "`weight`",
        Remedy::Replace => "permission to replace it",
        Remedy::Describe(words) => return format!("`\"text\": \"{words}\"`"),
        Remedy::Cluster => "`POST /api/v1/jobs/cluster`",
        Remedy::Playlists => "`GET /api/v1/playlists`",
        Remedy::Patterns => "`GET /api/v1/patterns`",
        Remedy::NewPattern => "`POST /api/v1/patterns`",
        Remedy::NewPlaylist => "`POST /api/v1/playlists`",
        Remedy::Synths => "`GET /api/v1/synths`",
        Remedy::NewSynth => "`POST /api/v1/synths`",
        Remedy::UpdateSynth => "`POST /api/v1/synths` with `update`",
        Remedy::RenameSynth => "`PATCH /api/v1/synths/{id}` with `name`",
        Remedy::UnlinkSynth => "`DELETE /api/v1/synths/{id}/parents/{parent}`",
        Remedy::Stats => "`GET /api/v1/stats`",
        Remedy::Models => "`GET /api/v1/models`",
        Remedy::AddModel(None) => "`songrec model add` on the server's machine",
        Remedy::AddModel(Some((model, from))) => {
            return format!("`songrec model add {model} {from}` on the server's machine");
        }
        Remedy::UseFfmpeg => "`[decode] ffmpeg = true` on the server's machine",
        Remedy::ShowSettings => "`songrec config show` on the server's machine",
        Remedy::ShowFolders => "`songrec config path` on the server's machine",
    };
    words.to_owned()
}

fn scanned(scan: &Scan) -> String {
    let with = |body: String| format!("`POST /api/v1/jobs/scan` with `{body}`");
    let named = |model: &Option<String>| model.clone().unwrap_or_else(|| "NAME".to_owned());
    match scan {
        Scan::Again | Scan::Files => with("{\"path\":\"FOLDER\"}".to_owned()),
        Scan::Path(path) => with(format!("{{\"path\":\"{path}\"}}")),
        Scan::Failed => with("{\"failed\":true}".to_owned()),
        Scan::ByModel(model) => {
            with(format!("{{\"path\":\"FOLDER\",\"models\":[\"{}\"]}}", named(model)))
        }
        Scan::Unembedded(model) => {
            with(format!("{{\"missing\":true,\"models\":[\"{}\"]}}", named(model)))
        }
        Scan::Passages(model) => {
            with(format!("{{\"path\":\"FOLDER\",\"models\":[\"{model}\"],\"segments\":true}}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_a_request() {
        let hint =
            Hint::of("{} embeds songs, {} lists all", [Remedy::Scan(Scan::Files), Remedy::List]);

        assert_eq!(
            in_words(&hint),
            "`POST /api/v1/jobs/scan` with `{\"path\":\"FOLDER\"}` embeds songs, \
             `GET /api/v1/songs` lists all"
        );
    }
}
