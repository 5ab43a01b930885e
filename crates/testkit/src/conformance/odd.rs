//! Songs that say odd things.

use songrec_core::{Conflict, Field, Filter, SongFile, SongSummary, Stamp};
use songrec_storage::{Lookup, PutMode, SongQuery, StorageBackend, StorageBackendExt};

use crate::{library_of, odd_texts, operation, put, song, tiny_model};

/// Songs as they are found in the wild come back as they were stored, down to
/// the last digit of every number.
pub async fn real_songs_come_back(backend: &dyn StorageBackend) {
    let fixture = library_of(80, 71).embedded_by(&tiny_model(), 8).store(backend).await;
    let ids: Vec<_> = fixture.songs.iter().map(|song| song.id).collect();

    let stored = backend.songs().get(&ids).await.unwrap();

    for (stored, song) in stored.into_iter().zip(&fixture.songs) {
        assert_eq!(stored.as_ref(), Some(song));
    }
}

/// Text is text, whatever it could mean to a database, a shell or a path.
pub async fn odd_texts_come_back(backend: &dyn StorageBackend) {
    for (number, text) in odd_texts().into_iter().enumerate() {
        let mut one = song(&format!("odd {number}"));
        one.tags.title = Some(text.clone());
        one.tags.artist = Some(text.clone());
        one.tags.genres = vec![text.clone(), text.clone()];
        one.tags.moods = vec![text.clone()];
        one.tags.extra.insert("comment".into(), text.clone());
        one.edits.set_value(Field::Extra("note".into()), text.clone().into());
        one.edits.set_value(Field::Instrument, text.clone().into());
        one.add_file(SongFile {
            path: text.clone(),
            sha256: one.audio_hash,
            size: u64::from(u32::MAX) * 3,
        });

        backend.put_song(&one, PutMode::Create).await.unwrap();

        assert_eq!(backend.get_song(one.id).await.unwrap(), Some(one.clone()), "{text:?}");
        let found = backend.songs().lookup(&[Lookup::Path(text.clone())]).await.unwrap();
        assert_eq!(found, [vec![one.id]], "{text:?}");
        let (summary, filter) = (SongSummary::of(&one), Filter::text(&text));
        assert!(filter.passes(&summary));
        let query = SongQuery { filter, limit: 50, ..SongQuery::default() };
        let found = backend.songs().find_summaries(&query).await.unwrap().items;
        assert!(found.contains(&summary), "{text:?} is not found");
    }
}

/// Names of values may hold what separates names elsewhere.
pub async fn odd_names_come_back(backend: &dyn StorageBackend) {
    let mut one = song("one");
    for name in [
        "isrc",
        "a.b",
        "a..b",
        ".",
        "$set",
        "$",
        "a$b",
        "&.",
        "&&",
        "with space",
        "日本",
        "'\"`\\",
        "%_",
        "0",
        "null",
        "__proto__",
        "id",
        "line\nbreak",
    ] {
        one.tags.extra.insert(name.to_owned(), format!("value of {name}"));
        one.stamps.insert(name.to_owned(), Stamp::after(Stamp::default(), one.added_at));
    }
    one.edits.set(Field::Extra("preview_url".into()), Some("https://example.com/?a=b.c")).unwrap();
    one.edits.set(Field::Title, None).unwrap();
    one.conflicts.push(Conflict {
        field: Field::Genre,
        value: serde_json::json!(["a.b", "$c", null]),
        stamp: Stamp::after(Stamp::default(), one.updated_at),
        operation: operation("loser"),
    });

    backend.put_song(&one, PutMode::Create).await.unwrap();

    assert_eq!(backend.get_song(one.id).await.unwrap(), Some(one));
}

/// A song that has a lot to say is no harder than another.
pub async fn a_long_song_comes_back(backend: &dyn StorageBackend) {
    let mut one = song("one");
    one.tags.comment = Some("ä lyrics \u{1f3b5}\n".repeat(2_000));
    one.tags.title = Some("long ".repeat(1_000));
    one.tags.genres = (0..100).map(|number| format!("genre {number}")).collect();
    for number in 0..100 {
        one.tags.extra.insert(format!("name {number}"), "value".repeat(20));
        one.add_file(SongFile {
            path: format!("copies/{number}/{}.wav", "x".repeat(200)),
            sha256: one.audio_hash,
            size: number,
        });
    }

    backend.songs().put(&[put(&one, PutMode::Create)]).await.unwrap();

    assert_eq!(backend.get_song(one.id).await.unwrap(), Some(one.clone()));
    let query = SongQuery {
        filter: Filter::parse_all(&["genre:genre 77", "title:long"]).unwrap(),
        limit: 5,
        ..SongQuery::default()
    };
    assert_eq!(backend.songs().find(&query).await.unwrap().items, [one]);
}
