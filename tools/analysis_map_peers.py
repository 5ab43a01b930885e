#!/usr/bin/env python3
"""Write the rows that tests of maps draw, and how well other implementations draw them.

    pip install umap-learn openTSNE scikit-learn
    python3 tools/analysis_map_peers.py [PIECES]

Writes `crates/analysis/tests/fixtures/map/`: rows as .npy, and `peers.json` with the
trustworthiness at 15 of maps by umap-learn and openTSNE with their usual options, the mean
of two seeds, with the seconds each took; and of the first two columns of the rows, which
has to be the same everywhere. `audio.npy` is left as it is unless PIECES is given: a
folder of .npy files, one embedding each, such as

    songrec embed --model dsp45@1 --npy PIECES *.wav

writes for pieces of 0.4 s, each 0.05 s after the last, of the files in `examples/audio`.
"""

import json
import pathlib
import sys
import time
import warnings

import numpy as np
from sklearn.datasets import make_blobs, make_swiss_roll
from sklearn.manifold import trustworthiness

FOLDER = pathlib.Path(__file__).parent.parent / "crates/analysis/tests/fixtures/map"
AUDIO_ROWS = 1_000
SEEDS = (1, 2)


def drawn(count=800):
    """Pictures of 8 by 8 from 0 to 16: ten of them, each moved, faded and blurred."""
    random = np.random.default_rng(5)
    x, y = np.meshgrid(np.arange(8.0), np.arange(8.0))
    strokes = random.uniform(1, 6, size=(10, 4, 2))
    pictures = np.empty((count, 64))
    for picture in pictures:
        at = strokes[random.integers(10)] + random.normal(scale=0.35, size=2)
        points = np.concatenate([np.linspace(a, b, 9) for a, b in zip(at, at[1:])])
        width = random.uniform(0.5, 0.8)
        near = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
        ink = np.exp(-near / (2 * width**2)).max(-1) * random.uniform(12, 18)
        picture[:] = (ink + random.normal(scale=0.7, size=ink.shape)).ravel()
    return np.clip(np.round(pictures), 0, 16).astype(np.uint8)


def row_sets(pieces):
    roll = make_swiss_roll(1_000, noise=0.05, random_state=1)[0]
    blobs = make_blobs(800, 10, centers=8, cluster_std=2.5, random_state=1)[0]
    sets = {"drawn": drawn(), "swiss_roll": roll, "blobs": blobs}
    for name, rows in sets.items():
        kept = rows if rows.dtype == np.uint8 else rows.astype(np.float32)
        np.save(FOLDER / f"{name}.npy", np.ascontiguousarray(kept))
    if pieces:
        files = sorted(pathlib.Path(pieces).glob("*.npy"))
        rows = np.stack([np.load(file).ravel() for file in files]).astype(np.float32)
        even = np.linspace(0, len(rows) - 1, min(len(rows), AUDIO_ROWS)).astype(int)
        np.save(FOLDER / "audio.npy", rows[even])
    return {name: np.load(FOLDER / f"{name}.npy").astype(np.float32) for name in [*sets, "audio"]}


def measure(draw, rows):
    draw(rows[:200], SEEDS[0])  # What it compiles counts for nobody.
    values, start = [], time.process_time()
    for seed in SEEDS:
        values.append(trustworthiness(rows, np.asarray(draw(rows, seed)), n_neighbors=15))
    seconds = (time.process_time() - start) / len(SEEDS)
    return {"trustworthiness": round(float(np.mean(values)), 5), "seconds": round(seconds, 1)}


def main():
    import openTSNE
    import umap

    warnings.simplefilter("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    peers = {}
    for name, rows in row_sets(sys.argv[1] if len(sys.argv) > 1 else None).items():
        peers[name] = {
            "umap": measure(lambda r, s: umap.UMAP(random_state=s).fit_transform(r), rows),
            "tsne": measure(lambda r, s: openTSNE.TSNE(random_state=s).fit(r), rows),
            "first_columns": trustworthiness(rows, rows[:, :2], n_neighbors=15),
            "first_columns_cosine": trustworthiness(
                rows, rows[:, :2], n_neighbors=15, metric="cosine"
            ),
        }
        print(name, peers[name], flush=True)
    (FOLDER / "peers.json").write_text(json.dumps(peers, indent=1) + "\n")


main()
