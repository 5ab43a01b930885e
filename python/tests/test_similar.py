"""What sounds alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUDIO
from test_library import failure

import songrec


@pytest.fixture
def song(music: songrec.Library) -> songrec.Song:
    return music.song("Air Riser")


def ids(matches: songrec.Matches) -> list[str]:
    return [match.song.id for match in matches]


def test_matches_are_a_sequence_nearest_first(music: songrec.Library, song: songrec.Song) -> None:
    found = music.similar(song, k=5)

    assert len(found) == 5 and len(list(found)) == 5
    assert [match.rank for match in found] == [1, 2, 3, 4, 5]
    similarities = [match.similarity for match in found]
    assert similarities == sorted(similarities, reverse=True)
    assert found[-1].song == found[4].song and len(found[1:3]) == 2
    assert song.id not in ids(found)
    assert found.to_dict()["results"][0]["id"] == found[0].song.id
    assert found[0].to_dict()["similarity"] == found[0].similarity
    with pytest.raises(IndexError):
        found[5]


def test_a_song_its_names_and_its_file_are_one_question(
    music: songrec.Library, song: songrec.Song
) -> None:
    assert song.file is not None
    answer = ids(music.similar(song))

    for same in (song.id, song.title, str(song.file), song.file, [song]):
        assert ids(music.similar(same)) == answer


def test_a_file_outside_of_the_library_can_be_asked_about(tmp_path: Path) -> None:
    file = next(AUDIO.rglob("air-riser.flac"))
    with songrec.create(tmp_path / "x") as library:
        library.scan([AUDIO / "kick", AUDIO / "riser"], exclude=["air-riser.flac"])

        found = library.similar(file, k=1)

        assert library.count("title:air") == 0
        assert found[0].song.instrument == "fx"


def test_a_folder_stands_for_its_songs(music: songrec.Library) -> None:
    for folder in (AUDIO / "kick", str(AUDIO / "kick")):
        assert "kick" not in {match.song.instrument for match in music.similar(folder, k=40)}


def test_a_vector_finds_its_song(music: songrec.Library, song: songrec.Song) -> None:
    vector = music.vector(song)

    for same in (vector, vector.astype(np.float64), vector.tolist(), vector * 3):
        found = music.similar(same, k=1)
        assert found[0].song == song
        assert found[0].similarity == pytest.approx(1.0)


def test_several_count_together_and_some_against(music: songrec.Library) -> None:
    kick, pad = music.song("Club Kick"), music.song("Winter Pad")

    both = music.similar([kick, music.vector(pad)], k=5)
    unlike = music.similar(kick, unlike=pad, k=5)

    assert kick.id not in ids(both)
    assert pad.id not in ids(unlike)
    assert [match.similarity for match in both] != [match.similarity for match in unlike]


def test_what_is_asked_for_narrows_it_down(music: songrec.Library, song: songrec.Song) -> None:
    kicks = music.similar(song, filter="instrument:kick", k=50)
    nearest = music.similar(song, k=1)[0]

    assert {match.song.instrument for match in kicks} == {"kick"}
    assert kicks.shortfall is not None
    assert nearest.song.id not in ids(music.similar(song, exclude=nearest.song))
    assert len(music.similar(song, threshold=2.0)) == 0
    assert ids(music.similar(song, k=2, offset=1)) == ids(music.similar(song, k=3))[1:]
    assert music.similar(song, include_self=True)[0].song == song
    assert music.similar(song, explain=True)[0].reasons and not nearest.reasons


def test_another_model_and_metric_compare(music: songrec.Library, song: songrec.Song) -> None:
    found = music.similar(song, model="dsp45", metric="euclidean")

    assert (found.model, found.metric) == ("dsp45@1", "euclidean")
    assert len(music.similar(song, model=["dsp45", "timbre"])) == 10


def test_words_describe_a_sound(music: songrec.Library) -> None:
    found = music.describe("kick", k=5)

    assert {match.song.instrument for match in found} == {"kick"}
    assert found.notes and "model" in found.notes[0]


@pytest.mark.parametrize(
    ("query", "options", "code"),
    [
        ("Air Riser", {"k": 0}, 2),
        ("Air Riser", {"k": -1}, 2),
        ("Air Riser", {"model": "nobody@1"}, 4),
        ("Air Riser", {"metric": "taxi"}, 2),
        ("Air Riser", {"filter": "gnre:x"}, 2),
        ("Air Riser", {"threshold": float("nan")}, 2),
        ("Air Riser", {"exclude": ["no such thing"]}, 4),
        ("no such thing", {}, 4),
        (Path("/no/such.wav"), {}, 4),
        (AUDIO.parent / "patterns-basic.sh", {}, None),
        ([], {}, 2),
        ([float("nan")] * 250, {}, 2),
        ([float("inf")] * 250, {}, 2),
        ([0.0] * 250, {}, 2),
        ([1.0] * 7, {}, 2),
        (np.ones((2, 2)), {}, 2),
        (None, {}, 2),
    ],
)
def test_a_question_without_an_answer_is_an_error(
    music: songrec.Library, query: Any, options: dict[str, Any], code: int | None
) -> None:
    error = failure(lambda: music.similar(query, **options))

    assert code is None or error.code == code, error


def test_what_is_of_the_wrong_type_is_a_type_error(music: songrec.Library) -> None:
    with pytest.raises(TypeError):
        music.similar("Air Riser", k="3")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        music.similar(object())  # type: ignore[arg-type]
