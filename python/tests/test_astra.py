"""A library in Astra DB by the same functions, where the program `songrec` is there to
serve its Data API on this machine."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import SONGS

import songrec

PROGRAM = os.environ.get("SONGREC_PROGRAM", "")

pytestmark = pytest.mark.skipif(not PROGRAM, reason="SONGREC_PROGRAM names no program")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[dict[str, str]]:
    (tmp_path / "audio").mkdir()
    with subprocess.Popen(
        [PROGRAM, "emulator", "--addr", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    ) as emulator:
        assert emulator.stdout is not None
        said = dict(emulator.stdout.readline().strip().split("=", 1) for _ in range(2))
        said["SONGREC_BLOBS_URL"] = (tmp_path / "audio").as_uri()
        subprocess.run(
            [PROGRAM, "init-astra"], env={**os.environ, **said}, check=True, capture_output=True
        )
        yield {
            "astra.endpoint": said["ASTRA_DB_API_ENDPOINT"],
            "astra.token": said["ASTRA_DB_APPLICATION_TOKEN"],
            "blobs.url": said["SONGREC_BLOBS_URL"],
        }
        emulator.terminate()


def test_a_library_in_the_cloud_answers_as_the_local_one(
    scanned: Path, home: Path, settings: dict[str, str]
) -> None:
    with songrec.open(scanned, settings=settings) as here:
        assert here.sync("astra").failed == []
        with songrec.open(name="astra", settings=settings) as there:
            assert there.is_remote and there.count() == SONGS
            song = here.song("Air Riser")
            answers = [
                [(match.song.id, round(match.similarity, 5)) for match in library.similar(song)]
                for library in (here, there)
            ]
            assert answers[0] == answers[1]
            assert here.sync(there).is_empty

            vectors, fetched = here.vectors(), there.vectors()
            assert fetched.is_mapped and sorted(fetched.ids) == sorted(vectors.ids)
            assert all(np.array_equal(fetched[id], vectors[id]) for id in vectors.ids)

    def folders() -> list[Path]:
        return list(home.rglob("vectors-*"))

    rows = fetched.rows
    del fetched
    gc.collect()
    assert len(folders()) == 1 and np.isfinite(rows.sum())
    del rows
    gc.collect()
    assert folders() == []
