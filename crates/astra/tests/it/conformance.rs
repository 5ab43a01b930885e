//! The contract, over the emulator as it is and as it may be.

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
                    let (backend, _emulator) =
                        crate::support::faulty_library(Emulator::builder()).await;
                    conformance::$case(&backend).await;
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
        a_cursor_tells_what_came_after_it,
        no_change_slips_past_a_cursor,
        the_first_embedding_wins,
        nearest_songs_are_songs,
        documents_change_by_compare_and_set,
        segments_come_back,
    }
}
