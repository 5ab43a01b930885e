#!/usr/bin/env python3
"""Fits the scaler that ships with `dsp47@2` and writes crates/audio/src/dsp/scaler47.rs.

    apt-get install fluidsynth               # and the soundfonts' packages, unpacked below PACKAGES
    pip install -r tools/train/requirements.txt
    tools/fit_dsp47_scaler.py WORK PACKAGES SONGREC

Changing the numbers changes every vector: they then belong to a new revision.

Those of revision 2 come from the set `development` of tools/tempo_key: pieces, loops, hits and notes that are
composed and played there by soundfonts under MIT. Nothing that songrec is judged by is in it. Every
kind weighs the same. Only means and deviations are kept. A deviation is not let below a floor that
listeners would not hear.
"""

import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "tempo_key"))

import evaluate  # noqa: E402
import material  # noqa: E402

TARGET = os.path.join(HERE, "..", "crates", "audio", "src", "dsp", "scaler47.rs")
GROUPS = ("mfcc", "chroma", "spectral_contrast", "rhythm", "zcr", "rms")
FLOOR = 1e-3


def number(value):
    text = f"{value:.6g}"
    return text if "." in text or "e" in text else text + ".0"


def main():
    work, packages, songrec = sys.argv[1:4]
    folder = material.make("development", work, packages)
    with open(os.path.join(folder, "truth.json"), encoding="utf-8") as file:
        truth = json.load(file)
    features = evaluate.found(folder, truth, os.path.abspath(songrec))
    names = [name for name in sorted(features) if "groups" in features[name]]
    rows = np.array([np.concatenate([features[name]["groups"][group] for group in GROUPS]) for name in names])
    kinds, of, counts = np.unique([truth[name]["kind"] for name in names], return_inverse=True, return_counts=True)
    weights = 1 / counts[of] / len(kinds)
    means = weights @ rows
    deviations = np.maximum(np.sqrt(weights @ (rows - means) ** 2), FLOOR)
    table = lambda values: "".join(f"    {number(value)},\n" for value in values)
    with open(TARGET, "w", encoding="utf-8") as file:
        file.write(
            "//! The numbers of the scaler of `dsp47@2`, in the order of its groups.\n//!\n"
            f"//! Written by `tools/fit_dsp47_scaler.py` from {len(names)} sounds; it says which.\n\n"
            f"pub(super) const MEANS: [f64; 47] = [\n{table(means)}];\n\n"
            f"pub(super) const DEVIATIONS: [f64; 47] = [\n{table(deviations)}];\n"
        )
    print(f"{len(names)} sounds of {len(kinds)} kinds in {TARGET}")


if __name__ == "__main__":
    main()
