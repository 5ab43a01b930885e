//! Everything that can be set.

use std::{marker::PhantomData, path::PathBuf};

use songrec_core::decode_path;

/// One thing that can be set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in configuration files, such as `search.model`.
    pub key: &'static str,
    /// The variables that set it, the first one first.
    pub variables: &'static [&'static str],
    /// Its value if nothing sets it.
    pub default: Option<&'static str>,
    /// Whether it is never shown, and never read from a project's file.
    pub secret: bool,
    /// What it may be.
    pub(super) kind: Kind,
    /// One line for people.
    pub about: &'static str,
}

/// What the text of a setting has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Kind {
    Text,
    Path,
    Count,
    Bytes,
    Flag,
    Number,
    List,
    Choice(&'static [&'static str]),
}

/// A setting together with the type of its value. What does not exist cannot be
/// asked for, and what has a default has it here alone.
#[derive(Debug)]
pub struct Key<V> {
    setting: Setting,
    value: PhantomData<fn() -> V>,
}

impl<V> Clone for Key<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Key<V> {}

/// What the value of a setting is; the types of [`keys`].
pub trait Value {
    /// Its type, as it is given to who asks.
    type Of<'a>;
    /// What its text has to be.
    #[doc(hidden)]
    const KIND: Kind;
    /// The value that texts stand for, which were looked at when they were set.
    #[doc(hidden)]
    fn of(texts: &[String]) -> Self::Of<'_>;
}

/// Text.
#[derive(Debug)]
pub enum Text {}
/// The path of a file or a folder.
#[derive(Debug)]
pub enum Path {}
/// A number of things.
#[derive(Debug)]
pub enum Count {}
/// A number of bytes.
#[derive(Debug)]
pub enum Bytes {}
/// Yes or no.
#[derive(Debug)]
pub enum Flag {}
/// A number, such as 0.8.
#[derive(Debug)]
pub enum Number {}
/// Several texts, or none.
#[derive(Debug)]
pub enum List {}

fn first(texts: &[String]) -> &str {
    texts.first().expect("what has a default has a value")
}

impl Value for Text {
    type Of<'a> = &'a str;
    const KIND: Kind = Kind::Text;

    fn of(texts: &[String]) -> &str {
        first(texts)
    }
}

impl Value for Path {
    type Of<'a> = PathBuf;
    const KIND: Kind = Kind::Path;

    fn of(texts: &[String]) -> PathBuf {
        decode_path(first(texts))
    }
}

impl Value for Count {
    type Of<'a> = usize;
    const KIND: Kind = Kind::Count;

    fn of(texts: &[String]) -> usize {
        first(texts).parse().expect("checked when it was set")
    }
}

impl Value for Bytes {
    type Of<'a> = u64;
    const KIND: Kind = Kind::Bytes;

    fn of(texts: &[String]) -> u64 {
        parse_bytes(first(texts)).expect("checked when it was set")
    }
}

impl Value for Flag {
    type Of<'a> = bool;
    const KIND: Kind = Kind::Flag;

    fn of(texts: &[String]) -> bool {
        first(texts) == "true"
    }
}

impl Value for Number {
    type Of<'a> = f64;
    const KIND: Kind = Kind::Number;

    fn of(texts: &[String]) -> f64 {
        first(texts).parse().expect("checked when it was set")
    }
}

impl Value for List {
    type Of<'a> = &'a [String];
    const KIND: Kind = Kind::List;

    fn of(texts: &[String]) -> &[String] {
        texts
    }
}

impl<V: Value> Value for Option<V> {
    type Of<'a> = Option<V::Of<'a>>;
    const KIND: Kind = V::KIND;

    fn of(texts: &[String]) -> Option<V::Of<'_>> {
        (!texts.is_empty()).then(|| V::of(texts))
    }
}

impl<V> Key<V> {
    /// The setting, whatever its type.
    pub const fn setting(self) -> Setting {
        self.setting
    }

    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        self.setting.key
    }
}

impl<V: Value> Key<V> {
    const fn new(
        key: &'static str,
        variables: &'static [&'static str],
        default: Option<&'static str>,
        kind: Kind,
        about: &'static str,
    ) -> Self {
        let setting = Setting { key, variables, default, secret: false, kind, about };
        Self { setting, value: PhantomData }
    }

    const fn given(
        key: &'static str,
        variables: &'static [&'static str],
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self::new(key, variables, Some(default), V::KIND, about)
    }
}

impl<V: Value> Key<Option<V>> {
    const fn optional(
        key: &'static str,
        variables: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self::new(key, variables, None, V::KIND, about)
    }
}

impl Key<Option<Text>> {
    const fn secret(
        key: &'static str,
        variables: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        let Self { setting, value } = Self::optional(key, variables, about);
        Self { setting: Setting { secret: true, ..setting }, value }
    }
}

impl Key<Text> {
    const fn choice(
        key: &'static str,
        variables: &'static [&'static str],
        default: &'static str,
        of: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self::new(key, variables, Some(default), Kind::Choice(of), about)
    }
}

impl Key<List> {
    const fn list(
        key: &'static str,
        variables: &'static [&'static str],
        default: Option<&'static str>,
        about: &'static str,
    ) -> Self {
        Self::new(key, variables, default, Kind::List, about)
    }
}

/// Everything that can be set, with the type of its value: what
/// [`Config::get`](crate::Config::get) takes.
pub mod keys {
    use super::{Bytes, Count, Flag, Key, List, Number, Path, Text};

    /// Which library is used: `local`, `astra`, or a name from `[libraries]`.
    pub const STORAGE_BACKEND: Key<Text> = Key::given(
        "storage_backend",
        &["SONGREC_STORAGE_BACKEND", "STORAGE_BACKEND"],
        "local",
        "which library is used: `local`, `astra`, or a name from `[libraries]`",
    );
    /// The folder of the local library.
    pub const LIBRARY: Key<Option<Path>> =
        Key::optional("library", &["SONGREC_LIBRARY"], "the folder of the local library");
    /// Threads; 0 is one per core.
    pub const THREADS: Key<Count> =
        Key::given("threads", &["SONGREC_THREADS"], "0", "threads; 0 is one per core");
    /// Files and folders that a scan leaves out, as globs.
    pub const SCAN_EXCLUDE: Key<List> = Key::list(
        "scan.exclude",
        &["SONGREC_EXCLUDE"],
        None,
        "files and folders that a scan leaves out, as globs",
    );
    /// About how much memory a scan may use.
    pub const SCAN_MAX_MEMORY: Key<Bytes> = Key::given(
        "scan.max_memory",
        &["SONGREC_MAX_MEMORY"],
        "4G",
        "about how much memory a scan may use",
    );
    /// Take the genre from the folder's name where a file has none.
    pub const SCAN_GENRE_FROM_FOLDER: Key<Flag> = Key::given(
        "scan.genre_from_folder",
        &["SONGREC_GENRE_FROM_FOLDER"],
        "false",
        "take the genre from the folder's name where a file has none",
    );
    /// The models that embed every song.
    pub const SCAN_MODELS: Key<List> = Key::list(
        "scan.models",
        &["SONGREC_MODELS"],
        Some(songrec_models::SCAN_MODELS),
        "the models that embed every song",
    );
    /// Let an installed ffmpeg read the audio files that songrec does not read by itself.
    pub const DECODE_FFMPEG: Key<Flag> = Key::given(
        "decode.ffmpeg",
        &["SONGREC_DECODE_FFMPEG"],
        "false",
        "let an installed ffmpeg read the audio files that songrec does not read by itself",
    );
    /// The model that `similar` compares by.
    pub const SEARCH_MODEL: Key<Text> = Key::given(
        "search.model",
        &["SONGREC_MODEL"],
        songrec_models::DEFAULT_MODEL,
        "the model that `similar` compares by",
    );
    /// How many results are shown.
    pub const SEARCH_RESULTS: Key<Count> =
        Key::given("search.results", &["SONGREC_RESULTS"], "10", "how many results are shown");
    /// How a local library searches: always exact, by lists from 1,000 songs on, or as suits.
    pub const SEARCH_INDEX: Key<Text> = Key::choice(
        "search.index",
        &["SONGREC_INDEX"],
        "auto",
        &["auto", "flat", "ivf"],
        "how a local library searches: always exact, by lists from 1,000 songs on, or as suits",
    );
    /// The lowest similarity of patterns that counts; all count if it is not set.
    pub const PATTERNS_THRESHOLD: Key<Option<Number>> = Key::optional(
        "patterns.threshold",
        &["SONGREC_PATTERNS_THRESHOLD"],
        "the lowest similarity of patterns that counts; all count if it is not set",
    );
    /// How many similar patterns are shown.
    pub const PATTERNS_RESULTS: Key<Count> = Key::given(
        "patterns.results",
        &["SONGREC_PATTERNS_RESULTS"],
        "10",
        "how many similar patterns are shown",
    );
    /// The music service that is asked for previews.
    pub const PREVIEWS_SERVICE: Key<Text> = Key::choice(
        "previews.service",
        &["SONGREC_PREVIEWS_SERVICE"],
        "itunes",
        &["itunes", "freesound"],
        "the music service that is asked for previews: `itunes` or `freesound`",
    );
    /// Where previews are kept; the folder `previews` of the library if it is not set.
    pub const PREVIEWS_FOLDER: Key<Option<Path>> = Key::optional(
        "previews.folder",
        &["SONGREC_PREVIEWS_FOLDER"],
        "where previews are kept; the folder `previews` of the library if it is not set",
    );
    /// How large a preview may be.
    pub const PREVIEWS_MAX_SIZE: Key<Bytes> = Key::given(
        "previews.max_size",
        &["SONGREC_PREVIEWS_MAX_SIZE"],
        "64M",
        "how large a preview may be",
    );
    /// How many seconds one request for previews may take, its answer included.
    pub const PREVIEWS_TIMEOUT: Key<Count> = Key::given(
        "previews.timeout",
        &["SONGREC_PREVIEWS_TIMEOUT"],
        "60",
        "how many seconds one request for previews may take, its answer included",
    );
    /// The store whose songs `itunes` finds, by the two letters of its country.
    pub const PREVIEWS_COUNTRY: Key<Text> = Key::given(
        "previews.country",
        &["SONGREC_PREVIEWS_COUNTRY"],
        "US",
        "the store whose songs `itunes` finds, by the two letters of its country",
    );
    /// The address of the iTunes Search API.
    pub const PREVIEWS_ITUNES_URL: Key<Text> = Key::given(
        "previews.itunes_url",
        &["SONGREC_PREVIEWS_ITUNES_URL"],
        "https://itunes.apple.com",
        "the address of the iTunes Search API",
    );
    /// How often `itunes` is asked in a minute, at the most; 0 is without a limit.
    pub const PREVIEWS_ITUNES_RATE: Key<Count> = Key::given(
        "previews.itunes_rate",
        &["SONGREC_PREVIEWS_ITUNES_RATE"],
        "20",
        "how often `itunes` is asked in a minute, at the most; 0 is without a limit",
    );
    /// The address of the Freesound API.
    pub const PREVIEWS_FREESOUND_URL: Key<Text> = Key::given(
        "previews.freesound_url",
        &["SONGREC_PREVIEWS_FREESOUND_URL"],
        "https://freesound.org/apiv2",
        "the address of the Freesound API",
    );
    /// How often `freesound` is asked in a minute, at the most; 0 is without a limit.
    pub const PREVIEWS_FREESOUND_RATE: Key<Count> = Key::given(
        "previews.freesound_rate",
        &["SONGREC_PREVIEWS_FREESOUND_RATE"],
        "60",
        "how often `freesound` is asked in a minute, at the most; 0 is without a limit",
    );
    /// The key of the Freesound API.
    pub const PREVIEWS_FREESOUND_KEY: Key<Option<Text>> = Key::secret(
        "previews.freesound_key",
        &["FREESOUND_API_KEY"],
        "the key of the Freesound API",
    );
    /// The program that plays songs, with its arguments; the system's own if it is not set.
    pub const PLAYER_COMMAND: Key<List> = Key::list(
        "player.command",
        &["SONGREC_PLAYER"],
        None,
        "the program that plays songs, with its arguments, and `{}` for their files; the system's own \
         if it is not set",
    );
    /// Where copies of what is far away are kept; the user's cache folder if it is not set.
    pub const CACHE_FOLDER: Key<Option<Path>> = Key::optional(
        "cache.folder",
        &["SONGREC_CACHE"],
        "where copies of what is far away are kept; the user's cache folder if it is not set",
    );
    /// How large that may grow; the least recently used goes first.
    pub const CACHE_LIMIT: Key<Bytes> = Key::given(
        "cache.limit",
        &["SONGREC_CACHE_LIMIT"],
        "2G",
        "how large that may grow; the least recently used goes first",
    );
    /// The library that the local one is synced with.
    pub const SYNC_REMOTE: Key<Text> = Key::given(
        "sync.remote",
        &["SONGREC_SYNC_REMOTE"],
        "astra",
        "the library that the local one is synced with",
    );
    /// Which audio is carried to libraries that keep audio: `all`, `none`, `recent`, `recent:DAYS`.
    pub const SYNC_AUDIO: Key<Text> = Key::given(
        "sync.audio",
        &["SONGREC_SYNC_AUDIO"],
        "all",
        "which audio is carried to libraries that keep audio: `all`, `none`, `recent`, `recent:DAYS`",
    );
    /// What this machine is called; its host name if it is not set.
    pub const SYNC_MACHINE: Key<Option<Text>> = Key::optional(
        "sync.machine",
        &["SONGREC_MACHINE"],
        "what this machine is called; its host name if it is not set",
    );
    /// The address of the Data API, of Astra or of a server of your own.
    pub const ASTRA_ENDPOINT: Key<Option<Text>> = Key::optional(
        "astra.endpoint",
        &["ASTRA_DB_API_ENDPOINT"],
        "the address of the Data API, of Astra or of a server of your own",
    );
    /// The id of the Astra database, where no endpoint is given.
    pub const ASTRA_DATABASE_ID: Key<Option<Text>> = Key::optional(
        "astra.database_id",
        &["ASTRA_DB_ID"],
        "the id of the Astra database, where no endpoint is given",
    );
    /// The region of the Astra database, where no endpoint is given.
    pub const ASTRA_REGION: Key<Option<Text>> = Key::optional(
        "astra.region",
        &["ASTRA_DB_REGION"],
        "the region of the Astra database, where no endpoint is given",
    );
    /// The keyspace of the library.
    pub const ASTRA_KEYSPACE: Key<Text> = Key::given(
        "astra.keyspace",
        &["ASTRA_DB_KEYSPACE"],
        "default_keyspace",
        "the keyspace of the library",
    );
    /// The application token.
    pub const ASTRA_TOKEN: Key<Option<Text>> =
        Key::secret("astra.token", &["ASTRA_DB_APPLICATION_TOKEN"], "the application token");
    /// The user of a server of your own, in place of a token.
    pub const ASTRA_USERNAME: Key<Option<Text>> = Key::optional(
        "astra.username",
        &["ASTRA_DB_USERNAME"],
        "the user of a server of your own, in place of a token",
    );
    /// The password of that user.
    pub const ASTRA_PASSWORD: Key<Option<Text>> =
        Key::secret("astra.password", &["ASTRA_DB_PASSWORD"], "the password of that user");
    /// Where an Astra library keeps audio: `s3://bucket/prefix` or `file:///folder`.
    pub const BLOBS_URL: Key<Option<Text>> = Key::optional(
        "blobs.url",
        &["SONGREC_BLOBS"],
        "where an Astra library keeps audio: `s3://bucket/prefix` or `file:///folder`",
    );
    /// The address of an S3 server that is not Amazon's.
    pub const BLOBS_ENDPOINT: Key<Option<Text>> = Key::optional(
        "blobs.endpoint",
        &["SONGREC_BLOBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        "the address of an S3 server that is not Amazon's",
    );
    /// The region of the bucket.
    pub const BLOBS_REGION: Key<Option<Text>> = Key::optional(
        "blobs.region",
        &["SONGREC_BLOBS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"],
        "the region of the bucket",
    );
    /// The access key of the bucket.
    pub const BLOBS_ACCESS_KEY: Key<Option<Text>> = Key::secret(
        "blobs.access_key",
        &["SONGREC_BLOBS_ACCESS_KEY", "AWS_ACCESS_KEY_ID"],
        "the access key of the bucket",
    );
    /// The secret key of the bucket.
    pub const BLOBS_SECRET_KEY: Key<Option<Text>> = Key::secret(
        "blobs.secret_key",
        &["SONGREC_BLOBS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"],
        "the secret key of the bucket",
    );
    /// The session token that belongs to temporary keys.
    pub const BLOBS_SESSION_TOKEN: Key<Option<Text>> = Key::secret(
        "blobs.session_token",
        &["SONGREC_BLOBS_SESSION_TOKEN", "AWS_SESSION_TOKEN"],
        "the session token that belongs to temporary keys",
    );
    /// Ask the cloud that this machine is in for keys of the bucket, if there are none.
    pub const BLOBS_INSTANCE_ROLE: Key<Flag> = Key::given(
        "blobs.instance_role",
        &["SONGREC_BLOBS_INSTANCE_ROLE"],
        "false",
        "ask the cloud that this machine is in for keys of the bucket, if there are none",
    );
}

/// Everything that can be set, in the order in which it is shown.
pub const SETTINGS: &[Setting] = &[
    keys::STORAGE_BACKEND.setting(),
    keys::LIBRARY.setting(),
    keys::THREADS.setting(),
    keys::SCAN_EXCLUDE.setting(),
    keys::SCAN_MAX_MEMORY.setting(),
    keys::SCAN_GENRE_FROM_FOLDER.setting(),
    keys::SCAN_MODELS.setting(),
    keys::DECODE_FFMPEG.setting(),
    keys::SEARCH_MODEL.setting(),
    keys::SEARCH_RESULTS.setting(),
    keys::SEARCH_INDEX.setting(),
    keys::PATTERNS_THRESHOLD.setting(),
    keys::PATTERNS_RESULTS.setting(),
    keys::PREVIEWS_SERVICE.setting(),
    keys::PREVIEWS_FOLDER.setting(),
    keys::PREVIEWS_MAX_SIZE.setting(),
    keys::PREVIEWS_TIMEOUT.setting(),
    keys::PREVIEWS_COUNTRY.setting(),
    keys::PREVIEWS_ITUNES_URL.setting(),
    keys::PREVIEWS_ITUNES_RATE.setting(),
    keys::PREVIEWS_FREESOUND_URL.setting(),
    keys::PREVIEWS_FREESOUND_RATE.setting(),
    keys::PREVIEWS_FREESOUND_KEY.setting(),
    keys::PLAYER_COMMAND.setting(),
    keys::CACHE_FOLDER.setting(),
    keys::CACHE_LIMIT.setting(),
    keys::SYNC_REMOTE.setting(),
    keys::SYNC_AUDIO.setting(),
    keys::SYNC_MACHINE.setting(),
    keys::ASTRA_ENDPOINT.setting(),
    keys::ASTRA_DATABASE_ID.setting(),
    keys::ASTRA_REGION.setting(),
    keys::ASTRA_KEYSPACE.setting(),
    keys::ASTRA_TOKEN.setting(),
    keys::ASTRA_USERNAME.setting(),
    keys::ASTRA_PASSWORD.setting(),
    keys::BLOBS_URL.setting(),
    keys::BLOBS_ENDPOINT.setting(),
    keys::BLOBS_REGION.setting(),
    keys::BLOBS_ACCESS_KEY.setting(),
    keys::BLOBS_SECRET_KEY.setting(),
    keys::BLOBS_SESSION_TOKEN.setting(),
    keys::BLOBS_INSTANCE_ROLE.setting(),
];

/// The setting with this name.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The setting that was probably meant: one whose last part is the same, or
/// begins the same as far as most of it, which is enough to catch a slip. Of
/// several, one of the same section; of these, the most alike.
pub(super) fn nearest_key(key: &str) -> Option<&'static str> {
    let parts = |key: &str| {
        let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
        (section.to_owned(), last.replace('-', "_"))
    };
    let (section, wanted) = parts(key);
    let likeness = |known: &str| {
        let (known_section, known) = parts(known);
        let pairs = known.bytes().zip(wanted.bytes());
        let same = pairs.take_while(|(left, right)| left == right).count();
        let is_near = same >= 3 && same * 2 >= known.len().max(wanted.len());
        is_near.then_some((known_section == section, known == wanted, same))
    };
    let near = SETTINGS.iter().filter_map(|setting| Some((likeness(setting.key)?, setting.key)));
    near.max_by_key(|(likeness, _)| *likeness).map(|(_, known)| known)
}

/// The values that a text stands for.
pub(super) fn split(setting: &Setting, text: &str) -> Vec<String> {
    match setting.kind {
        Kind::List => {
            text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
        }
        Kind::Text
        | Kind::Path
        | Kind::Count
        | Kind::Bytes
        | Kind::Flag
        | Kind::Number
        | Kind::Choice(_) => {
            vec![text.to_owned()]
        }
    }
}

/// Bytes from text such as `500M`, `2G` or `1048576`; units are powers of
/// 1024.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (number, factor) = match text.chars().last()?.to_ascii_uppercase() {
        'K' => (&text[..text.len() - 1], 1 << 10),
        'M' => (&text[..text.len() - 1], 1 << 20),
        'G' => (&text[..text.len() - 1], 1 << 30),
        'T' => (&text[..text.len() - 1], 1 << 40),
        _ => (text, 1u64),
    };
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * factor as f64) as u64)
}
