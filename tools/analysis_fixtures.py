#!/usr/bin/env python3
"""Write what scikit-learn and hdbscan find in small sets of rows.

    pip install numpy scikit-learn hdbscan
    python3 tools/analysis_fixtures.py crates/analysis/tests/fixtures

Tests of `songrec-analysis` compare with it. Written with scikit-learn 1.9.1 and
hdbscan 0.8.44; other versions should find the same.
"""

import json
import sys
from pathlib import Path

import hdbscan
import numpy as np
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import silhouette_samples, silhouette_score

FOLDER = Path(sys.argv[1])


def plain(value):
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def write(name, **values):
    text = json.dumps({key: plain(value) for key, value in values.items()}, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text + "\n")
    print(f"{name}: {len(text)} bytes")


def rounded(rows):
    """float32 values that few digits name."""
    return np.round(rows, 3).astype(np.float32)


def digits(rows):
    """Those digits."""
    return [[round(float(value), 3) for value in row] for row in rows]


def blobs(seed, sizes, dimension, spread, noise):
    """Normal clusters of these sizes around random centers, then evenly spread rows."""
    random = np.random.default_rng(seed)
    parts = []
    for size, width in zip(sizes, spread):
        center = random.uniform(-8, 8, dimension)
        parts.append(center + width * random.standard_normal((size, dimension)))
    parts.append(random.uniform(-12, 12, (noise, dimension)))
    return rounded(random.permutation(np.concatenate(parts)))


def moons(seed, size):
    """Two half circles in two dimensions, a dense and a thin cluster, and noise."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, np.pi, size)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.4 - np.sin(angle)], 1)
    parts = [part + 0.06 * random.standard_normal((size, 2)) for part in (upper, lower)]
    parts.append([3.5, 1] + 0.05 * random.standard_normal((size // 2, 2)))
    parts.append([3.5, -1.5] + 0.4 * random.standard_normal((size // 2, 2)))
    parts.append(random.uniform([-2, -3], [5, 3], (size // 4, 2)))
    return rounded(random.permutation(np.concatenate(parts)))


def signed(labels):
    return np.asarray(labels, dtype=np.int64)


def renumbered(labels):
    """Labels in the order of the first row of each cluster."""
    numbers = {-1: -1}
    return np.array([numbers.setdefault(label, len(numbers) - 1) for label in labels])


def write_kmeans(rows):
    random = np.random.default_rng(5)
    cases = []
    for k in (1, 5, 40):
        init = rows[random.choice(len(rows), k, replace=False)]
        cases.append(init)
    # Two centroids that no row is near: both lose all rows at once.
    init = rows[random.choice(len(rows), 6, replace=False)].copy()
    init[[2, 4]] = [[100.0] * rows.shape[1], [-120.0] * rows.shape[1]]
    cases.append(init)
    found = []
    for init in cases:
        model = KMeans(len(init), init=init, n_init=1).fit(rows)
        found.append(
            {
                "init": digits(init),
                "labels": plain(model.labels_),
                "inertia": float(model.inertia_),
                "iterations": int(model.n_iter_),
                "centroids": plain(model.cluster_centers_),
            }
        )
    write("kmeans", cases=found)
    labels = np.array(found[1]["labels"])
    # A cluster of one row, and noise, which is left out.
    labels[7] = 9
    labels[[1, 20, 33]] = -1
    kept = labels >= 0
    write(
        "silhouette",
        labels=signed(labels),
        mean=silhouette_score(rows[kept].astype(np.float64), labels[kept]),
        values=silhouette_samples(rows[kept].astype(np.float64), labels[kept]),
    )


def write_dbscan(sets):
    found = []
    for name, eps, min_samples in (
        ("blobs", 4.0, 5),
        ("blobs", 3.0, 8),
        ("moons", 0.15, 5),
        ("moons", 0.25, 12),
        ("moons", 0.05, 1),
    ):
        model = DBSCAN(eps=eps, min_samples=min_samples).fit(sets[name].astype(np.float64))
        case = {"rows": name, "eps": eps, "min_samples": min_samples}
        found.append(case | {"labels": plain(signed(model.labels_))})
    write("dbscan", cases=found)


def write_hdbscan(sets):
    found = []
    for name, size, samples in (
        ("blobs", 10, 5),
        ("blobs", 25, 3),
        ("moons", 5, 5),
        ("moons", 15, 10),
        ("moons", 30, 1),
        ("blobs", 300, 5),
    ):
        def labels(order):
            model = hdbscan.HDBSCAN(
                min_cluster_size=size, min_samples=samples, algorithm="generic"
            ).fit(sets[name][order].astype(np.float64))
            inverse = np.argsort(order)
            return renumbered(model.labels_[inverse]), model.probabilities_[inverse]

        # A row may be as near to one cluster as to another at the moment they part. Which
        # it stays with then depends on the order of rows.
        count = len(sets[name])
        kept, probabilities = labels(np.arange(count))
        random = np.random.default_rng(6)
        others = [labels(random.permutation(count))[0] for _ in range(20)]
        ties = np.nonzero([any(other[row] != kept[row] for other in others) for row in range(count)])
        case = {"rows": name, "min_cluster_size": size, "min_samples": samples}
        case["ties"] = plain(ties[0])
        case["labels"] = plain(kept)
        case["probabilities"] = [round(float(value), 9) for value in probabilities]
        found.append(case)
    write("hdbscan", cases=found)


def write_forest(rows):
    model = IsolationForest(n_estimators=30, max_samples=64, contamination=0.08, random_state=3)
    model.fit(rows)
    trees = []
    for estimator in model.estimators_:
        tree = estimator.tree_
        trees.append(
            {
                "features": plain(tree.feature),
                "thresholds": plain(tree.threshold),
                "left": plain(tree.children_left),
                "right": plain(tree.children_right),
                "samples": plain(tree.n_node_samples),
            }
        )
    write(
        "forest",
        sample=64,
        trees=trees,
        scores=model.score_samples(rows),
        contamination=0.08,
        offset=float(model.offset_),
        decisions=model.decision_function(rows),
        # So many that chance is little: of a hundred trees, two seeds of scikit-learn give
        # ranks of these rows that correlate by 0.87 to 0.93.
        thousand_trees=IsolationForest(n_estimators=1000, random_state=4)
        .fit(rows)
        .score_samples(rows),
    )


def write_pca(sets):
    found = []
    random = np.random.default_rng(8)
    wide = rounded(random.standard_normal((12, 30)) * np.linspace(3, 0.2, 30) + 5)
    for name, rows, count in (("blobs", sets["blobs"], 8), ("blobs", sets["blobs"], 3), ("wide", wide, 11)):
        model = PCA(count, svd_solver="full").fit(rows.astype(np.float64))
        found.append(
            {
                "rows": name,
                "mean": plain(model.mean_),
                "components": plain(model.components_),
                "variance": plain(model.explained_variance_),
                "ratio": plain(model.explained_variance_ratio_),
                "transformed": plain(np.round(model.transform(rows[:20].astype(np.float64)), 7)),
            }
        )
    write("pca", wide=digits(wide), cases=found)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    sets = {
        "blobs": blobs(1, (80, 60, 120, 40, 60), 8, (1.0, 0.6, 1.6, 1.2, 0.9), 40),
        "moons": moons(2, 140),
    }
    write("rows", **{name: digits(rows) for name, rows in sets.items()})
    write_kmeans(sets["blobs"])
    write_dbscan(sets)
    write_hdbscan(sets)
    write_forest(sets["blobs"])
    write_pca(sets)


main()
