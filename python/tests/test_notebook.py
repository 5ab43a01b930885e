"""The notebook runs from its first cell to its last."""

from __future__ import annotations

from pathlib import Path

import nbformat
from conftest import AUDIO, REPOSITORY, SONGS
from nbclient import NotebookClient

NOTEBOOK = REPOSITORY / "python" / "notebooks" / "explore.ipynb"


def test_the_notebook_runs(tmp_path: Path, home: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit it without outputs"

    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert f"{SONGS} songs" in text and str(AUDIO) in text
    assert len(pictures) == 3
    assert not any(output["output_type"] == "error" for output in outputs)
