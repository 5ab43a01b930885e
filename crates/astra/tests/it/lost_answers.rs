//! Writes whose answers are lost, late, or wrong about what happened.

use songrec_core::OperationId;
use songrec_emulator::{Emulator, Fault, Rule};
use songrec_storage::{Outcome, PutMode, StorageBackend, StorageBackendExt};
use songrec_testkit::{delete, put, retagged, run_case, song};

use crate::support::library;

fn doubtful() -> Vec<Fault> {
    vec![
        Fault::DropAfter,
        Fault::CutAnswer,
        Fault::TimeoutApplied,
        Fault::TimeoutNotApplied,
        Fault::TimeoutAppliedLater,
        Fault::ConcurrentFailure { applied: true },
        Fault::AppliedThenRepeated,
        Fault::status(500),
    ]
}

#[test]
fn a_lost_answer_never_looks_like_a_conflict() {
    run_case(async {
        let (backend, emulator) = library(Emulator::builder()).await;
        for (number, fault) in doubtful().into_iter().enumerate() {
            let first = song(&format!("song {number}"));
            let second = retagged(&first);
            for (command, write) in [
                ("insertMany", put(&first, PutMode::Create)),
                ("findOneAndUpdate", put(&second, PutMode::Replace(first.revision.operation))),
            ] {
                let rule = emulator.faults().add(Rule::fault(fault.clone()).on(command).next(1));
                let outcomes = backend.songs().put(&[write]).await.unwrap();

                assert_eq!(outcomes, [Outcome::Done], "{command} with {fault:?}");
                assert_eq!(emulator.faults().fired(rule), 1, "{command}");
            }
            assert_eq!(backend.get_song(first.id).await.unwrap(), Some(second));

            emulator.faults().add(Rule::fault(fault.clone()).on("updateOne").next(1));
            let outcomes = backend.songs().delete(&[delete(first.id)]).await.unwrap();
            assert_eq!(outcomes, [Outcome::Done], "deletion with {fault:?}");
            assert_eq!(backend.get_song(first.id).await.unwrap(), None);
        }
    });
}

#[test]
fn a_real_conflict_is_told_though_answers_are_lost() {
    run_case(async {
        let (backend, emulator) = library(Emulator::builder()).await;
        let first = song("one");
        backend.put_song(&first, PutMode::Create).await.unwrap();
        for fault in doubtful() {
            let stale = put(&retagged(&first), PutMode::Replace(OperationId::random()));
            emulator.faults().add(Rule::fault(fault.clone()).on("findOneAndUpdate").next(1));

            let outcomes = backend.songs().put(&[stale]).await.unwrap();

            let conflict = Outcome::Conflict(Some(Box::new(first.clone())));
            assert_eq!(outcomes, [conflict], "{fault:?}");
        }
    });
}
