//! The contract, one function for each promise.
//!
//! A case gets an empty library and may be run over a network: it knows
//! nothing of clocks, waits for nothing, and asks a few hundred times at most.

mod batch;
mod blob;
mod cancel;
mod change;
mod delete;
mod document;
mod embedding;
mod find;
mod garbage;
mod history;
mod large;
mod lookup;
mod nearest;
mod odd;
mod race;
mod refusal;
mod segment;
mod songs;

pub use batch::*;
pub use blob::*;
pub use cancel::*;
pub use change::*;
pub use delete::*;
pub use document::*;
pub use embedding::*;
pub use find::*;
pub use garbage::*;
pub use history::*;
pub use large::*;
pub use lookup::*;
pub use nearest::*;
pub use odd::*;
pub use race::*;
pub use segment::*;
pub use songs::*;

/// Gives the names of all cases to a macro, behind what else it is to get.
#[doc(hidden)]
#[macro_export]
macro_rules! all_cases {
    ([$($macro:tt)*] $($first:tt)*) => {
        $($macro)* ! {
            $($first)*
            // Songs and models.
            a_missing_song_is_none,
            a_stored_song_comes_back,
            create_refuses_to_overwrite,
            replace_takes_the_version_it_names,
            replace_refuses_another_version,
            replace_refuses_what_is_not_there,
            repeating_a_write_succeeds,
            repeating_a_write_does_not_undo_the_next,
            a_song_of_an_unknown_model_is_refused,
            errors_name_the_backend,
            models_are_listed_by_name,
            a_model_does_not_change,
            songs_come_in_the_order_asked_for,
            // Batches.
            nothing_asked_is_nothing_answered,
            each_song_of_a_batch_stands_for_itself,
            a_batch_cannot_win_against_itself,
            a_batch_may_repeat_itself,
            // Races.
            of_racing_creates_one_wins,
            of_racing_replacements_one_wins,
            what_comes_back_survives_a_purge,
            a_write_does_not_race_itself,
            of_an_edit_and_a_deletion_one_wins,
            a_reader_sees_whole_versions,
            // Deletions.
            a_deleted_song_is_none,
            a_deletion_takes_the_version_it_names,
            deleting_what_is_not_there_leaves_no_trace,
            repeating_a_deletion_succeeds,
            a_deletion_leaves_a_tombstone,
            a_tombstone_holds_what_its_deletion_left,
            a_deleted_song_can_be_created_again,
            purging_forgets_a_tombstone,
            purging_takes_the_tombstone_it_names,
            each_deletion_of_a_batch_stands_for_itself,
            a_batch_of_deletions_may_repeat_itself,
            // Changes.
            changes_tell_everything_from_the_beginning,
            heads_say_what_changes_say,
            changes_always_get_on,
            a_cursor_tells_what_came_after_it,
            a_cursor_can_be_used_again,
            a_song_that_changes_meanwhile_is_told_as_it_became,
            a_cursor_is_text,
            what_changed_nothing_is_no_change,
            nonsense_is_a_lost_cursor,
            changes_say_who_wrote,
            no_change_slips_past_a_cursor,
            changes_tell_that_documents_changed,
            // Look-ups.
            a_song_is_found_by_the_beginning_of_its_id,
            a_prefix_names_twenty_at_most,
            a_song_is_found_by_its_paths,
            songs_are_found_by_the_hash_of_a_file,
            songs_are_found_by_their_whole_title,
            a_title_names_twenty_at_most,
            a_moved_file_is_found_where_it_is,
            // Filters, orders, pages.
            an_empty_library_has_no_songs,
            filters_pass_what_their_definition_passes,
            filters_that_people_write_work,
            songs_come_in_every_order,
            pages_of_a_filter_fit_together,
            a_page_can_skip,
            pages_fit_while_the_library_changes,
            a_token_of_another_query_is_refused,
            an_edited_song_is_found_as_it_is_now,
            // Embeddings.
            embeddings_come_back_bit_for_bit,
            embeddings_of_models_are_apart,
            an_embedding_without_its_song_is_none,
            the_embedding_of_a_deleted_song_can_be_read,
            embeddings_come_in_the_order_asked_for,
            storing_an_embedding_again_changes_nothing,
            the_first_embedding_wins,
            an_embedding_that_is_not_named_can_be_replaced,
            a_song_gets_the_embedding_it_names,
            refused_embeddings_store_nothing,
            a_zero_vector_is_only_refused_under_cosine,
            an_edit_keeps_what_the_song_names,
            // Nearest songs.
            nearest_agrees_with_looking_at_all,
            a_song_is_nearest_to_itself,
            nearest_comes_in_pages,
            filters_never_make_nearest_short,
            a_threshold_is_a_similarity,
            equally_near_songs_come_by_their_ids,
            a_wrong_search_is_refused,
            nearest_filters_by_what_a_song_says_now,
            nearest_songs_are_songs,
            a_song_is_found_while_it_names_its_embedding,
            nearest_copes_with_extreme_vectors,
            // Audio.
            a_blob_comes_back,
            a_large_blob_comes_in_pieces,
            a_part_of_a_blob_can_be_read,
            a_missing_blob_is_none,
            storing_a_blob_again_changes_nothing,
            wrong_bytes_are_refused,
            a_blob_has_an_address_where_there_are_any,
            // Garbage collection and verifying.
            garbage_collection_removes_what_no_song_names,
            what_would_be_swept_can_be_asked,
            garbage_collection_spares_the_young,
            garbage_collection_spares_what_can_be_restored,
            garbage_collection_removes_what_is_no_longer_named,
            interrupted_maintenance_ends_early,
            verifying_a_sound_library_finds_nothing,
            verifying_accepts_objects_without_a_song,
            // Segments.
            segments_come_back,
            patterns_are_found_by_their_ids,
            storing_a_segment_again_changes_nothing,
            refused_segments_store_nothing,
            segments_are_found_by_their_query,
            nearest_segments_agree_with_looking_at_all,
            a_wrong_search_of_segments_is_refused,
            deleted_segments_were_there,
            // Documents.
            documents_come_back,
            documents_are_known_by_kind_and_id,
            documents_change_by_compare_and_set,
            each_document_of_a_batch_stands_for_itself,
            of_racing_documents_one_wins,
            wrong_document_ids_are_refused,
            documents_are_listed,
            a_document_is_deleted_by_its_version,
            // Whole histories.
            a_random_history_goes_as_in_memory,
            // Odd songs.
            real_songs_come_back,
            odd_texts_come_back,
            odd_names_come_back,
            a_long_song_comes_back,
            // Callers that give up.
            a_dropped_write_can_be_repeated,
            a_dropped_deletion_can_be_repeated,
            dropped_objects_can_be_stored_again,
            a_dropped_read_harms_nobody,
            // Large batches.
            large_batches_are_no_different,
            many_songs_can_be_excluded,
        }
    };
}

/// The same cases as boxed futures: compiled once, here, and not in every test that runs them.
pub mod boxed {
    use futures::future::BoxFuture;
    use songrec_storage::StorageBackend;

    macro_rules! boxed {
        ($($case:ident),* $(,)?) => {
            $(
                #[doc = concat!("[`", stringify!($case), "`](super::", stringify!($case), "), boxed.")]
                pub fn $case(backend: &dyn StorageBackend) -> BoxFuture<'_, ()> {
                    Box::pin(super::$case(backend))
                }
            )*
        };
    }

    all_cases!([boxed]);
}

/// One test for each promise of the contract, over the backends that an
/// expression opens: a future of an empty backend, of an `Arc` of one, or of
/// a pair of one and what has to live as long as it.
///
/// An attribute may come first, such as `#[ignore = "needs an account"]`, and is
/// put on every test.
#[macro_export]
macro_rules! conformance {
    (#[$attribute:meta] $open:expr) => {
        $crate::all_cases!([$crate::conformance] @cases [#[$attribute]] $open;);
    };
    ($open:expr) => {
        $crate::all_cases!([$crate::conformance] @cases [] $open;);
    };
    (@cases $attributes:tt $open:expr; $($case:ident),* $(,)?) => {
        $($crate::conformance!(@case $attributes $open; $case);)*
    };
    (@case [$(#[$attribute:meta])*] $open:expr; $case:ident) => {
        $(#[$attribute])*
        #[test]
        fn $case() {
            $crate::run_case(async {
                let opened = $open.await;
                $crate::conformance::boxed::$case($crate::Opened::backend(&opened)).await;
            });
        }
    };
}
