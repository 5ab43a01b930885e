//! Songs by another name.

use songrec_core::{Digest, Song, SongFile, SongId};
use songrec_storage::{Lookup, PutMode, StorageBackend, StorageBackendExt};

use crate::{put, retitled, song, song_with_hash};

fn at(path: &str, content: &str) -> SongFile {
    let sha256 = Digest::of(content.as_bytes());
    SongFile { path: path.to_owned(), sha256, size: content.len() as u64 }
}

async fn by_path(backend: &dyn StorageBackend, path: &str) -> Vec<SongId> {
    backend.songs().lookup(&[Lookup::Path(path.to_owned())]).await.unwrap().pop().unwrap()
}

/// A song is named by the beginning of its id, with or without hyphens.
pub async fn a_song_is_found_by_the_beginning_of_its_id(backend: &dyn StorageBackend) {
    let mut hash = [0x3f; 32];
    let near = song_with_hash(Digest(hash));
    hash[1] = 0x9a;
    let far = song_with_hash(Digest(hash));
    hash[0] = 0xb0;
    let other = song_with_hash(Digest(hash));
    for song in [&far, &other, &near] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let whole = far.id.to_string();
    let prefixes = [
        ("3f", vec![near.id, far.id]),
        ("3", vec![near.id, far.id]),
        ("3f9a", vec![far.id]),
        ("3F9A", vec![far.id]),
        (&whole[..10], vec![far.id]),
        (&whole[..11].replace('-', ""), vec![far.id]),
        (&whole, vec![far.id]),
        (&whole.replace('-', ""), vec![far.id]),
        ("b", vec![other.id]),
        ("", vec![near.id, far.id, other.id]),
        ("4", vec![]),
        ("%", vec![]),
        ("3_", vec![]),
        ("3*", vec![]),
        ("not hexadecimal", vec![]),
        (&format!("{whole}0"), vec![]),
    ];

    let lookups: Vec<_> =
        prefixes.iter().map(|(prefix, _)| Lookup::IdPrefix((*prefix).to_owned())).collect();
    let found = backend.songs().lookup(&lookups).await.unwrap();

    assert_eq!(found.len(), prefixes.len());
    for ((prefix, expected), found) in prefixes.iter().zip(found) {
        assert_eq!(found, *expected, "`{prefix}`");
    }
}

/// For a prefix that names many, the first 20 are enough to say so.
pub async fn a_prefix_names_twenty_at_most(backend: &dyn StorageBackend) {
    let mut songs: Vec<Song> = (0..25)
        .map(|number| {
            let mut hash = Digest::of(&[number]);
            hash.0[0] = 0x77;
            song_with_hash(hash)
        })
        .collect();
    let puts: Vec<_> = songs.iter().map(|song| put(song, PutMode::Create)).collect();
    backend.songs().put(&puts).await.unwrap();
    songs.sort_by_key(|song| song.id);

    let found = backend.songs().lookup(&[Lookup::IdPrefix("77".into())]).await.unwrap();

    let first: Vec<_> = songs.iter().take(20).map(|song| song.id).collect();
    assert_eq!(found, [first]);
}

/// A song is found by the path of any of its files, exactly as it has it.
pub async fn a_song_is_found_by_its_paths(backend: &dyn StorageBackend) {
    let mut one = song("one");
    one.add_file(at("Music/100%_sure.wav", "a"));
    one.add_file(at("music/it's \"that\" one.wav", "a"));
    let mut two = song("two");
    two.add_file(at("/elsewhere/Bjo\u{308}rk/日本/\u{10fffe}\u{10ffff}.wav", "b"));
    for song in [&one, &two] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }

    for song in [&one, &two] {
        for file in &song.files {
            assert_eq!(by_path(backend, &file.path).await, [song.id], "{}", file.path);
        }
    }
    for other in [
        "music/100%_sure.wav",
        "Music/100%xsure.wav",
        "Music/1000_sure.wav",
        "/elsewhere/Bj\u{f6}rk/日本/\u{10fffe}\u{10ffff}.wav",
        "Music/%",
        "Music",
        "",
    ] {
        assert_eq!(by_path(backend, other).await, [], "{other}");
    }
}

/// A song is found by the hash of any of its files; several songs, in order of
/// their ids.
pub async fn songs_are_found_by_the_hash_of_a_file(backend: &dyn StorageBackend) {
    let (mut one, mut two, three) = (song("one"), song("two"), song("three"));
    one.add_file(at("shared/a.wav", "same bytes"));
    two.add_file(at("shared/a.wav", "same bytes"));
    for song in [&one, &two, &three] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let mut both = vec![one.id, two.id];
    both.sort_unstable();

    let found = backend
        .songs()
        .lookup(&[
            Lookup::FileHash(Digest::of(b"same bytes")),
            Lookup::FileHash(three.files[0].sha256),
            Lookup::FileHash(Digest::of(b"unknown")),
            Lookup::Path("shared/a.wav".into()),
        ])
        .await
        .unwrap();

    assert_eq!(found, [both.clone(), vec![three.id], vec![], both]);
}

/// Songs are found by their whole title as summaries show it, without case and
/// accents, and by nothing that only begins like it.
pub async fn songs_are_found_by_their_whole_title(backend: &dyn StorageBackend) {
    let seven = retitled(&song("seven"), "Sample 7");
    let others = ["Sample 70", "A Sample 7", "Sample 7 (remix)"];
    let mut twin = retitled(&song("twin"), "kept by the file");
    twin.edits.set(songrec_core::Field::Title, Some("SÄMPLE 7")).unwrap();
    let long = |end: &str| format!("{} {end}", "ab".repeat(600));
    let (one, two) = (retitled(&song("one"), &long("one")), retitled(&song("two"), &long("two")));
    for song in [&seven, &twin, &one, &two] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    for title in others {
        backend.put_song(&retitled(&song(title), title), PutMode::Create).await.unwrap();
    }
    let mut both = vec![seven.id, twin.id];
    both.sort_unstable();
    let titles = ["sample 7", &long("two"), "kept by the file", "Sample", "Sample 7 ", ""];

    let lookups = titles.map(|title| Lookup::Title(title.to_owned()));
    let found = backend.songs().lookup(&lookups).await.unwrap();

    assert_eq!(found, [both, vec![two.id], vec![], vec![], vec![], vec![]]);
    assert_eq!(backend.songs().lookup(&[Lookup::Title(long("three"))]).await.unwrap(), [vec![]]);
}

/// For a title that many songs have, the first 20 are enough to say so.
pub async fn a_title_names_twenty_at_most(backend: &dyn StorageBackend) {
    let mut songs: Vec<Song> =
        (0..25).map(|number| retitled(&song(&format!("intro {number}")), "Intro")).collect();
    let puts: Vec<_> = songs.iter().map(|song| put(song, PutMode::Create)).collect();
    backend.songs().put(&puts).await.unwrap();
    songs.sort_by_key(|song| song.id);

    let found = backend.songs().lookup(&[Lookup::Title("intro".into())]).await.unwrap();

    let first: Vec<_> = songs.iter().take(20).map(|song| song.id).collect();
    assert_eq!(found, [first]);
}

/// A song is found by the files it has, not by those it had.
pub async fn a_moved_file_is_found_where_it_is(backend: &dyn StorageBackend) {
    let one = song("one");
    let old = one.files[0].clone();
    let mut moved = one.clone();
    moved.remove_file(&old.path);
    moved.add_file(at("new place/one.flac", "retagged"));
    moved.revise(&one, crate::time(1));
    backend.put_song(&one, PutMode::Create).await.unwrap();

    backend.put_song(&moved, PutMode::Replace(one.revision.operation)).await.unwrap();

    assert_eq!(by_path(backend, &old.path).await, []);
    assert_eq!(by_path(backend, "new place/one.flac").await, [one.id]);
    let hashes = [Lookup::FileHash(old.sha256), Lookup::FileHash(Digest::of(b"retagged"))];
    assert_eq!(backend.songs().lookup(&hashes).await.unwrap(), [vec![], vec![one.id]]);
}
