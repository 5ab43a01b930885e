//! What a user has: a library, its settings, and what can be done with it.

mod add;
mod anomalies;
mod artwork;
mod attributes;
mod audio;
mod backup;
mod between;
mod cache;
mod cluster;
mod complete;
mod config;
mod decoding;
mod directories;
mod doctor;
mod duplicates;
mod edit;
mod embedders;
mod embedding;
mod error;
mod evaluate;
mod explain;
pub mod find;
mod fresh;
mod given;
mod hash;
mod history;
mod library;
mod map;
mod models;
mod near;
mod npy;
mod open;
mod part;
mod paths;
mod patterns;
mod pictures;
mod player;
mod playing;
mod playlist;
mod points;
mod previews;
mod property;
mod radio;
mod relocate;
mod remote;
mod remove;
mod robustness;
mod sample;
mod scan;
mod schema;
pub mod share;
mod shown;
#[cfg(feature = "astra")]
mod silence;
mod similar;
mod spare;
mod synth;
mod transfer;
mod upload;
mod vector;
mod verify;
mod watch;
mod web_address;
mod words;
mod work;

pub use add::{NewSong, add_all, take_back_unfinished};
pub(crate) use anomalies::decision_scores;
pub use anomalies::{
    Anomalies, Anomaly, AnomalyMethod, AnomalyOptions, CONTAMINATION, anomalies, are_anomalies_kept,
};
pub use artwork::{Artwork, artwork};
pub use audio::{audio_url, get_audio};
pub use backup::{
    ArchiveReport, BackedUp, BackupOptions, Contents, DamagedPart, Manifest, NotBackedUp,
    RestoreOptions, Restored, Restoring, backup, backup_to_file,
};
pub use between::{Between, BetweenOptions, BetweenSong, between};
pub use cache::cache;
pub use cluster::{
    Cluster, ClusterCount, ClusterList, ClusterMethod, ClusterOptions, Clustering, Labels, cluster,
    cluster_named, cluster_songs, clustering, clusters_of, labels, remove_clusters, rename_cluster,
};
pub use complete::DifferentValue;
pub use config::{
    Chosen, Config, HttpTable, Key, ModelTable, NamedLibrary, OnnxTable, Origin, REMOTE_FILE,
    SETTINGS, Setting, Shown, Sources, Text, Value, is_library, keys, local_root, parse_bytes,
};
pub use directories::Directories;
#[cfg(feature = "astra")]
pub use doctor::doctor_astra;
pub use doctor::{Check, CheckState, doctor};
pub use duplicates::{DuplicateFile, Duplicates, duplicates};
pub use edit::{EditChange, edit, write_again};
pub use embedders::{EmbeddedFile, embed_file};
pub use embedding::{
    DroppedModel, ModelUse, drop_model, model_use, remove_embedding, replace_embedding,
};
pub use error::{Error, ErrorKind, Result};
pub use evaluate::{Band, Confusion, Eval, EvalOptions, Measured, ModelEval, evaluate};
pub use explain::{ExplainedPair, Explanation, Fact, GroupMatch, Reason, explain, explain_songs};
pub use find::Named;
pub use fresh::state as library_state;
pub use given::given_model;
pub use history::{SongHistory, Written};
pub use library::{Library, now};
pub use map::{
    Map, MapClass, MapData, MapFormat, MapMethod, MapOptions, MapSong, NO_CLASS, is_map_kept, map,
};
pub use models::{
    AddedModel, Embedders, HttpModelPlace, KnownModel, ModelBench, ModelFile, ModelPlace, Models,
    OnnxModelPlace, bench_model,
};
pub use near::{NEAR, NearDuplicate, NearDuplicateOptions, NearDuplicates, near_duplicates};
pub use npy::{npy_of, read_npy, write_npy};
pub use open::{Access, InitOptions};
pub use part::{InvalidPart, Part, clock};
pub use patterns::{
    AddedPattern, KeptPattern, LARGEST_METADATA, NewPattern, PatternChange, PatternIntake,
    PatternOrder, PatternQuery, PatternSubject, ShownPattern, SimilarPattern, SimilarPatterns,
    SimilarPatternsOptions, edit_pattern, find_patterns, pattern, pattern_id, pattern_ids,
    remove_patterns, similar_patterns,
};
pub use pictures::{LARGEST_PICTURE, MOST_POINTS, WaveformOfSong, spectrogram, waveform};
pub use player::{Opened, play, show_files};
pub use playing::{AudioPlace, AudioStream, CheckedAudio, Playable, playable, read_audio};
pub use playlist::{
    ExportedPlaylist, ImportOptions, ImportedPlaylist, InvalidPathMap, InvalidPlaylistFormat,
    KeptPlaylist, LARGEST_PLAYLIST_FILE, LeftOut, MOST_SONGS, MatchedBy, PathMap, PathOptions,
    Playlist, PlaylistCard, PlaylistChange, PlaylistEntry, PlaylistFile, PlaylistFormat,
    PlaylistList, PlaylistRule, PlaylistSeed, PlaylistSong, PlaylistSongs, RULE_LENGTH,
    SentPlaylist, Unmatched, UnreadablePlaylist, change_playlist, create_playlist, delete_playlist,
    import_playlist, looked_up, playlist_file, playlist_named, playlist_songs, playlists,
    songs_file,
};
pub use points::{MappedPoints, Points, points};
pub use previews::{
    DownloadedPreviews, PREVIEW_SERVICES, PreviewItem, PreviewOptions, PreviewOutcome,
    PreviewServices, PreviewTrack, PreviewWords, Previews, PreviewsTakenIn, download_previews,
    known_previews,
};
pub use property::Property;
pub use radio::{Radio, RadioOptions, RadioSong, radio};
pub use relocate::{RelocateOptions, Relocated, relocate};
pub use remote::{folder_name, remember_remote};
pub use remove::{
    AudioFiles, Removed, are_missing, audio_files, delete_audio_of, forgotten, remove,
};
pub use robustness::{
    DistortionResult, ModelRobustness, Robustness, RobustnessOptions, robustness,
};
pub use scan::{
    Changed, READ_ALONE, ScanOptions, ScanReport, SkippedKind, SkippedList, failed_files,
    read_alone, scan,
};
pub use schema::{DEFINITIONS, SCHEMAS};
pub use shown::{ClusterName, ShownSong};
pub use similar::{
    Blend, BlendPart, Example, Found, InvalidBlend, ModelWeight, Passage, Passages, Query, Similar,
    SimilarOptions, SimilarSong, Subject, UNLIKE, WeightedQuery, find_model, passages,
    passages_or_songs, reading_model, similar, similar_to,
};
pub use spare::{SpareFolder, remove_spare_folders, spare_folders};
pub use synth::{
    Control, ControlRate, EndedLink, FoundSynths, IntakeMode, IntakeOptions, KeptSynth,
    LARGEST_SOURCE, LINK_WEIGHT, Lineage, NamedSynth, Relative, RemovedSynth, ShownLink,
    ShownSynth, Synth, SynthCategory, SynthChange, SynthFact, SynthFile, SynthIntake, SynthLink,
    SynthList, SynthQuery, SynthWithSource, SynthsScanned, TakenIn, TakenSynth, UnreadableSynth,
    Way, edit_synth, find_synths, link_synths, read_synth_file, remove_synth, synth_lineage,
    synth_named, synths, unlink_synths,
};
pub use transfer::{
    Different, ExportFormat, Exported, Imported, TableOptions, export, export_table, import,
};
pub use upload::{Received, plain_name, receive};
pub use vector::vector_of;
pub use verify::{collect_garbage, find_garbage, verify};
pub use watch::{WatchOptions, WatchRound, watch};
pub use words::{by_words, reads_words};
pub use work::until_interrupted;

#[cfg(feature = "astra")]
pub use songrec_astra::{InitReport, InitState};
pub use songrec_audio::FORMATS;
pub use songrec_core::{Interrupt, Job};
pub use songrec_models::{HAS_TIMBRE, TIMBRE, built_in_models};
pub use songrec_storage::{Collected, Finding, VerifyOptions};
