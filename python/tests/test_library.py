"""Opening a library, and the songs in it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import AUDIO, SONGS

import songrec


def failure(call: Callable[[], Any]) -> songrec.SongrecError:
    with pytest.raises(songrec.SongrecError) as caught:
        call()
    return caught.value


def test_nothing_is_there_in_an_empty_home() -> None:
    error = failure(songrec.open)

    assert (error.code, error.kind) == (10, "no_library")
    assert error.hint is not None and "songrec.create" in error.hint
    assert error.hint in str(error)


@pytest.mark.parametrize(
    ("call", "code", "says"),
    [
        (lambda: songrec.open("/nowhere/at/all"), 10, "/nowhere/at/all"),
        (lambda: songrec.open(name="nobody"), 2, "nobody"),
        (lambda: songrec.open("x", name="local"), 2, "exclude"),
        (lambda: songrec.open(settings={"search.modell": "x"}), 2, "search.modell"),
        (lambda: songrec.open(settings={"search.results": "x"}), 2, "search.results"),
        (lambda: songrec.open(name="astra"), 2, "ASTRA_DB_API_ENDPOINT"),
    ],
)
def test_an_error_has_a_code_and_says_what_is_wrong(
    call: Callable[[], Any], code: int, says: str
) -> None:
    error = failure(call)

    assert error.code == code
    assert says in str(error)


def test_a_library_in_the_cloud_is_opened_by_the_same_door() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings = {
            "astra.endpoint": f"http://127.0.0.1:{nobody.getsockname()[1]}",
            "astra.token": "AstraCS:x",
        }

        error = failure(lambda: songrec.open(name="astra", settings=settings))

    assert (error.code, error.kind) == (5, "temporary")


def test_an_exception_of_ones_own_has_a_code_too() -> None:
    error = songrec.SongrecError("x")

    assert (error.code, error.kind, error.hint) == (8, "failed", None)


def test_a_closed_library_answers_nothing(scanned: Path) -> None:
    with songrec.open(scanned) as library:
        assert not library.is_closed
    library.close()

    assert library.is_closed and "closed" in repr(library)
    for call in (library.count, library.stats, library.songs, library.vectors, library.__enter__):
        error = failure(call)
        assert error.code == 2 and "closed" in str(error)


def test_an_exception_closes_the_library_and_comes_out(scanned: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        with songrec.open(scanned) as library:
            raise ZeroDivisionError

    assert library.is_closed


def test_making_a_library_again_opens_it(tmp_path: Path) -> None:
    with songrec.create(tmp_path / "x") as one, songrec.create(tmp_path / "x") as two:
        assert one.id == two.id
        assert one.place == str(tmp_path / "x") and not one.is_remote
        assert (one.count(), list(one)) == (0, [])


def test_songs_come_in_order_and_as_many_as_asked_for(music: songrec.Library) -> None:
    titles = [song.title for song in music.songs(sort="title")]
    last = [song.title for song in music.songs(sort="title", descending=True, limit=3)]

    assert len(titles) == SONGS == music.count()
    assert last == titles[::-1][:3]
    assert {song.id for song in music} == {song.id for song in music.songs()}


def test_a_filter_is_one_term_or_several(music: songrec.Library) -> None:
    kicks = list(music.songs("instrument:kick"))
    some = list(music.songs(["instrument:kick", "title:club"]))

    assert 0 < len(some) < len(kicks) == music.count("instrument:kick")
    assert all(song.instrument == "kick" for song in kicks)
    assert failure(lambda: music.count("instrumnt:kick")).code == 2


def test_a_song_has_what_the_library_knows(music: songrec.Library) -> None:
    song = music.song("Club Kick")

    assert song.artist == "Cellar Tapes"
    assert song.file is not None and song.file.is_file() and AUDIO in song.file.parents
    assert song.path == str(song.file)
    assert song.duration > 0 and song.size == song.file.stat().st_size
    assert song.year is not None and song.genres and song.codec and song.models
    assert song.to_dict()["title"] == "Club Kick"
    assert "Club Kick" in repr(song)
    assert music.document(song)["audio"]["codec"] == song.codec


def test_a_song_is_known_by_its_id(music: songrec.Library) -> None:
    one, two, other = music.song("Club Kick"), music.song("Club Kick"), music.song("Soft Kick")

    assert one == two and hash(one) == hash(two) and one is not two
    assert one != other and one != one.id
    assert len({one, two, other}) == 2
    with pytest.raises(TypeError):
        sorted([one, other])  # type: ignore[type-var]
    with pytest.raises(AttributeError):
        one.title = "x"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["id", "prefix", "path", "words", "song"])
def test_a_song_is_found_by_each_of_its_names(music: songrec.Library, name: str) -> None:
    song = music.song("Club Kick")
    assert song.file is not None
    names: dict[str, str | Path | songrec.Song] = {
        "id": song.id,
        "prefix": song.id[:8],
        "path": song.file,
        "words": "club kick",
        "song": song,
    }

    assert music.song(names[name]) == song


def test_who_names_no_song_or_several_is_told(music: songrec.Library) -> None:
    assert failure(lambda: music.song("no such thing")).code == 4
    several = failure(lambda: music.song("kick"))
    assert several.code == 2 and "Club Kick" in str(several)


def test_a_search_finds_words_and_terms(music: songrec.Library) -> None:
    assert [song.title for song in music.search("club kick")] == ["Club Kick"]
    assert music.search("kick", filter="-title:club") == [
        song for song in music.search("kick") if song.title != "Club Kick"
    ]
    assert len(music.search("instrument:kick", limit=2)) == 2
    assert music.search(["Club Kick", "drums"]) == music.search("club kick drums")
    assert music.search("no such thing") == []
    assert failure(lambda: music.search(" ")).code == 2


def test_numbers_of_the_library(music: songrec.Library) -> None:
    stats = music.stats()

    assert stats["total_songs"] == SONGS
    assert {model["name"] for model in stats["models"]} >= {"dsp45@1"}


@pytest.mark.parametrize("limit", [0, -1])
def test_less_than_one_is_no_limit(music: songrec.Library, limit: int) -> None:
    assert failure(lambda: music.songs(limit=limit)).code == 2
    assert failure(lambda: music.search("kick", limit=limit)).code == 2


def test_settings_come_before_all_others(scanned: Path) -> None:
    with songrec.open(scanned, settings={"search.model": "dsp45@1"}) as library:
        assert library.vectors().model == "dsp45@1"
