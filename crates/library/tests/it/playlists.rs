//! Playlists are the same wherever a library is kept, whoever else changes them.
#![cfg(feature = "astra")]
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde_json::json;
use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret};
use songrec_core::{
    Document, DocumentKind, Filter, Job, Song, SongFile, SongId, SongSummary, encode_path,
};
use songrec_emulator::Emulator;
use songrec_library::{
    ErrorKind, ImportOptions, KeptPlaylist, Library, MatchedBy, PathOptions, PlaylistChange,
    PlaylistFormat, PlaylistRule, change_playlist, create_playlist, delete_playlist,
    import_playlist, looked_up, now, playlist_file, playlist_named, playlist_songs, playlists,
};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{PutDocument, PutMode, StorageBackend};
use songrec_testkit::{delete, library_of, temp_dir, tiny_model};

use crate::floor::config;

const SONGS: usize = 60;

/// A library of each kind, with the same songs.
struct Places {
    libraries: Vec<(Library, Arc<dyn StorageBackend>)>,
    songs: Vec<Song>,
    _emulator: Emulator,
    root: tempfile::TempDir,
}

impl Places {
    async fn new() -> Self {
        let root = temp_dir();
        let config = config(root.path());
        let emulator = Emulator::builder().start().await.unwrap();
        let mut settings = AstraConfig::new(emulator.url(), Secret::new(emulator.token()));
        settings.blobs = Some(BlobConfig::new("memory:"));
        let astra = AstraBackend::connect(&settings).unwrap();
        assert!(astra.init(false).await.unwrap().is_complete());
        let local =
            LocalBackend::create(root.path().join("library"), LocalOptions::default()).await;
        let fixture = library_of(SONGS, 5).embedded_by(&tiny_model(), 6);
        let backends: [(&str, Arc<dyn StorageBackend>); 2] =
            [("local", Arc::new(local.unwrap())), ("astra", Arc::new(astra))];
        let mut libraries = Vec::new();
        for (name, backend) in backends {
            fixture.clone().store(&*backend).await;
            let library = Library::new(backend.clone(), config.clone(), name.into(), None);
            libraries.push((library, backend));
        }
        Self { libraries, songs: fixture.songs, _emulator: emulator, root }
    }

    fn each(&self) -> impl Iterator<Item = (&Library, &dyn StorageBackend)> {
        self.libraries.iter().map(|(library, backend)| (library, &**backend))
    }
}

fn add(songs: &[Song]) -> PlaylistChange {
    PlaylistChange::Add { songs: shown(songs), at: None }
}

fn ids(kept: &KeptPlaylist) -> Vec<SongId> {
    kept.playlist.entries().iter().map(|entry| entry.song).collect()
}

fn shown(songs: &[Song]) -> Vec<SongSummary> {
    songs.iter().map(SongSummary::of).collect()
}

async fn passing(library: &Library, backend: &dyn StorageBackend, filter: &[&str]) -> Vec<SongId> {
    let filter = Filter::parse_all(filter).unwrap();
    let filter = looked_up(library, filter, &Job::silent()).await.unwrap();
    let query = songrec_storage::SongQuery { filter, limit: 500, ..Default::default() };
    let page = backend.songs().find_summaries(&query).await.unwrap();
    let mut ids: Vec<SongId> = page.items.iter().map(|summary| summary.id).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_playlist_is_made_changed_shown_and_deleted() {
    let places = Places::new().await;
    let songs = &places.songs;
    for (library, backend) in places.each() {
        let kept =
            create_playlist(library, "Late Evening", &shown(&songs[..3]), None).await.unwrap();
        for wrong in ["late evening!", "LÁTE  évening", "—", ""] {
            let error = create_playlist(library, wrong, &[], None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{wrong}");
        }
        let named = playlist_named(library, "late-evening").await.unwrap();
        assert_eq!((named.id.as_str(), ids(&named).len()), (kept.id.as_str(), 3));

        let keys: Vec<String> =
            named.playlist.entries().iter().map(|entry| entry.key.clone()).collect();
        let changes = [
            add(&songs[1..2]),
            PlaylistChange::Move { keys: vec![keys[2].clone()], to: 0 },
            PlaylistChange::Remove(vec![keys[0].clone()]),
            PlaylistChange::Name("Night".to_owned()),
        ];
        let changed = change_playlist(library, &kept.id, &changes, Some(named.version)).await;
        let changed = changed.unwrap();
        assert_eq!(ids(&changed), [songs[2].id, songs[1].id, songs[1].id]);
        // Nobody changes what they have not seen, and half of a change is none.
        let stale = change_playlist(library, &kept.id, &changes, Some(named.version)).await;
        assert_eq!(stale.unwrap_err().kind(), ErrorKind::Guard);
        let wrong = [add(&songs[5..6]), PlaylistChange::Name(String::new())];
        assert!(change_playlist(library, &kept.id, &wrong, None).await.is_err());
        assert_eq!(playlist_named(library, &kept.id).await.unwrap(), changed);

        backend.songs().delete(&[delete(songs[2].id)]).await.unwrap();
        let shown = playlist_songs(library, &changed, &Job::silent()).await.unwrap();
        assert_eq!((shown.missing, shown.entries.len()), (1, 3));
        let gone = &shown.entries[0];
        assert_eq!((gone.missing, gone.card.is_none()), (true, true));
        assert_eq!(gone.title, SongSummary::of(&songs[2]).title);
        assert_eq!(shown.keys_of(&songs[2].id.short()), [gone.key.clone().unwrap()]);
        assert_eq!(shown.keys_of(&SongSummary::of(&songs[1]).title).len(), 2);

        delete_playlist(library, &kept.id, None).await.unwrap();
        assert!(playlists(library).await.unwrap().playlists.is_empty());
        for id in [&kept.id, "night"] {
            let error = playlist_named(library, id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        let again = delete_playlist(library, &kept.id, None).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound);
        // Other libraries have to learn of it.
        let id = [kept.id.clone()];
        let stored = backend.documents().get(DocumentKind::Playlist, &id).await.unwrap();
        assert!(stored[0].as_ref().unwrap().deleted);
        create_playlist(library, "Night", &[], None).await.unwrap();
    }
}

#[tokio::test]
async fn writers_that_meet_lose_nothing() {
    let places = Places::new().await;
    for (library, _) in places.each() {
        let kept = create_playlist(library, "shared", &[], None).await.unwrap();
        let writes = places.songs[..8].iter().map(|song| {
            let change = [add(std::slice::from_ref(song))];
            let id = kept.id.clone();
            async move { change_playlist(library, &id, &change, None).await.unwrap() }
        });
        futures::future::join_all(writes).await;

        let kept = playlist_named(library, "shared").await.unwrap();
        let mut found = ids(&kept);
        found.sort_unstable();
        assert_eq!(found, places.songs[..8].iter().map(|song| song.id).collect::<Vec<_>>());

        // Of several that make a playlist of one name at once, one succeeds at most.
        for round in 0..5 {
            let name = format!("race {round}");
            let made = (0..4).map(|_| create_playlist(library, &name, &[], None));
            let made = futures::future::join_all(made).await;
            let all = playlists(library).await.unwrap().playlists;
            let there = all.iter().filter(|kept| kept.playlist.name() == name).count();
            assert_eq!(made.iter().filter(|made| made.is_ok()).count(), there);
            assert!(there <= 1, "{there}");
        }
    }
}

#[tokio::test]
async fn a_filter_names_playlists_on_every_backend() {
    let places = Places::new().await;
    let songs = &places.songs;
    for (library, backend) in places.each() {
        create_playlist(library, "one", &shown(&songs[..4]), None).await.unwrap();
        create_playlist(library, "Zwei & drei", &shown(&songs[2..6]), None).await.unwrap();
        let wanted = |range: std::ops::Range<usize>| -> Vec<SongId> {
            songs[range].iter().map(|song| song.id).collect()
        };
        for (filter, expected) in [
            (&["playlist:one"][..], wanted(0..4)),
            (&["playlist:ONE,\"zwei drei\""], wanted(0..6)),
            (&["playlist:one", "playlist:zwei & drei"], wanted(2..4)),
            (&["playlist:one", "-playlist:zwei & drei"], wanted(0..2)),
            (&["playlist:*"], wanted(0..6)),
            (&["-playlist:*"], wanted(6..SONGS)),
        ] {
            assert_eq!(passing(library, backend, filter).await, expected, "{filter:?}");
        }
        let unknown = Filter::parse_all(&["playlist:three"]).unwrap();
        let error = looked_up(library, unknown, &Job::silent()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.hint().unwrap().to_string().contains("`one`"), "{error:?}");

        // The rule of a smart one may name playlists, but not in a circle.
        let rule = |filter: &str, length| {
            let filter = Filter::parse_all(&[filter]).unwrap();
            Some(PlaylistRule::new(filter, &[], length))
        };
        create_playlist(library, "smart", &[], rule("playlist:one", Some(3))).await.unwrap();
        let found = passing(library, backend, &["playlist:smart"]).await;
        assert!(found.len() == 3 && found.iter().all(|id| wanted(0..4).contains(id)));
        let smart = playlist_named(library, "smart").await.unwrap();
        let circle = PlaylistChange::Rule(rule("playlist:smart", None).unwrap());
        let smart = change_playlist(library, &smart.id, &[circle], None).await.unwrap();
        let error = playlist_songs(library, &smart, &Job::silent()).await.unwrap_err();
        assert!(error.to_string().contains("depends on itself"), "{error}");
    }
}

#[tokio::test]
async fn a_smart_playlist_begins_with_songs_and_goes_on_with_what_sounds_like_them() {
    let places = Places::new().await;
    let seeds: Vec<SongSummary> = places.songs[..2].iter().map(SongSummary::of).collect();
    let mut all = Vec::new();
    for (library, backend) in places.each() {
        let rule = PlaylistRule::new(Filter::all(), &seeds, Some(6));
        let kept = create_playlist(library, "like", &[], Some(rule)).await.unwrap();
        let shown = playlist_songs(library, &kept, &Job::silent()).await.unwrap();
        let found: Vec<SongId> = shown.entries.iter().map(|entry| entry.song).collect();
        assert_eq!(found[..2], [seeds[0].id, seeds[1].id]);
        assert_eq!((found.len(), shown.card.songs), (6, Some(6)));
        assert!(shown.entries.iter().all(|entry| entry.key.is_none()));
        all.push(found);

        backend.songs().delete(&[delete(seeds[0].id)]).await.unwrap();
        let shown = playlist_songs(library, &kept, &Job::silent()).await.unwrap();
        assert_eq!(shown.entries[0].song, seeds[1].id);
        assert!(shown.notes.iter().any(|note| note.contains("is gone")), "{:?}", shown.notes);
    }
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
async fn what_a_sync_kept_and_what_cannot_be_read_stand_in_nobodys_way() {
    let places = Places::new().await;
    for (library, backend) in places.each() {
        let own = create_playlist(library, "Best", &shown(&places.songs[..1]), None).await.unwrap();
        let store = |id: &str, body: serde_json::Value| {
            let document = Document::new(DocumentKind::Playlist, id, body, now());
            let put = PutDocument { document, mode: PutMode::Create };
            async move { backend.documents().put(&[put]).await.unwrap() }
        };
        let body = json!({"format": 1, "name": "best", "created_at": "2026-01-01T00:00:00Z"});
        let beside = format!("{}-conflict-0badcafe", own.id);
        store(&beside, body).await;
        store("later", json!({"format": 9, "name": "x"})).await;

        let list = playlists(library).await.unwrap();
        assert_eq!((list.playlists.len(), list.unreadable.len()), (2, 1));
        assert!(list.unreadable[0].why.contains("format 9"), "{:?}", list.unreadable);
        assert_eq!(list.find("best").unwrap().id, own.id);
        let kept = list.find(&beside).unwrap();
        assert_eq!((kept.beside(), kept.card().beside), (Some(&*own.id), Some(own.id.clone())));
        let error = playlist_named(library, "later").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        // What is not understood is not written over.
        let change = [PlaylistChange::Name("mine".to_owned())];
        assert!(change_playlist(library, "later", &change, None).await.is_err());
        delete_playlist(library, "later", None).await.unwrap();
        let change = [PlaylistChange::Name("Best of two".to_owned())];
        change_playlist(library, &beside, &change, None).await.unwrap();
        assert_eq!(playlist_named(library, "best of two").await.unwrap().id, beside);
    }
}

// Puts a file beside a song, as a scan of `path` would have.
async fn with_file(backend: &dyn StorageBackend, song: &mut Song, path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    let stored = backend.songs().get(&[song.id]).await.unwrap().remove(0).unwrap();
    let mut next = stored.clone();
    next.files.clear();
    next.files.push(SongFile {
        path: encode_path(path),
        size: bytes.len() as u64,
        sha256: songrec_core::Digest::of(bytes),
    });
    next.revise(&stored, now());
    let put = songrec_testkit::put(&next, PutMode::Replace(stored.revision.operation));
    assert!(backend.songs().put(&[put]).await.unwrap()[0].is_done());
    *song = next;
}

#[tokio::test]
async fn a_playlist_goes_to_a_file_and_comes_back() {
    let places = Places::new().await;
    let music = places.root.path().canonicalize().unwrap().join("music");
    for (library, backend) in places.each() {
        let mut songs = places.songs[..5].to_vec();
        for (n, song) in songs.iter_mut().enumerate() {
            let path = music.join(format!("disc {n}/song #{n} é.flac"));
            with_file(backend, song, &path, &[n as u8; 9]).await;
        }
        let kept = create_playlist(library, "Trip", &shown(&songs), None).await.unwrap();
        backend.songs().delete(&[delete(songs[4].id)]).await.unwrap();
        for format in PlaylistFormat::ALL {
            let paths = PathOptions { relative_to: Some(music.clone()), ..PathOptions::default() };
            let job = Job::silent();
            let file = playlist_file(library, &kept, format, &paths, &job).await.unwrap();
            assert_eq!((file.exported.songs, file.exported.left_out.len()), (4, 1));
            assert!(file.exported.left_out[0].why.contains("not in the library"));
            // One is moved by its owner, one is no file, one nobody knows.
            let mut text = String::from_utf8(file.bytes).unwrap();
            if format == PlaylistFormat::M3u8 {
                text = text.replace("disc 3/", "moved/");
                std::fs::create_dir_all(music.join("moved")).unwrap();
                let _ = std::fs::copy(
                    music.join("disc 3/song #3 é.flac"),
                    music.join("moved/song #3 é.flac"),
                );
                text.push_str("https://example.org/live\n#EXTINF:1,Nobody - Nothing\nno.mp3\n");
                text.push_str("/dev/zero\n../../../../../../etc/passwd\n");
            }
            let path = music.join(format!("trip.{format}"));
            std::fs::write(&path, text).unwrap();
            let name = format!("back by {format}");
            let options = ImportOptions { name: Some(name), ..ImportOptions::default() };
            let imported = import_playlist(library, &path, &options, &job).await.unwrap();

            let back = playlist_named(library, &imported.playlist.unwrap().id).await.unwrap();
            assert_eq!(ids(&back), songs[..4].iter().map(|song| song.id).collect::<Vec<_>>());
            if format == PlaylistFormat::M3u8 {
                let by = BTreeMap::from([(MatchedBy::Path, 3), (MatchedBy::Hash, 1)]);
                assert_eq!((imported.matched, imported.matched_by), (4, by));
                let places: Vec<usize> =
                    imported.unmatched.iter().map(|one| one.position).collect();
                assert_eq!(places, [5, 6, 7, 8]);
                assert_eq!(imported.unmatched[0].why, "it is no file");
            } else {
                assert_eq!(imported.matched_by, BTreeMap::from([(MatchedBy::Id, 4)]));
            }
        }
    }
}

#[tokio::test]
async fn a_song_of_another_machine_is_known_by_its_name_if_it_is_alone() {
    let places = Places::new().await;
    let music = places.root.path().canonicalize().unwrap().join("music");
    for (library, backend) in places.each() {
        let mut songs = places.songs[..3].to_vec();
        for (n, name) in ["a/one.flac", "a/two.flac", "b/two.flac"].into_iter().enumerate() {
            with_file(backend, &mut songs[n], &music.join(name), &[n as u8; 9]).await;
        }
        let file = music.join("theirs.m3u");
        std::fs::write(&file, "M:\\Music\\ONE.flac\r\nM:\\Music\\x\\two.flac\r\n").unwrap();
        let options = ImportOptions { dry_run: true, ..ImportOptions::default() };
        let job = Job::silent();
        let plain = import_playlist(library, &file, &options, &job).await.unwrap();
        assert_eq!(plain.matched_by, BTreeMap::from([(MatchedBy::FileName, 1)]));
        assert!(plain.playlist.is_none() && plain.unmatched[0].position == 2);

        let b = music.join("b");
        let map = format!("M:\\Music\\x={}", b.display()).parse().unwrap();
        let options = ImportOptions { maps: vec![map], ..ImportOptions::default() };
        let mapped = import_playlist(library, &file, &options, &job).await.unwrap();
        let kept = playlist_named(library, "theirs").await.unwrap();
        assert_eq!(ids(&kept), [songs[0].id, songs[2].id]);
        assert!(mapped.unmatched.is_empty());
    }
}
