"""The stubs say what the module has, and checkers understand them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_programs_are_checked_strictly(tmp_path: Path) -> None:
    assert not run("mypy", "--strict", *map(str, sorted(HERE.glob("*.py"))), folder=tmp_path)


def test_a_wrong_program_is_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "import songrec\nlibrary = songrec.open()\nlibrary.similar('x', kk=1)\n"
        "x: int = library.song('x').title\n"
    )

    said = run("mypy", "--strict", "wrong.py", folder=tmp_path)

    assert said.count("error:") == 2 and "kk" in said


def test_the_stubs_are_those_of_the_module(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    # The compiled part, which the package passes on whole.
    allowed.write_text("songrec\\.songrec\n")

    assert not run("mypy.stubtest", "songrec", "--allowlist", str(allowed), folder=tmp_path)
