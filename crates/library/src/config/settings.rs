//! Everything that can be set.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Path,
    Count,
    Bytes,
    Flag,
    List,
    Choice(&'static [&'static str]),
}

const fn setting(
    key: &'static str,
    variables: &'static [&'static str],
    default: Option<&'static str>,
    kind: Kind,
    about: &'static str,
) -> Setting {
    Setting { key, variables, default, secret: false, kind, about }
}

const fn secret(
    key: &'static str,
    variables: &'static [&'static str],
    about: &'static str,
) -> Setting {
    Setting { key, variables, default: None, secret: true, kind: Kind::Text, about }
}

/// Everything that can be set.
pub const SETTINGS: &[Setting] = &[
    setting(
        "storage_backend",
        &["SONGREC_STORAGE_BACKEND", "STORAGE_BACKEND"],
        Some("local"),
        Kind::Text,
        "which library is used: `local`, `astra`, or a name from `[libraries]`",
    ),
    setting("library", &["SONGREC_LIBRARY"], None, Kind::Path, "the folder of the local library"),
    setting("threads", &["SONGREC_THREADS"], Some("0"), Kind::Count, "threads; 0 is one per core"),
    setting(
        "scan.exclude",
        &["SONGREC_EXCLUDE"],
        None,
        Kind::List,
        "files and folders that a scan leaves out, as globs",
    ),
    setting(
        "scan.max_memory",
        &["SONGREC_MAX_MEMORY"],
        Some("4G"),
        Kind::Bytes,
        "about how much memory a scan may use",
    ),
    setting(
        "scan.genre_from_folder",
        &["SONGREC_GENRE_FROM_FOLDER"],
        Some("false"),
        Kind::Flag,
        "take the genre from the folder's name where a file has none",
    ),
    setting(
        "scan.models",
        &["SONGREC_MODELS"],
        Some("dsp45@1,dsp45-row@1,dsp47@1"),
        Kind::List,
        "the models that hear every song",
    ),
    setting(
        "search.model",
        &["SONGREC_MODEL"],
        Some("dsp45@1"),
        Kind::Text,
        "the model that `similar` compares by",
    ),
    setting(
        "search.results",
        &["SONGREC_RESULTS"],
        Some("10"),
        Kind::Count,
        "how many results are shown",
    ),
    setting(
        "search.index",
        &["SONGREC_INDEX"],
        Some("auto"),
        Kind::Choice(&["auto", "flat", "ivf"]),
        "how a local library searches: always exact, by lists from 1,000 songs on, or as suits",
    ),
    setting(
        "cache.folder",
        &["SONGREC_CACHE"],
        None,
        Kind::Path,
        "where copies of what is far away are kept; the user's cache folder if it is not set",
    ),
    setting(
        "cache.limit",
        &["SONGREC_CACHE_LIMIT"],
        Some("2G"),
        Kind::Bytes,
        "how large that may grow; the least recently used goes first",
    ),
    setting(
        "sync.remote",
        &["SONGREC_SYNC_REMOTE"],
        Some("astra"),
        Kind::Text,
        "the library that the local one is synced with",
    ),
    setting(
        "sync.audio",
        &["SONGREC_SYNC_AUDIO"],
        Some("all"),
        Kind::Text,
        "which audio is carried to libraries that keep audio: `all`, `none`, `recent`, `recent:DAYS`",
    ),
    setting(
        "sync.machine",
        &["SONGREC_MACHINE"],
        None,
        Kind::Text,
        "what this machine is called; its host name if it is not set",
    ),
    setting(
        "astra.endpoint",
        &["ASTRA_DB_API_ENDPOINT"],
        None,
        Kind::Text,
        "the address of the Data API, of Astra or of a server of your own",
    ),
    setting(
        "astra.database_id",
        &["ASTRA_DB_ID"],
        None,
        Kind::Text,
        "the id of the Astra database, where no endpoint is given",
    ),
    setting(
        "astra.region",
        &["ASTRA_DB_REGION"],
        None,
        Kind::Text,
        "the region of the Astra database, where no endpoint is given",
    ),
    setting(
        "astra.keyspace",
        &["ASTRA_DB_KEYSPACE"],
        Some("default_keyspace"),
        Kind::Text,
        "the keyspace of the library",
    ),
    secret("astra.token", &["ASTRA_DB_APPLICATION_TOKEN"], "the application token"),
    setting(
        "astra.username",
        &["ASTRA_DB_USERNAME"],
        None,
        Kind::Text,
        "the user of a server of your own, in place of a token",
    ),
    secret("astra.password", &["ASTRA_DB_PASSWORD"], "the password of that user"),
    setting(
        "blobs.url",
        &["SONGREC_BLOBS"],
        None,
        Kind::Text,
        "where an Astra library keeps audio: `s3://bucket/prefix` or `file:///folder`",
    ),
    setting(
        "blobs.endpoint",
        &["SONGREC_BLOBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        None,
        Kind::Text,
        "the address of an S3 server that is not Amazon's",
    ),
    setting(
        "blobs.region",
        &["SONGREC_BLOBS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"],
        None,
        Kind::Text,
        "the region of the bucket",
    ),
    secret(
        "blobs.access_key",
        &["SONGREC_BLOBS_ACCESS_KEY", "AWS_ACCESS_KEY_ID"],
        "the access key of the bucket",
    ),
    secret(
        "blobs.secret_key",
        &["SONGREC_BLOBS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"],
        "the secret key of the bucket",
    ),
    secret(
        "blobs.session_token",
        &["SONGREC_BLOBS_SESSION_TOKEN", "AWS_SESSION_TOKEN"],
        "the session token that belongs to temporary keys",
    ),
    setting(
        "blobs.instance_role",
        &["SONGREC_BLOBS_INSTANCE_ROLE"],
        Some("false"),
        Kind::Flag,
        "ask the cloud that this machine is in for keys of the bucket, if there are none",
    ),
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
        Kind::Text | Kind::Path | Kind::Count | Kind::Bytes | Kind::Flag | Kind::Choice(_) => {
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
