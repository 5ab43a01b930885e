//! Gives one song of a library segments, and stores the song again after them,
//! as every writer of segments does: an example of the crate `songrec-local` of
//! the version that `make.sh` runs, because no command of it makes any of a
//! short tone. `segments LIBRARY SONG NUMBER...`

use songrec_core::{Segment, SegmentId, Silent, Timestamp, Vector};
use songrec_local::LocalBackend;
use songrec_storage::{PutMode, PutSong, StorageBackend, StorageBackendExt};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let library = LocalBackend::open(&arguments[0], &Silent).await.unwrap();
    let mut song = library.get_song(arguments[1].parse().unwrap()).await.unwrap().unwrap();
    let numbers = arguments[2..].iter().map(|number| number.parse::<u8>().unwrap());
    let segments: Vec<Segment> = numbers
        .map(|number| Segment {
            id: SegmentId::from_bytes([number; 16]),
            song: song.id,
            start: f64::from(number) / 100.0,
            end: f64::from(number) / 100.0 + 0.5,
            frequencies: None,
            kind: "window".to_owned(),
            confidence: 1.0,
            model: "dsp45@1".parse().unwrap(),
            vector: Vector::new((0..45u8).map(|at| f32::from(at ^ number)).collect::<Vec<_>>())
                .unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
        })
        .collect();
    library.segments().put(&segments).await.unwrap();
    let mode = PutMode::Replace(song.revision.operation);
    song.revise(Timestamp::now());
    library.songs().put(&[PutSong { song, mode, origin: None }]).await.unwrap();
}
