//! What can be asked of a backend, and what comes back.

use songrec_core::{
    Digest, Filter, Metric, ModelName, ModelSpec, Pattern, Segment, SegmentId, SongId, Vector,
};

/// Songs that pass a filter, in an order, a page at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SongQuery {
    /// Which songs.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// Where the page begins: after the page that gave this token. Only valid
    /// with the filter and order that it came from.
    pub after: Option<PageToken>,
    /// How many songs to leave out, counted from where the page begins.
    pub skip: usize,
    /// How many songs to give at the most; a page is full unless it is the
    /// last. Backends may give fewer than a limit above 1,000.
    pub limit: usize,
}

/// An order of songs. Equal songs are in order of their ids, and songs
/// without the value come last in either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The value that counts.
    pub by: OrderBy,
    /// From high to low.
    pub descending: bool,
}

/// What songs can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the usual tags")]
pub enum OrderBy {
    /// Whatever order costs least, either way, for whoever looks at every song: as `Id`, but
    /// a song that is deleted meanwhile and comes back may be met twice, and the pages end
    /// with an error where a catalog is made again between them.
    Any,
    /// No order that means anything, but always the same while nothing
    /// changes.
    #[default]
    Id,
    Title,
    /// By artist, and then by album, disc, track, title and path, as
    /// [`sort_key`](songrec_core::sort_key) says. Every song has such a place: one
    /// without an artist comes after all that have one, and before them from
    /// high to low.
    Artist,
    Album,
    Year,
    Bpm,
    Duration,
    /// When the song came into the library.
    Added,
}

/// Where the next page begins; means something to the backend alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken(pub String);

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// Where the next part begins; `None` after the last.
    pub next: Option<PageToken>,
}

/// A way to name a song other than by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The beginning of the id, in small or capital hexadecimal digits, with or
    /// without hyphens; what is no such beginning names no song.
    IdPrefix(String),
    /// The path of one of its files, exactly as the song has it.
    Path(String),
    /// The SHA-256 of one of its files.
    FileHash(Digest),
    /// The whole title, as its summary has it; case and accents do not count, as
    /// [`fold`](songrec_core::fold) says.
    Title(String),
}

/// The songs whose embeddings are nearest to a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestQuery {
    /// Whose embeddings.
    pub model: ModelName,
    /// Nearest to what; of the model's dimension.
    pub vector: Vector,
    /// How many songs to give at the most.
    pub k: usize,
    /// How many of the nearest to leave out.
    pub offset: usize,
    /// The lowest similarity that counts.
    pub threshold: Option<f64>,
    /// How to compare; the model's own metric if none is given.
    pub metric: Option<Metric>,
    /// Which songs count.
    pub filter: Filter,
    /// Songs that do not count.
    pub exclude: Vec<SongId>,
}

impl NearestQuery {
    /// The `k` nearest songs, with nothing else asked for.
    pub fn new(model: ModelName, vector: Vector, k: usize) -> Self {
        Self {
            model,
            vector,
            k,
            offset: 0,
            threshold: None,
            metric: None,
            filter: Filter::all(),
            exclude: Vec::new(),
        }
    }
}

/// A search hit.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbor {
    /// The song.
    pub song: SongId,
    /// Higher is closer; the metric says in which range.
    pub similarity: f64,
    /// Lower is closer.
    pub distance: f64,
    /// The key of the embedding that was found, where the backend has keys.
    /// One that the song does not name was left by a crash and is no hit.
    pub key: Option<String>,
}

/// Segments that overlap a region, in an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentQuery {
    /// Of one of these songs; of any if there are none.
    pub songs: Vec<SongId>,
    /// Of this model only.
    pub model: Option<ModelName>,
    /// Of one of these kinds; of any if there are none.
    pub kinds: Vec<String>,
    /// Overlapping this time, in seconds.
    pub time: Option<(f64, f64)>,
    /// Overlapping these frequencies, in Hz; a segment without frequencies
    /// covers all of them.
    pub frequencies: Option<(f32, f32)>,
    /// At least this sure.
    pub min_confidence: Option<f32>,
    /// Windows, patterns, or both.
    pub which: WhichSegments,
    /// Of one of these patterns, by their [ids](songrec_core::Pattern::id); of any
    /// if there are none.
    pub patterns: Vec<SegmentId>,
    /// Patterns that one of these found; any if there are none.
    pub sources: Vec<String>,
    /// In which order.
    pub order: SegmentOrder,
    /// From high to low.
    pub descending: bool,
    /// How many to leave out.
    pub skip: usize,
    /// How many to give at the most.
    pub limit: usize,
}

impl SegmentQuery {
    /// Whether `segment` is one of those asked for: the definition.
    pub fn passes(&self, segment: &Segment) -> bool {
        let overlaps = |low: f64, high: f64, from: f64, to: f64| low <= to && from <= high;
        (self.songs.is_empty() || self.songs.contains(&segment.song))
            && self.model.as_ref().is_none_or(|model| *model == segment.model)
            && (self.kinds.is_empty() || self.kinds.contains(&segment.kind))
            && self.time.is_none_or(|(from, to)| overlaps(segment.start, segment.end, from, to))
            && self.frequencies.is_none_or(|(from, to)| {
                segment.frequencies.is_none_or(|(low, high)| {
                    overlaps(low.into(), high.into(), from.into(), to.into())
                })
            })
            && self.min_confidence.is_none_or(|least| segment.confidence >= least)
            && self.passes_as_pattern(segment.pattern.as_ref())
    }

    fn passes_as_pattern(&self, pattern: Option<&Pattern>) -> bool {
        let is_one = |is_asked: &dyn Fn(&Pattern) -> bool| pattern.is_some_and(is_asked);
        let is_found_by = |pattern: &Pattern| {
            pattern.source.as_ref().is_some_and(|source| self.sources.contains(source))
        };
        (match self.which {
            WhichSegments::All => true,
            WhichSegments::Windows => pattern.is_none(),
            WhichSegments::Patterns => pattern.is_some(),
        }) && (self.patterns.is_empty() || is_one(&|one| self.patterns.contains(&one.id)))
            && (self.sources.is_empty() || is_one(&is_found_by))
    }

    /// `left` before or after `right`, in the order asked for.
    pub fn compare(&self, left: &Segment, right: &Segment) -> std::cmp::Ordering {
        let order = match self.order {
            SegmentOrder::Start => left.start.total_cmp(&right.start),
            SegmentOrder::End => left.end.total_cmp(&right.end),
            SegmentOrder::Confidence => left.confidence.total_cmp(&right.confidence),
        };
        let order = if self.descending { order.reverse() } else { order };
        order.then(left.id.cmp(&right.id))
    }
}

/// Which segments are asked for, by who made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhichSegments {
    /// All of them.
    #[default]
    All,
    /// Those that scans made.
    Windows,
    /// Those that persons and other programs made.
    Patterns,
}

/// What segments can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are fields of a segment")]
pub enum SegmentOrder {
    #[default]
    Start,
    End,
    Confidence,
}

/// The segments whose vectors are nearest to a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestSegments {
    /// Nearest to what; of the model's dimension.
    pub vector: Vector,
    /// Which segments count; its model must be given, and its order, skip and
    /// limit are not looked at.
    pub among: SegmentQuery,
    /// How many to give at the most.
    pub k: usize,
    /// The lowest similarity that counts.
    pub threshold: Option<f64>,
    /// How to compare; the model's own metric if none is given.
    pub metric: Option<Metric>,
    /// Segments that do not count.
    pub exclude: Vec<SegmentId>,
}

/// A search hit among segments.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentNeighbor {
    /// The segment.
    pub segment: Segment,
    /// Higher is closer.
    pub similarity: f64,
    /// Lower is closer.
    pub distance: f64,
}

/// Why vectors of `model` cannot be searched for with `vector`, if they
/// cannot.
pub(crate) fn refuse_search(model: &ModelSpec, vector: &Vector, metric: Metric) -> Option<String> {
    ModelSpec { metric, ..model.clone() }.refuses(vector)
}
