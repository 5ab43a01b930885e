"""A library of the repository's examples, made once, and a home folder that is empty."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import songrec

REPOSITORY = Path(__file__).resolve().parents[2]
AUDIO = REPOSITORY / "examples" / "audio"
SONGS = sum(1 for path in AUDIO.rglob("*.*") if path.suffix != ".md")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing of the user who runs the tests is read or written."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        is_setting = name.startswith(("SONGREC_", "ASTRA_", "XDG_", "STORAGE_BACKEND"))
        if is_setting and name != "SONGREC_PROGRAM":
            del os.environ[name]
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(home)
    os.chdir(home)
    return home


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scanned") / "library"
    with songrec.create(folder) as library:
        report = library.scan(AUDIO)
        assert report.added == SONGS, report.to_dict()
    return folder


@pytest.fixture(scope="session")
def music(scanned: Path) -> Iterator[songrec.Library]:
    """All songs, to be read only."""
    with songrec.open(scanned) as library:
        yield library


@pytest.fixture
def own(scanned: Path, tmp_path: Path) -> Iterator[songrec.Library]:
    """The same, to be written to."""
    folder = tmp_path / "own"
    shutil.copytree(scanned, folder)
    with songrec.open(folder) as library:
        yield library
