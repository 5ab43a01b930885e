"""Find songs that sound alike, in a library of your own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Union, final, overload

import numpy as np
import numpy.typing as npt

__all__ = [
    "Library",
    "Match",
    "Matches",
    "ScanReport",
    "Song",
    "Songs",
    "SongrecError",
    "SyncReport",
    "Vectors",
    "__version__",
    "create",
    "open",
]

__version__: Final[str]

_Path = Union[str, os.PathLike[str]]
_Texts = Union[str, Iterable[str]]
_Name = Union[str, Song, os.PathLike[str]]
_Vector = Union[npt.NDArray[np.floating[Any]], Sequence[float]]
# One sequence of all, so that a checker knows what a mixed list is meant as.
_Query = Union[
    _Name, npt.NDArray[np.floating[Any]], Sequence[Union[_Name, _Vector, float]]
]
_Metric = Literal["cosine", "dot", "euclidean"]
_Sort = Literal["id", "title", "artist", "album", "year", "bpm", "duration", "added"]
_Document = dict[str, Any]
# Called on the thread that waits. `event` says which it is: `started`, `total`, `advanced`,
# `carried`, `scanned`, `failed`, `skipped`, `note`, `finished`.
_Progress = Callable[[_Document], object]

class SongrecError(Exception):
    """What went wrong: `code` is the exit code of the command line for it, `kind` its
    name, `hint` what can be done, or None."""

    code: int
    kind: str
    hint: str | None

def open(
    path: _Path | None = None,
    *,
    name: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Library:
    """Opens a library: the local one in the folder `path`, the one that the configuration
    calls `name`, or the one that `songrec` at a terminal would open here and now."""

def create(
    path: _Path, *, keep_copies: bool = False, settings: Mapping[str, str] | None = None
) -> Library:
    """Makes a local library in the folder `path`, or opens the one that is there."""

@final
class Library:
    """A library of songs, for several threads at once."""

    @property
    def id(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def is_remote(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Library: ...
    def __exit__(
        self,
        *_error: type[BaseException] | BaseException | TracebackType | None,
    ) -> None: ...
    def __iter__(self) -> Songs: ...
    def song(self, name: _Name) -> Song:
        """The one song that `name` means: an id, the beginning of one, a path, or words."""

    def document(self, song: _Name) -> _Document:
        """The whole document of a song, as `songrec show --json` prints it."""

    def songs(
        self,
        filter: _Texts | None = None,
        *,
        sort: _Sort = "id",
        descending: bool = False,
        limit: int | None = None,
    ) -> Songs:
        """The songs that pass all terms of `filter`, read as they are asked for."""

    def count(self, filter: _Texts | None = None) -> int:
        """How many songs pass `filter`."""

    def search(
        self,
        words: _Texts,
        *,
        filter: _Texts | None = None,
        sort: _Sort = "artist",
        limit: int = 50,
    ) -> list[Song]:
        """The songs with all these words in title, artist, album, genre, mood,
        instrument or path."""

    def similar(
        self,
        query: _Query,
        *,
        k: int = 10,
        filter: _Texts | None = None,
        unlike: _Query | None = None,
        model: _Texts | None = None,
        metric: _Metric | None = None,
        threshold: float | None = None,
        offset: int = 0,
        exclude: _Name | Iterable[_Name] | None = None,
        include_self: bool = False,
        all_copies: bool = False,
        max_per_artist: int | None = None,
        max_per_album: int | None = None,
        explain: bool = False,
    ) -> Matches:
        """The `k` songs that sound most like a song, an audio file, a folder, a vector, or
        several of these together."""

    def describe(
        self,
        words: _Texts,
        *,
        k: int = 10,
        filter: _Texts | None = None,
        unlike: _Texts | None = None,
        model: _Texts | None = None,
        threshold: float | None = None,
    ) -> Matches:
        """The `k` songs that sound like `words` say, such as `warm dark pad`."""

    def vectors(
        self,
        model: str | None = None,
        *,
        filter: _Texts | None = None,
        progress: _Progress | None = None,
    ) -> Vectors:
        """The vectors of all songs that pass `filter`, where they are in their file."""

    def vector(self, song: _Name, model: str | None = None) -> npt.NDArray[np.float32]:
        """The vector of one song."""

    def stats(self) -> _Document:
        """The library in numbers, as `songrec stats --json` prints it."""

    def scan(
        self,
        paths: _Path | Iterable[_Path] | None = None,
        *,
        models: _Texts | None = None,
        exclude: _Texts | None = None,
        genre_from_folder: bool = False,
        failed: bool = False,
        missing: bool = False,
        segments: bool = False,
        again: bool = False,
        dry_run: bool = False,
        progress: _Progress | None = None,
    ) -> ScanReport:
        """Takes in the audio files in `paths`, as far as they are new or changed."""

    def sync(
        self,
        other: Library | _Path | None = None,
        *,
        direction: Literal["both", "push", "pull"] = "both",
        max_delete: int | None = None,
        audio: str | None = None,
        full: bool = False,
        adopt: bool = False,
        dry_run: bool = False,
        progress: _Progress | None = None,
    ) -> SyncReport:
        """Makes this library and `other` agree; with `dry_run` only says how."""

@final
class Song:
    """One song, as it was when it was read. Songs with the same id are equal."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def artist(self) -> str | None: ...
    @property
    def album(self) -> str | None: ...
    @property
    def genres(self) -> list[str]: ...
    @property
    def moods(self) -> list[str]: ...
    @property
    def year(self) -> int | None: ...
    @property
    def bpm(self) -> float | None: ...
    @property
    def key(self) -> str | None: ...
    @property
    def instrument(self) -> str | None: ...
    @property
    def is_loop(self) -> bool | None: ...
    @property
    def duration(self) -> float: ...
    @property
    def path(self) -> str | None: ...
    @property
    def file(self) -> Path | None: ...
    @property
    def codec(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def models(self) -> list[str]: ...
    @property
    def warnings(self) -> list[str]: ...
    def to_dict(self) -> _Document: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Songs:
    """The songs of a library, read a thousand at a time as they are asked for."""

    def __iter__(self) -> Songs: ...
    def __next__(self) -> Song: ...

@final
class Match:
    """One song that sounds like what was asked about."""

    @property
    def song(self) -> Song: ...
    @property
    def rank(self) -> int: ...
    @property
    def similarity(self) -> float: ...
    @property
    def distance(self) -> float: ...
    @property
    def reasons(self) -> list[str]: ...
    def to_dict(self) -> _Document: ...

@final
class Matches:
    """The nearest songs, nearest first."""

    @property
    def model(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def shortfall(self) -> str | None: ...
    def to_dict(self) -> _Document: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: int, /) -> Match: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[Match]: ...
    def __iter__(self) -> Iterator[Match]: ...

@final
class Vectors:
    """The vectors of many songs, by one model: `rows[i]` is that of the song `ids[i]`."""

    @property
    def ids(self) -> list[str]: ...
    @property
    def rows(self) -> npt.NDArray[np.float32]:
        """A row for each song: the file itself where `is_mapped`, else a copy."""

    @property
    def is_mapped(self) -> bool: ...
    @property
    def table(self) -> npt.NDArray[np.float32]:
        """Every row of the file, never a copy."""

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Which row of `table` each song has."""

    @property
    def is_current(self) -> bool: ...
    @property
    def model(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: Song | str, /) -> npt.NDArray[np.float32]: ...

@final
class ScanReport:
    """What a scan did, in numbers of files."""

    @property
    def added(self) -> int: ...
    @property
    def updated(self) -> int: ...
    @property
    def moved(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def unchanged(self) -> int: ...
    @property
    def missing(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def unembedded(self) -> int: ...
    def to_dict(self) -> _Document: ...

@final
class SyncReport:
    """What a sync did, or would do: the library that was asked is the left one."""

    @property
    def is_empty(self) -> bool: ...
    @property
    def is_plan(self) -> bool: ...
    @property
    def counts(self) -> dict[str, dict[str, int]]: ...
    @property
    def songs(self) -> list[_Document]: ...
    @property
    def failed(self) -> list[_Document]: ...
    def to_dict(self) -> _Document: ...
