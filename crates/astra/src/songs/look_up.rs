//! Looking songs up: by path, file, beginning of the id, title.

use std::collections::{BTreeSet, HashMap};

use futures::TryStreamExt;
use serde_json::json;
use songrec_core::{Digest, Song, SongId, fold};
use songrec_storage::{Lookup, Result};

use super::{Songs, about};
use crate::{
    client::{Find, Problem},
    facets::{ID_DIGITS, MOST_LOOKUP_KEYS, any_lookup_key, path_lookup_key},
    row::{PRESENT, Row, order_text, whole},
    shared::{AT_ONCE, at_once},
};

/// Songs that a prefix or a title names at the most, by the contract.
const NAMED: usize = 20;
/// The digits of a whole id.
const WHOLE_ID: usize = 32;

/// The songs of some files, in the order of their ids.
struct SongsOfFiles<'a> {
    by_path: HashMap<&'a str, Vec<SongId>>,
    by_hash: HashMap<Digest, Vec<SongId>>,
}

impl<'a> SongsOfFiles<'a> {
    fn of(songs: &'a HashMap<SongId, Song>) -> Self {
        let mut ids: Vec<&SongId> = songs.keys().collect();
        ids.sort_unstable();
        let mut of_files = Self { by_path: HashMap::new(), by_hash: HashMap::new() };
        for id in ids {
            for file in &songs[id].files {
                let same_path = of_files.by_path.entry(&file.path).or_default();
                if same_path.last() != Some(id) {
                    same_path.push(*id);
                }
                let same_hash = of_files.by_hash.entry(file.sha256).or_default();
                if same_hash.last() != Some(id) {
                    same_hash.push(*id);
                }
            }
        }
        of_files
    }
}

impl Songs {
    pub(crate) async fn look_up(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        let mut answers: Vec<Vec<SongId>> = vec![Vec::new(); lookups.len()];
        let songs = self.songs_of_files(lookups).await?;
        let of_files = SongsOfFiles::of(&songs);
        // Whole ids are read together; real prefixes one by one.
        let whole_ids: Vec<SongId> = lookups.iter().filter_map(whole_id).collect();
        let rows = self.rows(&whole_ids, json!({"state": 1, "sync": 1, "keys": 1})).await?;
        let mut prefixes: HashMap<String, Vec<usize>> = HashMap::new();
        let mut titles: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, lookup) in lookups.iter().enumerate() {
            match lookup {
                Lookup::Path(path) => {
                    answers[at] = of_files.by_path.get(path.as_str()).cloned().unwrap_or_default();
                }
                Lookup::FileHash(hash) => {
                    answers[at] = of_files.by_hash.get(hash).cloned().unwrap_or_default();
                }
                Lookup::IdPrefix(text) if digits(text).len() == WHOLE_ID => {
                    let row = whole_id(lookup).and_then(|id| rows.get(&id));
                    let row = row.filter(|row| row.is_present());
                    answers[at] = row.map(|row| row.id).into_iter().collect();
                }
                Lookup::IdPrefix(text) => prefixes.entry(digits(text)).or_default().push(at),
                Lookup::Title(title) => titles.entry(title).or_default().push(at),
            }
        }
        let found = prefixes.into_iter().map(|(prefix, positions)| async move {
            Ok::<_, songrec_storage::Error>((positions, self.ids_beginning(prefix).await?))
        });
        let found: Vec<(Vec<usize>, Vec<SongId>)> = at_once(AT_ONCE, found.collect()).await?;
        let titled = titles.into_iter().map(|(title, positions)| async move {
            Ok::<_, songrec_storage::Error>((positions, self.ids_titled(title).await?))
        });
        let titled = at_once(AT_ONCE, titled.collect()).await?;
        for (positions, ids) in found.into_iter().chain(titled) {
            for at in positions {
                answers[at] = ids.clone();
            }
        }
        Ok(answers)
    }

    // The songs that have one of the paths or hashes: all are asked for together.
    async fn songs_of_files(&self, lookups: &[Lookup]) -> Result<HashMap<SongId, Song>> {
        let (mut paths, mut files) = (Vec::new(), Vec::new());
        for lookup in lookups {
            match lookup {
                Lookup::Path(path) => paths.push(path_lookup_key(path)),
                Lookup::FileHash(hash) => files.push(hash.to_string()),
                Lookup::IdPrefix(_) | Lookup::Title(_) => {}
            }
        }
        let mut songs = HashMap::new();
        for (field, mut lookup_keys) in [("find.path", paths), ("find.file", files)] {
            lookup_keys.sort_unstable();
            lookup_keys.dedup();
            let find = |chunk: &[String]| {
                let filter = json!({"$and": [{"state": PRESENT}, {field: any_lookup_key(chunk)}]});
                let find = Find::new(filter).project(whole());
                self.shared.songs.find::<Row>(find).try_collect()
            };
            let found: Vec<Vec<Row>> =
                at_once(AT_ONCE, lookup_keys.chunks(MOST_LOOKUP_KEYS).map(find).collect())
                    .await
                    .map_err(|error| self.shared.failed("look up", "songs", error))?;
            for row in found.into_iter().flatten() {
                match row.song() {
                    Ok(song) => songs.extend(song.map(|song| (row.id, song))),
                    // A read of the song reports it.
                    Err(wrong) => tracing::warn!("left out of a look-up: {wrong}"),
                }
            }
        }
        Ok(songs)
    }

    // The first ids with this beginning. Where there are too many to sort, the
    // beginnings that are one digit longer are asked for in turn.
    async fn ids_beginning(&self, prefix: String) -> Result<Vec<SongId>> {
        if !prefix.bytes().all(|b| b.is_ascii_hexdigit()) || prefix.len() > WHOLE_ID {
            return Ok(Vec::new());
        }
        let mut ids = Vec::new();
        let mut open = vec![prefix.clone()];
        while let Some(part) = open.pop() {
            let searched = &part[..part.len().min(ID_DIGITS)];
            let mut filter = vec![json!({"state": PRESENT})];
            if !searched.is_empty() {
                filter.push(json!({"find.id": searched}));
            }
            let mut taken = 0;
            loop {
                let find = Find::new(json!({"$and": filter}))
                    .project(json!({"state": 1}))
                    .sort(json!({"order.id": 1}))
                    .limit(NAMED)
                    .skip(taken);
                let page = match self.shared.songs.find_page::<Row>(&find).await {
                    Ok(page) => page.documents,
                    Err(error)
                        if error.problem() == Problem::SortTooLarge && part.len() < ID_DIGITS =>
                    {
                        let longer = "fedcba9876543210".chars();
                        open.extend(longer.map(|digit| format!("{part}{digit}")));
                        break;
                    }
                    Err(error) => {
                        return Err(self.shared.failed(
                            "look up",
                            format_args!("`{prefix}`"),
                            error,
                        ));
                    }
                };
                taken += page.len();
                let last = self.shared.is_last_page(page.len(), NAMED);
                let matches = |id: &SongId| id.to_string().replace('-', "").starts_with(&prefix);
                ids.extend(page.into_iter().map(|row| row.id).filter(matches));
                if last || ids.len() >= NAMED {
                    break;
                }
            }
            if ids.len() >= NAMED {
                break;
            }
        }
        ids.truncate(NAMED);
        Ok(ids)
    }

    // The first ids of songs with this title. What is stored of a long title is
    // its beginning, so the summaries decide.
    async fn ids_titled(&self, title: &str) -> Result<Vec<SongId>> {
        let wanted = fold(title);
        let matches = |row: &Row| match row.summary() {
            Ok(summary) => Ok((fold(&summary.title) == wanted).then_some(row.id)),
            Err(error) => Err(self.shared.damaged("look up", about(row.id), error)),
        };
        let titled = json!({"$and": [{"state": PRESENT}, {"order.title": order_text(title)}]});
        let find = Find::new(titled).project(json!({"state": 1, "card": 1}));
        let mut ids = Vec::new();
        let mut taken = 0;
        loop {
            let sorted = find.clone().sort(json!({"order.id": 1})).limit(NAMED).skip(taken);
            let page = match self.shared.songs.find_page::<Row>(&sorted).await {
                Ok(page) => page.documents,
                Err(error) if error.problem() == Problem::SortTooLarge => break,
                Err(error) => return Err(self.shared.failed("look up", "a title", error)),
            };
            taken += page.len();
            for row in &page {
                ids.extend(matches(row)?);
            }
            if self.shared.is_last_page(page.len(), NAMED) || ids.len() >= NAMED {
                ids.truncate(NAMED);
                return Ok(ids);
            }
        }
        // More than the server sorts: all of them pass by.
        let mut first = BTreeSet::new();
        let mut rows = std::pin::pin!(self.shared.songs.find::<Row>(find));
        let failed = |error| self.shared.failed("look up", "a title", error);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            first.extend(matches(&row)?);
            if first.len() > NAMED {
                first.pop_last();
            }
        }
        Ok(first.into_iter().collect())
    }
}

fn digits(text: &str) -> String {
    text.replace('-', "").to_lowercase()
}

// The id, if a look-up names one whole.
fn whole_id(lookup: &Lookup) -> Option<SongId> {
    match lookup {
        Lookup::IdPrefix(text) if digits(text).len() == WHOLE_ID => digits(text).parse().ok(),
        _ => None,
    }
}
