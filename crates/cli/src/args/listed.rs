//! What is listed, and what of each thing can be printed.

use std::fmt::Debug;

use crate::table::Column;

/// A kind of thing that commands list.
pub(crate) trait Listed: Clone + Copy + Debug + Send + Sync + 'static {
    /// One of them, and each of them.
    const ONE: &'static str;
    const EACH: &'static str;
    /// Some of its fields, as `--columns` takes them.
    const COLUMNS: &'static str;
    /// A line with some of them, as `--format` takes it, and the shortest one.
    const FORMAT: &'static str;
    const EXAMPLE: &'static str;
    /// What stands between tabs where no columns are named.
    const USUAL: &'static [&'static str];

    /// What can be printed of one: names of its fields in JSON, and how a column of
    /// each looks.
    fn fields() -> Vec<Column>;
}

// What lists say of a song.
const SONG: [Column; 17] = [
    Column::text("id"),
    Column::cut("artist", 3),
    Column::cut("title", 4),
    Column::cut("album", 2),
    Column::cut("genres", 2),
    Column::cut("moods", 2),
    Column::cut("instrument", 2),
    Column::text("loop"),
    Column::number("year"),
    Column::number("bpm"),
    Column::text("key"),
    Column::number("duration"),
    Column::cut("path", 3),
    Column::text("codec"),
    Column::number("size"),
    Column::cut("models", 2),
    Column::cut("warnings", 2),
];

const PLACE: [Column; 3] =
    [Column::number("rank"), Column::number("similarity"), Column::number("distance")];

macro_rules! listed {
    ($(#[doc = $doc:literal])* $kind:ident: $one:literal, $each:literal,
        $columns:literal, $format:literal, $example:literal,
        [$($usual:literal),* $(,)?], $fields:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $kind;

        impl Listed for $kind {
            const ONE: &'static str = $one;
            const EACH: &'static str = $each;
            const COLUMNS: &'static str = $columns;
            const FORMAT: &'static str = $format;
            const EXAMPLE: &'static str = $example;
            const USUAL: &'static [&'static str] = &[$($usual),*];

            fn fields() -> Vec<Column> {
                $fields.into_iter().collect()
            }
        }
    };
}

listed!(
    /// Songs.
    Songs: "a song", "each song",
    "title,bpm,path", r"{artist} - {title}\t{path}", "{title}",
    ["id", "artist", "title", "album", "genres", "bpm", "key", "duration", "path"],
    PLACE.into_iter().chain(SONG)
);

listed!(
    /// Songs that are like no others.
    Outliers: "a song", "each song",
    "score,title,reasons", r"{score}\t{title}\t{path}", "{title}",
    ["score", "id", "artist", "title", "reasons", "path"],
    [Column::number("score"), Column::cut("reasons", 4)].into_iter().chain(SONG)
);

listed!(
    /// Files of recordings that are there more than once, or songs that almost are.
    Copies: "a copy", "each copy",
    "group,title,path", r"{group}\t{path}", "{path}",
    ["group", "id", "title", "similarity", "identical", "size", "path"],
    [Column::number("group"), Column::number("similarity"), Column::text("identical")]
        .into_iter()
        .chain(SONG)
);

listed!(
    /// Regions of songs.
    Patterns: "a pattern", "each pattern",
    "id,kind,start,end", r"{title}\t{start}\t{end}\t{kind}", "{kind}",
    ["id", "song", "title", "start", "end", "low", "high", "kind", "confidence", "source", "model"],
    PLACE.into_iter().chain([
        Column::text("id"),
        Column::text("song"),
        Column::cut("title", 4),
        Column::cut("artist", 3),
        Column::number("start"),
        Column::number("end"),
        Column::number("low"),
        Column::number("high"),
        Column::cut("kind", 3),
        Column::number("confidence"),
        Column::cut("source", 2),
        Column::cut("metadata", 3),
        Column::text("model"),
        Column::number("dimension"),
        Column::text("created_at"),
        Column::text("changed_at"),
    ])
);

listed!(
    /// Definitions for SuperCollider.
    Synths: "a synth", "each synth",
    "name,category,gate", r"{name}\t{file_path}", "{name}",
    ["id", "name", "category", "channels", "gate", "controls", "file_path"],
    [
        Column::text("id"),
        Column::cut("name", 3),
        Column::text("category"),
        Column::number("channels"),
        Column::text("gate"),
        Column::cut("controls", 3),
        Column::cut("file_path", 3),
        Column::text("file_hash"),
        Column::text("machine"),
        Column::cut("unsure", 2),
        Column::cut("parents", 2),
        Column::cut("notes", 2),
        Column::text("created_at"),
        Column::text("updated_at"),
    ]
);

listed!(
    /// Playlists.
    Playlists: "a playlist", "each playlist",
    "name,songs", r"{id}\t{name}", "{name}",
    ["id", "name", "songs", "rule", "updated_at"],
    [
        Column::text("id"),
        Column::cut("name", 3),
        Column::number("songs"),
        Column::cut("rule", 2),
        Column::text("beside"),
        Column::text("created_at"),
        Column::text("updated_at"),
    ]
);

listed!(
    /// Groups of songs that sound alike.
    Clusters: "a cluster", "each cluster",
    "name,size,typical", r"{cluster_id}\t{name}", "{name}",
    ["cluster_id", "name", "size", "tightness", "genres", "typical"],
    [
        Column::number("cluster_id"),
        Column::cut("name", 3),
        Column::number("size"),
        Column::number("tightness"),
        Column::cut("genres", 2),
        Column::number("purity"),
        Column::text("named_by_hand"),
        Column::cut("typical", 2),
    ]
);

listed!(
    /// Songs that were deleted.
    Trashed: "a deleted song", "each deleted song",
    "song,title,paths", r"{song}\t{title}", "{title}",
    ["song", "title", "deleted_at", "paths"],
    [
        Column::text("song"),
        Column::cut("title", 4),
        Column::text("deleted_at"),
        Column::cut("paths", 3),
    ]
);

listed!(
    /// Values that lost a merge.
    Lost: "a conflict", "each conflict",
    "title,field,other", r"{song}\t{field}\t{other}", "{field}",
    ["song", "title", "field", "shown", "other", "set_at"],
    [
        Column::text("song"),
        Column::cut("title", 3),
        Column::text("field"),
        Column::cut("shown", 3),
        Column::cut("other", 3),
        Column::text("set_at"),
    ]
);

listed!(
    /// Machines that share a library.
    Machines: "a machine", "each machine",
    "name,last_seen", r"{id}\t{name}", "{name}",
    ["id", "name", "last_seen", "round", "retired", "version"],
    [
        Column::text("id"),
        Column::cut("name", 2),
        Column::text("last_seen"),
        Column::number("round"),
        Column::text("retired"),
        Column::text("version"),
    ]
);

listed!(
    /// What can embed.
    Embedding: "a model", "each model",
    "name,dimension", r"{name}\t{kind}", "{name}",
    ["name", "dimension", "metric", "reads_text", "kind"],
    [
        Column::text("name"),
        Column::number("dimension"),
        Column::text("metric"),
        Column::text("reads_text"),
        Column::text("kind"),
        Column::cut("description", 3),
        Column::number("sample_rate"),
        Column::number("window"),
        Column::text("engine"),
        Column::cut("licence", 2),
        Column::cut("folder", 3),
        Column::cut("url", 3),
    ]
);

listed!(
    /// Tracks of a music service.
    Tracks: "a track", "each track",
    "id,title,preview_url", r"{id}\t{artist} - {title}", "{title}",
    ["id", "title", "artist", "album", "released", "song", "preview_url"],
    [
        Column::text("id"),
        Column::cut("title", 4),
        Column::cut("artist", 3),
        Column::cut("album", 3),
        Column::cut("genre", 2),
        Column::number("duration"),
        Column::text("released"),
        Column::text("song"),
        Column::text("service"),
        Column::cut("preview_url", 3),
        Column::cut("url", 3),
        Column::cut("artwork_url", 2),
        Column::cut("license", 2),
        Column::cut("attribution", 2),
    ]
);
