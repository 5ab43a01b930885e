"""What a user writes, with the types that a checker sees; `test_types.py` checks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

import songrec


def nearest(folder: Path) -> list[tuple[str, float]]:
    with songrec.open(folder) as library:
        song: songrec.Song = library.song("Air Riser")
        found = library.similar(song, k=3, filter=["-instrument:kick"], metric="cosine")
        return [(match.song.title, match.similarity) for match in found]


def center(folder: Path) -> npt.NDArray[np.float32]:
    with songrec.open(folder) as library:
        rows: npt.NDArray[np.float32] = library.vectors("timbre").rows
        mean: npt.NDArray[np.float32] = rows.mean(axis=0)
        library.similar(mean)
        library.similar([song for song in library.songs(limit=2)])
        return mean


def code(folder: Path) -> tuple[int, str | None]:
    try:
        songrec.open(folder)
    except songrec.SongrecError as error:
        return error.code, error.hint
    return 0, None
