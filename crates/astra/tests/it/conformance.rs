//! The contract, over the emulator and an S3 server, as they are and as they
//! may be.

/// The whole contract. `SONGREC_TEST_EMULATOR` makes it harder: `small` for
/// pages of seven documents and the old names of errors, `faulty` for 30 % of
/// all requests failing.
mod whole {
    songrec_testkit::conformance!(crate::support::chosen_library());
}

/// Some of the promises that faults are most likely to break, always run.
mod while_a_third_fails_in_short {
    use songrec_emulator::Emulator;
    use songrec_testkit::{conformance, run_case};

    macro_rules! cases {
        ($($case:ident),* $(,)?) => {
            $(#[test]
            fn $case() {
                run_case(async {
                    let (backend, _cloud) =
                        crate::support::faulty_library(Emulator::builder()).await;
                    conformance::boxed::$case(&backend).await;
                });
            })*
        };
    }

    cases! {
        create_refuses_to_overwrite,
        replace_takes_the_version_it_names,
        each_song_of_a_batch_stands_for_itself,
        of_racing_creates_one_wins,
        of_racing_replacements_one_wins,
        of_an_edit_and_a_deletion_one_wins,
        a_deletion_leaves_a_tombstone,
        a_tombstone_holds_what_its_deletion_left,
        a_cursor_tells_what_came_after_it,
        no_change_slips_past_a_cursor,
        the_first_embedding_wins,
        an_embedding_that_is_not_named_can_be_replaced,
        nearest_songs_are_songs,
        documents_change_by_compare_and_set,
        segments_come_back,
        changes_tell_that_documents_changed,
        a_blob_comes_back,
        a_large_blob_comes_in_pieces,
        a_part_of_a_blob_can_be_read,
        a_missing_blob_is_none,
        storing_a_blob_again_changes_nothing,
        wrong_bytes_are_refused,
        a_blob_has_an_address_where_there_are_any,
        garbage_collection_removes_what_no_song_names,
        garbage_collection_spares_what_can_be_restored,
        a_random_history_goes_as_in_memory,
    }
}
