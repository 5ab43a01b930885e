#!/usr/bin/env python3
"""Fits the scaler that ships with `dsp45@1` and writes crates/audio/src/dsp/scaler45.rs.

    pip install librosa==0.11.0 soundfile
    tools/fit_dsp45_scaler.py FOLDER...

Changing the numbers changes every vector: they then belong to a new revision.

Those of revision 1 come from the audio in the Debian 12 packages hydrogen-drumkits
(one-shots of 14 drum kits), supertux-data and wesnoth-1.16-music (chip, electronic,
rock and orchestral music; effects), unpacked by `dpkg -x`, and from the clips of the
feature tests. Up to three excerpts of 30 seconds are taken from each file, and every
fifth one-shot, so that no kind outweighs the others. Only means and deviations are
kept. A deviation is not let below a floor that listeners would not hear.
"""
import sys
from pathlib import Path

import librosa
import numpy as np

from make_feature_fixtures import RATE, values45

TARGET = Path(__file__).resolve().parent.parent / "crates/audio/src/dsp/scaler45.rs"
SUFFIXES = {".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3"}
EXCERPT = 30 * RATE


def excerpts(path):
    y, _ = librosa.load(path, sr=RATE, mono=True)
    if len(y) <= EXCERPT:
        return [y] if len(y) > 512 and np.abs(y).max() > 1e-4 else []
    count = min(3, len(y) // EXCERPT)
    starts = np.linspace(0, len(y) - EXCERPT, count + 2)[1:-1].astype(int)
    return [y[start : start + EXCERPT] for start in starts]


def main():
    files = sorted(f for folder in sys.argv[1:] for f in Path(folder).rglob("*") if f.suffix.lower() in SUFFIXES)
    rows, shorts = [], 0
    for file in files:
        try:
            parts = excerpts(file)
        except Exception as error:  # a file that cannot be read is not a reason to stop
            print(f"{file}: {error}", file=sys.stderr)
            continue
        for y in parts:
            shorts += len(y) < 2 * RATE
            if len(y) < 2 * RATE and shorts % 5:
                continue
            rows.append(values45(y))
            if len(rows) % 50 == 0:
                print(len(rows), file=sys.stderr)
    rows = np.array(rows, dtype=np.float64)
    means, deviations = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-3)
    table = lambda values: "".join(f"    {v:.6g},\n" if "." in f"{v:.6g}" or "e" in f"{v:.6g}" else f"    {v:.6g}.0,\n" for v in values)
    TARGET.write_text(
        "//! The numbers of the scaler of `dsp45@1`, in the order of its features.\n"
        "//!\n"
        f"//! Written by `tools/fit_dsp45_scaler.py` from {len(rows)} excerpts; it says which.\n\n"
        f"pub(super) const MEANS: [f64; 45] = [\n{table(means)}];\n\n"
        f"pub(super) const DEVIATIONS: [f64; 45] = [\n{table(deviations)}];\n"
    )
    print(f"{len(rows)} excerpts in {TARGET}")


if __name__ == "__main__":
    main()
