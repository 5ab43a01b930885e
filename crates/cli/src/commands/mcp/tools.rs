//! What a language model can ask of a library.

use std::path::Path;

use rmcp::model::Tool;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use songrec_core::{Field, Filter, Job, Song, SongSummary};
use songrec_library::{
    ClusterList, ClusterName, EditChange, Error, Example, Library, Named, ShownSong,
    SimilarOptions, cluster_named, cluster_songs, clustering, clusters_of, edit, embed_file,
    explain_songs,
    find::{self, List, Listing, Order, OrderBy, Selection},
    labels, looked_up, rename_cluster,
    share::{self, Libraries},
    similar_to,
};

use super::{
    patterns, playlists, queues,
    shape::{MOST, document, text, tool, within, writing},
    synths,
};

/// A library, and whether it may be changed.
pub(super) struct Tools {
    pub(super) library: Library,
    pub(super) job: Job,
    pub(super) may_write: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(default)]
    words: String,
    #[serde(default)]
    filters: Vec<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SimilarTo {
    song: String,
    #[serde(default)]
    filters: Vec<String>,
    limit: Option<usize>,
    model: Option<String>,
    #[serde(default)]
    explain: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneSong {
    song: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Two {
    a: String,
    b: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clusters {
    cluster: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    song: String,
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    unset: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    cluster: String,
    name: String,
}

impl Tools {
    /// What can be asked for.
    pub(super) fn all(&self) -> Vec<Tool> {
        let song = text("A song: its id, words of its title, or the path of an audio file");
        let filters = json!({
            "type": "array", "items": { "type": "string" },
            "description": "Filters such as `bpm:120..130`, `genre:techno,house`, `key:~8A`, \
                            `instrument:kick`, `-artist:x`; songs pass all of them",
        });
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": MOST,
                            "description": "How many songs; 10 if it is not said" });
        let of_all = json!({ "type": "integer", "minimum": 1, "maximum": MOST,
                             "description": "How many; 10 if it is not said" });
        let mut tools = vec![
            tool(
                "search",
                "Lists songs by words of title, artist, album, genre, mood or path, and by filters.",
                &[],
                json!({ "words": text("Words"), "filters": filters, "limit": limit }),
            ),
            tool(
                "similar",
                "Lists the songs that sound like a song of the library or an audio file.",
                &["song"],
                json!({ "song": song, "filters": filters, "limit": limit,
                         "model": text("The model to compare by"),
                         "explain": { "type": "boolean", "description": "Whether to say why each one is similar" } }),
            ),
            tool(
                "describe",
                "Says everything that is known of a song, or of an audio file, which is analysed on the spot and not kept.",
                &["song"],
                json!({ "song": song }),
            ),
            tool(
                "explain",
                "Says why two songs match, with their values side by side.",
                &["a", "b"],
                json!({ "a": song, "b": song }),
            ),
            tool(
                "clusters",
                "Lists the groups of songs that sound alike, or the songs of one group.",
                &[],
                json!({ "cluster": text("The number or name of one group"), "limit": limit }),
            ),
            tool(
                "playlists",
                "Lists the playlists of the library, or the songs of one in their order.",
                &[],
                json!({ "playlist": text("The name or id of one playlist"),
                         "limit": { "type": "integer", "minimum": 1, "description": "How many songs of one; 50 if it is not said" } }),
            ),
            tool(
                "radio",
                "Makes a queue of songs that goes on from some songs; `new_playlist` keeps one.",
                &["songs"],
                json!({ "songs": { "type": "array", "items": song, "minItems": 1, "description": "Songs to go on from" },
                         "length": { "type": "integer", "minimum": 1, "maximum": MOST, "description": "How many songs; 25 if neither this nor `minutes` is said" },
                         "minutes": { "type": "number", "exclusiveMinimum": 0, "description": "How long they play together, at the least" },
                         "variety": { "type": "number", "minimum": 0, "maximum": 1, "description": "From 0, the most similar songs in their order, to 1, any of eight times as many" },
                         "seed": { "type": "integer", "minimum": 0, "description": "What chance is drawn from" },
                         "artist_spacing": { "type": "integer", "minimum": 0, "description": "Songs between two of one artist, at the least" },
                         "filters": filters, "model": text("The model to compare by") }),
            ),
            tool(
                "path",
                "Lists songs that lead from one song to another, step by step, both ends included.",
                &["a", "b"],
                json!({ "a": song, "b": song,
                         "length": { "type": "integer", "minimum": 2, "maximum": MOST, "description": "How many songs, with both ends; 10 if it is not said" },
                         "mix": { "type": "boolean", "description": "Whether each song can be mixed with the next, by key and tempo" },
                         "filters": filters, "model": text("The model in whose space it goes") }),
            ),
            tool("stats", "Counts songs, genres, tempos, keys and models.", &[], json!({})),
            tool(
                "sync_status",
                "Says what a sync with the other library would do, without doing it.",
                &[],
                json!({}),
            ),
        ];
        tools.extend(patterns::reading(&of_all));
        tools.extend(synths::reading(&of_all));
        let songs =
            json!({ "type": "array", "items": song, "description": "Songs, in their order" });
        if self.may_write {
            tools.extend([
                writing("edit", "Changes what is known of a song; audio files stay as they are.", &["song"],
                        json!({ "song": song,
                                "set": { "type": "object", "description": "Fields such as `title`, `genre`, `bpm` and their new values as text" },
                                "unset": { "type": "array", "items": { "type": "string" }, "description": "Fields that go back to what the file says" } })),
                writing("new_playlist", "Makes a playlist of songs; or one whose songs a rule gives, by filters or by songs to be like.", &["name"],
                        json!({ "name": text("What it is called; no other playlist may have the name"),
                                "songs": songs, "filters": filters, "like": songs,
                                "length": { "type": "integer", "minimum": 1, "description": "How many songs the rule gives, at the most" } })),
                writing("add_to_playlist", "Adds songs at the end of a playlist.", &["playlist", "songs"],
                        json!({ "playlist": text("Its name or id"), "songs": songs })),
                writing("rename_cluster", "Gives a group of songs another name.", &["cluster", "name"],
                        json!({ "cluster": text("Its number or name"), "name": text("The new name") })),
            ]);
            tools.extend(patterns::writing_tools(&song));
            tools.extend(synths::writing_tools());
        }
        tools
    }

    /// Does what a tool is for; gives its document.
    pub(super) async fn call(&self, name: &str, arguments: Value) -> Result<Value, Error> {
        match name {
            "search" => self.search(read(arguments)?).await,
            "similar" => self.similar(read(arguments)?).await,
            "describe" => self.describe(read(arguments)?).await,
            "explain" => {
                let Two { a, b } = read(arguments)?;
                document(&explain_songs(&self.library, &a, &b).await?)
            }
            "clusters" => self.clusters(read(arguments)?).await,
            "playlists" => playlists::shown(&self.library, read(arguments)?, &self.job).await,
            "new_playlist" if self.may_write => {
                playlists::new(&self.library, read(arguments)?, &self.job).await
            }
            "add_to_playlist" if self.may_write => {
                playlists::add(&self.library, read(arguments)?).await
            }
            "radio" => {
                let asked: queues::Queue = read(arguments)?;
                let filter = self.filter(&asked.filters, "").await?;
                queues::queue(&self.library, asked, filter).await
            }
            "path" => {
                let asked: queues::Way = read(arguments)?;
                let filter = self.filter(&asked.filters, "").await?;
                queues::way(&self.library, asked, filter).await
            }
            "stats" => {
                let Nothing {} = read(arguments)?;
                document(&find::stats(&self.library, &Filter::all()).await?)
            }
            "sync_status" => {
                let Nothing {} = read(arguments)?;
                self.sync_status().await
            }
            "patterns" => patterns::shown(&self.library, read(arguments)?).await,
            "similar_patterns" => patterns::similar(&self.library, read(arguments)?).await,
            "synths" => synths::shown(&self.library, read(arguments)?).await,
            "synth_lineage" => synths::lineage(&self.library, read(arguments)?).await,
            "add_pattern" if self.may_write => patterns::add(&self.library, read(arguments)?).await,
            "edit_pattern" if self.may_write => {
                patterns::edit(&self.library, read(arguments)?).await
            }
            "remove_pattern" if self.may_write => {
                patterns::remove(&self.library, read(arguments)?).await
            }
            "link_synths" if self.may_write => synths::link(&self.library, read(arguments)?).await,
            "unlink_synths" if self.may_write => {
                synths::unlink(&self.library, read(arguments)?).await
            }
            "edit" if self.may_write => self.edit(read(arguments)?).await,
            "rename_cluster" if self.may_write => {
                let Rename { cluster, name } = read(arguments)?;
                document(&ClusterName::of(&rename_cluster(&self.library, &cluster, &name).await?))
            }
            "edit" | "rename_cluster" | "new_playlist" | "add_to_playlist" | "add_pattern"
            | "edit_pattern" | "remove_pattern" | "link_synths" | "unlink_synths" => {
                Err(Error::usage("nothing can be changed")
                    .with_hint("`songrec mcp --allow-writes` allows it"))
            }
            _ => Err(Error::usage(format_args!("there is no tool `{name}`"))),
        }
    }

    async fn filter(&self, filters: &[String], words: &str) -> Result<Filter, Error> {
        let words: Vec<&str> = words.split_whitespace().collect();
        let of_words = Filter::of_words(&words).map_err(Error::usage)?;
        let filter = Filter::parse_all(filters).map_err(Error::usage)?.and(of_words);
        looked_up(&self.library, filter, &self.job).await
    }

    async fn search(&self, asked: Search) -> Result<Value, Error> {
        let filter = self.filter(&asked.filters, &asked.words).await?;
        let selection = Selection { filter, missing: None };
        let total = find::count(&self.library, &selection).await?;
        let order = Order { by: OrderBy::Artist, descending: false };
        let limit = within(asked.limit)?;
        let mut list = List::new(&self.library, Listing { selection, order, skip: 0, limit });
        let mut songs: Vec<SongSummary> = Vec::new();
        while let Some(page) = list.next().await? {
            songs.extend(page);
        }
        Ok(json!({ "songs": songs, "total": total }))
    }

    async fn similar(&self, asked: SimilarTo) -> Result<Value, Error> {
        let options = SimilarOptions {
            k: within(asked.limit)?,
            filter: self.filter(&asked.filters, "").await?,
            model: asked.model,
            explain: asked.explain,
            ..SimilarOptions::default()
        };
        document(&similar_to(&self.library, &[Example::like(asked.song)], &options).await?)
    }

    async fn describe(&self, asked: OneSong) -> Result<Value, Error> {
        match find::resolve(&self.library, &asked.song).await? {
            Named::Song(song) => self.shown(&song).await,
            Named::File(path) => self.described(&path).await,
        }
    }

    async fn shown(&self, song: &Song) -> Result<Value, Error> {
        let clusters = clusters_of(&self.library, std::slice::from_ref(song)).await?;
        let cluster = clusters.into_iter().flatten().next();
        let mut shown = document(&ShownSong::of(song, cluster.as_ref()))?;
        // Long, and nothing that a model can read anything from.
        for name in ["history", "stamps", "embeddings"] {
            shown.as_object_mut().map(|song| song.remove(name));
        }
        Ok(shown)
    }

    async fn described(&self, path: &Path) -> Result<Value, Error> {
        let model = self.library.search_model().await?.to_string();
        let embedders = self.library.models().embedders(&[model]).await?;
        let embedded = embed_file(path, &embedders, None, false).await?;
        let mut shown = document(&ShownSong::of(&embedded.song, None))?;
        for name in ["history", "stamps", "embeddings"] {
            shown.as_object_mut().map(|song| song.remove(name));
        }
        shown["in_library"] = json!(false);
        Ok(shown)
    }

    async fn clusters(&self, asked: Clusters) -> Result<Value, Error> {
        let interrupted = || Error::usage("interrupted");
        let Some(name) = asked.cluster else {
            let none = || {
                Error::not_found("this library has no clusters")
                    .with_hint("`songrec cluster` makes some")
            };
            let clustering = clustering(&self.library).await?.ok_or_else(none)?;
            let labels = labels(&self.library, &clustering, &self.job).await?;
            return document(&ClusterList::as_now(&clustering, &labels.ok_or_else(interrupted)?));
        };
        let (clustering, cluster) = cluster_named(&self.library, &name).await?;
        let songs = cluster_songs(&self.library, &clustering, cluster.id, &self.job).await?;
        let songs = songs.ok_or_else(interrupted)?;
        let shown: Vec<_> = songs.iter().take(within(asked.limit)?).copied().collect();
        let summaries = find::summaries(&self.library, &shown).await?;
        let mut document = document(&cluster)?;
        document["size"] = json!(songs.len());
        document["songs"] = json!(summaries);
        Ok(document)
    }

    async fn sync_status(&self) -> Result<Value, Error> {
        let (config, progress) = (self.library.shared_config(), self.job.progress.clone());
        let libraries = Libraries::open(config, None, None, progress).await?;
        let options = share::options(libraries.config())?;
        document(&share::plan(&libraries, &options, &self.job).await?)
    }

    async fn edit(&self, asked: Edit) -> Result<Value, Error> {
        let field = |name: &str| name.parse::<Field>().map_err(Error::usage);
        let mut changes = Vec::new();
        for (name, value) in &asked.set {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            changes.push(EditChange::Set(field(name)?, text));
        }
        for name in &asked.unset {
            changes.push(EditChange::Reset(field(name)?));
        }
        if changes.is_empty() {
            return Err(Error::usage("there is nothing to change")
                .with_hint("name fields in `set` or `unset`"));
        }
        let song = find::song(&self.library, &asked.song).await?;
        self.shown(&edit(&self.library, song.id, &changes).await?).await
    }
}

fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, Error> {
    serde_json::from_value(arguments)
        .map_err(|error| Error::usage("the arguments mean nothing").because(error))
}
