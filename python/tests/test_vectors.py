"""Vectors as arrays: where they are, and for how long."""

from __future__ import annotations

import gc
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUDIO, SONGS
from test_library import failure

import songrec


def mapping_of(array: np.ndarray[Any, Any]) -> dict[str, str]:
    """What the system says of the part of memory that an array lies in."""
    start = array.__array_interface__["data"][0]
    found: dict[str, str] = {}
    with open("/proc/self/smaps") as lines:
        inside = False
        for line in lines:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                first, end = (int(part, 16) for part in words[0].split("-"))
                inside = first <= start < end
                if inside:
                    found["file"] = words[5] if len(words) > 5 else ""
                    found["access"] = words[1]
            elif inside:
                found[words[0].rstrip(":")] = words[1]
    return found


def test_all_rows_are_the_file_itself(music: songrec.Library) -> None:
    vectors = music.vectors()

    assert vectors.is_mapped and vectors.is_current
    assert vectors.rows is vectors.table
    assert vectors.rows.shape == (SONGS, vectors.dimension) == (len(vectors), vectors.dimension)
    assert vectors.rows.dtype == np.float32 and vectors.metric == "cosine"
    assert not vectors.rows.flags.owndata and not vectors.rows.flags.writeable
    assert type(vectors.rows.base).__name__ == "Memory"
    with pytest.raises(ValueError):
        vectors.rows[0, 0] = 1
    with pytest.raises(ValueError):
        vectors.rows.flags.writeable = True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what memory is")
def test_rows_take_no_memory_of_their_own(music: songrec.Library) -> None:
    rows = music.vectors().rows
    assert np.isfinite(rows.sum())

    memory = mapping_of(rows)

    assert memory["file"].endswith("rows.npy") and memory["access"] == "r--s"
    assert memory["Private_Dirty"] == memory["Anonymous"] == "0"
    assert mapping_of(rows.copy())["file"] != memory["file"]


def test_each_row_is_the_vector_of_its_song(music: songrec.Library) -> None:
    for model in ("timbre", "dsp45@1"):
        vectors = music.vectors(model)

        assert sorted(vectors.ids) == sorted(song.id for song in music)
        for at, song in enumerate(vectors.ids):
            vector = music.vector(song, model)
            assert vector.shape == (vectors.dimension,) and not vector.flags.owndata
            assert np.array_equal(vectors.rows[at], vector)
            assert np.array_equal(vectors[song], vector)


def test_rows_that_are_chosen_are_a_copy_and_the_table_is_not(music: songrec.Library) -> None:
    kicks = music.vectors(filter="instrument:kick")
    all_songs = music.vectors()

    assert not kicks.is_mapped and 0 < len(kicks) < SONGS
    assert kicks.rows.flags.owndata and not kicks.rows.flags.writeable
    assert kicks.rows is kicks.rows
    assert kicks.table.shape == all_songs.rows.shape
    assert np.array_equal(kicks.table[kicks.positions], kicks.rows)
    for song, row in zip(kicks.ids, kicks.rows):
        assert music.song(song).instrument == "kick"
        assert np.array_equal(all_songs[song], row)
    with pytest.raises(KeyError):
        kicks[music.song("Air Riser")]


def test_rows_outlive_the_library_and_its_folder(scanned: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(scanned, folder)
    library = songrec.open(folder)
    rows = library.vectors().rows
    expected = rows.copy()

    library.close()
    del library
    gc.collect()
    shutil.rmtree(folder)

    assert np.array_equal(rows, expected)


def test_vectors_say_when_others_were_written(own: songrec.Library, tmp_path: Path) -> None:
    vectors = own.vectors()
    before = vectors.rows.copy()
    file = next(AUDIO.rglob("air-riser.flac"))
    with songrec.create(tmp_path / "other") as other:
        other.scan(file)
        assert len(other.vectors()) == 1
        mapped = other.vectors()

        other.scan(AUDIO / "kick")

        assert not mapped.is_current
        assert len(mapped) == 1 and len(other.vectors()) > 1

    assert vectors.is_current and np.array_equal(vectors.rows, before)


def test_no_vectors_is_an_error(music: songrec.Library, tmp_path: Path) -> None:
    with songrec.create(tmp_path / "x") as empty:
        assert failure(empty.vectors).code == 4
    assert failure(lambda: music.vectors("nobody")).code == 4
    assert failure(lambda: music.vector("Air Riser", "nobody")).code == 4
    assert len(music.vectors(filter="title:nobody")) == 0
    assert music.vectors(filter="title:nobody").rows.shape == (0, music.vectors().dimension)
