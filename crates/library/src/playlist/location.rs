//! Where files are, as playlists name them: paths of another machine, relative paths and
//! `file:` addresses. Pure text.

use std::{
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use songrec_core::{decode_path, encode_path};

/// A folder here and the same folder as a player knows it: `FROM=TO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMap {
    /// The folder as it is here.
    pub from: String,
    /// The folder as it is there.
    pub to: String,
}

/// A text that is no [`PathMap`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `FROM=TO`, such as `/home/me/music=M:\\Music`")]
pub struct InvalidPathMap(String);

impl FromStr for PathMap {
    type Err = InvalidPathMap;

    fn from_str(text: &str) -> Result<Self, InvalidPathMap> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                Ok(Self { from: from.to_owned(), to: to.to_owned() })
            }
            _ => Err(InvalidPathMap(text.to_owned())),
        }
    }
}

/// How a playlist names its files.
#[derive(Clone, Debug, Default)]
pub struct PathOptions {
    /// The folder that paths are relative to; nothing for whole paths.
    pub relative_to: Option<PathBuf>,
    /// Folders that are elsewhere for the player; the first that fits counts.
    pub maps: Vec<PathMap>,
    /// Whether `/` stands between folders whatever the player's system.
    pub forward_slash: bool,
}

impl PathOptions {
    /// A file of this machine, with a whole path, as the playlist names it: text as
    /// [`encode_path`] makes it.
    pub(super) fn of_file(&self, path: &Path) -> String {
        let whole = encode_path(path);
        let mapped = self.maps.iter().find_map(|map| moved(&whole, &map.from, &map.to));
        let named = match (mapped, &self.relative_to) {
            (Some(mapped), _) => mapped,
            (None, Some(folder)) => relative(path, folder).unwrap_or(whole),
            (None, None) => whole,
        };
        if self.forward_slash { named.replace('\\', "/") } else { named }
    }
}

/// `path` with the folder `to` in place of `from`; nothing if it is not in there.
fn moved(path: &str, from: &str, to: &str) -> Option<String> {
    let is_slash = |c: char| c == '/' || c == '\\';
    let from = from.trim_end_matches(is_slash);
    let rest = path.strip_prefix(from)?;
    if !(rest.is_empty() || rest.starts_with(is_slash)) {
        return None;
    }
    // Where the other system has `\` between its folders, the rest has to as well.
    let is_windows = to.contains('\\') || to.len() == 2 && to.ends_with(':');
    let rest = match is_windows {
        true => rest.replace('/', "\\"),
        false => rest.to_owned(),
    };
    Some(format!("{}{rest}", to.trim_end_matches(is_slash)))
}

/// `path` as it is seen from `folder`; nothing if there is no way, as between two disks.
fn relative(path: &Path, folder: &Path) -> Option<String> {
    let (mut path, mut folder) = (path.components().peekable(), folder.components().peekable());
    if path.peek().map(|root| matches!(root, Component::Normal(_)))
        != folder.peek().map(|root| matches!(root, Component::Normal(_)))
    {
        return None;
    }
    let mut shared = 0;
    while let (Some(one), Some(other)) = (path.peek(), folder.peek()) {
        if one != other {
            break;
        }
        path.next();
        folder.next();
        shared += 1;
    }
    if shared == 0 {
        return None;
    }
    let up = folder.map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(path).collect();
    Some(encode_path(&way))
}

/// What a playlist names, as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A path, as [`encode_path`] writes it: whole, or relative to the playlist.
    Path(String),
    /// Something that is no file, such as an address on the web.
    Elsewhere(String),
}

impl Location {
    /// A location as an address or a path, as XSPF and M3U have it. `is_address` says
    /// that a relative one is an address, too.
    pub(super) fn of(text: &str, is_address: bool) -> Self {
        let text = text.trim();
        let scheme = text.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme {
            Some((scheme, rest)) if scheme == "file" => Self::Path(of_file_address(rest)),
            // A letter and a colon is a disk.
            Some((scheme, _)) if scheme.len() > 1 && is_scheme(&scheme) => {
                Self::Elsewhere(text.to_owned())
            }
            _ if is_address => Self::Path(unescaped(text)),
            _ => Self::Path(text.to_owned()),
        }
    }

    /// The file, as it is here: in a folder that is elsewhere there, or relative to
    /// `folder`. Nothing for what is no file.
    pub(super) fn file(&self, folder: &Path, maps: &[PathMap]) -> Option<PathBuf> {
        let Self::Path(path) = self else { return None };
        // A map that is made for writing is read the other way round, so what it says is
        // compared whichever way slashes lean.
        let plain = path.replace('\\', "/");
        let mapped =
            maps.iter().find_map(|map| moved(&plain, &map.from.replace('\\', "/"), &map.to));
        let path = match mapped {
            Some(mapped) => decode_path(&mapped),
            None if is_windows(path) && std::path::MAIN_SEPARATOR == '/' => decode_path(&plain),
            None => decode_path(path),
        };
        Some(lexical(&folder.join(path)))
    }

    /// The name of the file, without its folders.
    pub(super) fn file_name(&self) -> Option<String> {
        let (Self::Path(text) | Self::Elsewhere(text)) = self;
        let text = text.split(['?', '#']).next().unwrap_or(text);
        let path = if matches!(self, Self::Path(_)) { self.text() } else { text };
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// As the playlist has it.
    pub(super) fn text(&self) -> &str {
        let (Self::Path(text) | Self::Elsewhere(text)) = self;
        text
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

// Whether it has the folders of Windows: with `\` and without `/`.
fn is_windows(path: &str) -> bool {
    path.contains('\\') && !path.contains('/')
}

// What comes after `file:`.
fn of_file_address(rest: &str) -> String {
    let path = match rest.strip_prefix("//") {
        // `file://host/path`: the host is this machine or none that is asked.
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None => rest,
    };
    let path = unescaped(path);
    // `/C:/Music` is a path of Windows.
    let mut characters = path.chars();
    let is_disk = characters.next() == Some('/')
        && characters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && characters.next() == Some(':');
    if is_disk { path[1..].to_owned() } else { path }
}

/// A path as an address: `file:` where it is whole, else relative.
pub(super) fn address(path: &str) -> String {
    let is_disk = path.as_bytes().get(1) == Some(&b':');
    let slashed =
        if is_disk || is_windows(path) { path.replace('\\', "/") } else { path.to_owned() };
    let bytes = decode_path(&slashed).into_os_string().into_encoded_bytes();
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    match (is_disk, slashed.starts_with('/')) {
        (true, _) => format!("file:///{}", text.replacen("%3A", ":", 1)),
        (false, true) => format!("file://{text}"),
        (false, false) => text,
    }
}

// An address without its escapes, as text of a path.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    of_bytes(&out)
}

/// The bytes of a path as text.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        encode_path(Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }
    #[cfg(not(unix))]
    String::from_utf8_lossy(bytes).into_owned()
}

// A path without `.` and `..`, as far as that can be said without looking.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(relative_to: &str, maps: &[&str], forward_slash: bool) -> PathOptions {
        PathOptions {
            relative_to: (!relative_to.is_empty()).then(|| relative_to.into()),
            maps: maps.iter().map(|map| map.parse().unwrap()).collect(),
            forward_slash,
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_named_as_the_player_needs_it() {
        for (relative_to, maps, forward_slash, expected) in [
            ("", &[][..], false, "/home/me/music/a b/c.mp3"),
            ("/home/me/music", &[], false, "a b/c.mp3"),
            ("/home/me/lists/x", &[], false, "../../music/a b/c.mp3"),
            ("", &["/home/me/music=/data"], false, "/data/a b/c.mp3"),
            ("", &["/home/me/music/=M:\\Music\\"], false, "M:\\Music\\a b\\c.mp3"),
            ("", &["/home/me/music=M:\\Music"], true, "M:/Music/a b/c.mp3"),
            ("", &["/home/me/mus=/no", "/home=/srv"], false, "/srv/me/music/a b/c.mp3"),
            ("/home/me", &["/other=/srv"], false, "music/a b/c.mp3"),
        ] {
            let named = options(relative_to, maps, forward_slash)
                .of_file(Path::new("/home/me/music/a b/c.mp3"));
            assert_eq!(named, expected);
        }
        assert!("x".parse::<PathMap>().is_err() && "=x".parse::<PathMap>().is_err());
    }

    #[cfg(unix)]
    #[test]
    fn an_address_names_the_same_file() {
        for (path, expected) in [
            ("/music/Björk 100%/a#b?.mp3", "file:///music/Bj%C3%B6rk%20100%25/a%23b%3F.mp3"),
            ("a b/c.mp3", "a%20b/c.mp3"),
            ("M:\\Music\\a b.mp3", "file:///M:/Music/a%20b.mp3"),
        ] {
            assert_eq!(address(path), expected);
            let Location::Path(back) = Location::of(expected, true) else { panic!("{expected}") };
            assert_eq!(back.replace('\\', "/"), path.replace('\\', "/"));
        }
        use std::os::unix::ffi::OsStrExt;
        let odd = encode_path(Path::new(std::ffi::OsStr::from_bytes(b"/a/\xff.mp3")));
        assert_eq!(address(&odd), "file:///a/%FF.mp3");
        assert_eq!(Location::of(&address(&odd), true), Location::Path(odd));
    }

    #[cfg(unix)]
    #[test]
    fn a_location_is_a_file_or_elsewhere() {
        let file = |text: &str, is_address: bool, maps: &[&str]| {
            let maps: Vec<PathMap> = maps.iter().map(|map| map.parse().unwrap()).collect();
            let path = Location::of(text, is_address).file(Path::new("/lists"), &maps)?;
            Some(path.to_string_lossy().into_owned())
        };
        for (text, is_address, maps, expected) in [
            ("a%20b.mp3", true, &[][..], "/lists/a b.mp3"),
            ("a%20b.mp3", false, &[], "/lists/a%20b.mp3"),
            ("../music/./a.mp3", false, &[], "/music/a.mp3"),
            ("file://localhost/music/a.mp3", false, &[], "/music/a.mp3"),
            ("..\\music\\a.mp3", false, &[], "/music/a.mp3"),
            ("M:\\Music\\a\\b.mp3", false, &["M:\\Music=/music"], "/music/a/b.mp3"),
            ("file:///M:/Music/b.mp3", true, &["M:\\Music=/music"], "/music/b.mp3"),
            ("/../../etc/passwd", false, &[], "/etc/passwd"),
        ] {
            assert_eq!(file(text, is_address, maps).as_deref(), Some(expected), "{text}");
        }
        let web = Location::of("https://example.org/a/b.mp3?x=/c", false);
        assert_eq!(web.file(Path::new("/"), &[]), None);
        assert_eq!(web.file_name().as_deref(), Some("b.mp3"));
        assert_eq!(unescaped("%zz%4"), "%zz%4");
    }
}
