"""What takes long: progress, an early end, and other threads meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from conftest import AUDIO, SONGS
from test_library import failure

import songrec


def test_a_scan_tells_what_it_does_on_the_thread_that_waits(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    threads = set()

    def progress(event: dict[str, Any]) -> None:
        events.append(event)
        threads.add(threading.get_ident())

    with songrec.create(tmp_path / "x") as library:
        report = library.scan([AUDIO / "kick", str(AUDIO / "pad")], progress=progress)
        again = library.scan(AUDIO / "kick")

        assert report.added == library.count() == again.unchanged + library.count("-instrument:kick")
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("started", "finished")
    assert kinds.count("advanced") == kinds.count("scanned") == report.added
    assert threads == {threading.get_ident()}
    assert report.to_dict()["added"] == report.added


def test_files_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    (tmp_path / "bad.flac").write_bytes(b"fLaC and nothing else")
    events: list[dict[str, Any]] = []
    with songrec.create(tmp_path / "x") as library:
        report = library.scan(tmp_path / "bad.flac", progress=events.append)

    assert (report.failed, report.added) == (1, 0)
    assert any(event["event"] == "failed" and "bad.flac" in event["item"] for event in events)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    with songrec.create(tmp_path / "x") as library:
        assert library.scan(AUDIO / "kick", dry_run=True).added > 0
        assert library.count() == 0


def test_what_cannot_be_scanned_is_an_error(own: songrec.Library) -> None:
    assert failure(own.scan).code == 2
    assert failure(lambda: own.scan("/no/such/folder")).code == 4
    assert failure(lambda: own.scan(AUDIO, models="nobody")).code == 2


def test_an_exception_in_the_callback_ends_the_scan(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    calls = []

    def progress(event: dict[str, Any]) -> None:
        calls.append(event)
        if event["event"] == "scanned":
            raise Enough

    with songrec.create(tmp_path / "x") as library:
        with pytest.raises(Enough):
            library.scan(AUDIO, progress=progress)

        assert calls[-1]["event"] == "scanned"
        assert 0 < library.count() < SONGS
        assert library.scan(AUDIO).failed == 0
        assert library.count() == SONGS


@pytest.mark.skipif(os.name != "posix", reason="signals are sent to this process")
def test_ctrl_c_ends_a_scan_and_what_was_read_stays(tmp_path: Path) -> None:
    with songrec.create(tmp_path / "x") as library:

        def press() -> None:
            while library.count() == 0:
                pass
            os.kill(os.getpid(), signal.SIGINT)

        presses = threading.Thread(target=press)
        presses.start()
        with pytest.raises(KeyboardInterrupt):
            library.scan(AUDIO)
        presses.join()

        assert 0 < library.count() < SONGS


def test_python_goes_on_during_a_scan(tmp_path: Path) -> None:
    over = threading.Event()
    seen = set()

    with songrec.create(tmp_path / "x") as library:

        def look() -> None:
            while not over.is_set():
                seen.add(library.count())

        other = threading.Thread(target=look)
        other.start()
        library.scan(AUDIO)
        over.set()
        other.join()

    # With the lock held the other thread would see what was before and after alone.
    assert seen - {0, SONGS}


def test_eight_threads_search_at_once(music: songrec.Library) -> None:
    songs = list(music)
    alone = [[match.song.id for match in music.similar(song, k=5)] for song in songs]
    answers: dict[int, list[list[str]]] = {}
    failures = []

    def search(number: int) -> None:
        try:
            answers[number] = [
                [match.song.id for match in music.similar(song, k=5)] for song in songs
            ]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert all(answers[number] == alone for number in range(8))


def test_one_list_can_be_read_by_several_threads(music: songrec.Library) -> None:
    songs = music.songs()
    read: list[str] = []

    def take() -> None:
        read.extend(song.id for song in songs)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(read) == len(set(read)) == SONGS


def count_songs(folder: str) -> int:
    with songrec.open(folder) as library:
        return library.count()


def test_another_process_opens_it_for_itself(scanned: Path, music: songrec.Library) -> None:
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(count_songs, (str(scanned),)) == music.count()


FORKED = """
import os, sys, songrec
library = songrec.open(sys.argv[1])
library.count()
child = os.fork()
if child == 0:
    try:
        library.count()
    except songrec.SongrecError as error:
        del library
        os._exit(0 if "fork" in str(error) and error.code == 2 else 1)
    os._exit(2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_is_refused_and_does_not_hang(scanned: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, str(scanned)], timeout=60)

    assert done.returncode == 0


def test_two_libraries_agree_after_a_sync(own: songrec.Library, tmp_path: Path) -> None:
    with songrec.create(tmp_path / "other") as other:
        plan = own.sync(other, dry_run=True)
        assert plan.is_plan and not plan.is_empty
        assert plan.counts["right"]["add"] == SONGS and other.count() == 0

        events: list[dict[str, Any]] = []
        report = own.sync(tmp_path / "other", progress=events.append)

        assert not report.is_plan and report.failed == [] and events
        assert report.counts["right"]["add"] == len(report.songs) == other.count() == SONGS
        assert report.to_dict()["counts"] == report.counts
        assert str(SONGS) in repr(report)
        assert own.sync(str(tmp_path / "other")).is_empty
        assert sorted(own.vectors().ids) == sorted(other.vectors().ids)


def test_what_cannot_be_synced_is_an_error(own: songrec.Library) -> None:
    assert failure(lambda: own.sync(own)).code == 2
    assert failure(lambda: own.sync("nobody")).code == 2
    assert failure(lambda: own.sync(Path("/no/such/library"))).code == 10
    assert failure(own.sync).code == 2
    assert failure(lambda: own.sync("nobody", direction="down")).code == 2  # type: ignore[arg-type]
