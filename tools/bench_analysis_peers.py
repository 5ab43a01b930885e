#!/usr/bin/env python3
"""Run scikit-learn and hdbscan on the rows that the benchmark `analysis` has left.

    pip install numpy scikit-learn hdbscan
    cargo run --profile dist -p songrec-bench --bin analysis -- FOLDER
    python3 tools/bench_analysis_peers.py FOLDER [NAME...]

NAME is as there. Each peer may use all cores. Printed is the shortest of three runs (of one,
where a run takes more than a minute), as elapsed time and processor time of all threads.
"""

import sys
import time
from pathlib import Path

import hdbscan
import joblib
import numpy as np
from sklearn.cluster import DBSCAN, KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score, silhouette_score

FOLDER = Path(sys.argv[1])
NAMES = sys.argv[2:]
CORES = joblib.cpu_count()
CLUSTERS = 12


def load(name):
    return np.load(FOLDER / f"{name}.npy")


def measure(name, work):
    best = (float("inf"), 0.0)
    for _ in range(3):
        start, cpu = time.perf_counter(), time.process_time()
        found = work()
        best = min(best, (time.perf_counter() - start, time.process_time() - cpu))
        if best[0] > 60:
            break
    print(f"{name:55} {best[0]:8.3f} s, {best[1]:8.2f} s CPU", flush=True)
    return found


def counted(labels):
    return f"{labels.max() + 1} clusters, {(labels < 0).sum()} rows of noise"


def kmeans():
    rows, init = load("kmeans"), load("kmeans-init")
    found = measure(
        "scikit-learn KMeans 100,000 x 512, k = 12",
        lambda: KMeans(CLUSTERS, init=init, n_init=1).fit(rows),
    )
    print(f"    inertia {found.inertia_:.6e}, {found.n_iter_} passes")
    elkan = measure(
        "scikit-learn KMeans, algorithm='elkan'",
        lambda: KMeans(CLUSTERS, init=init, n_init=1, algorithm="elkan").fit(rows),
    )
    print(f"    inertia {elkan.inertia_:.6e}, {elkan.n_iter_} passes")
    mean = measure(
        "scikit-learn silhouette_score of 5,000 x 512",
        lambda: silhouette_score(rows, found.labels_, sample_size=5000, random_state=0),
    )
    print(f"    mean {mean:.6f}")
    found = measure("scikit-learn PCA(2) of 100,000 x 512", lambda: PCA(2).fit(rows))
    print("    variance {:.6e} {:.6e}".format(*found.explained_variance_))


def mini_batch():
    rows = load("mini-batch")
    for seed in range(3):
        found = measure(
            f"scikit-learn MiniBatchKMeans 1,000,000 x 45, seed {seed}",
            lambda: MiniBatchKMeans(CLUSTERS, random_state=seed).fit(rows),
        )
        print(f"    inertia {found.inertia_:.6e}, {found.n_steps_} batches")


def dbscan():
    rows = load("dbscan")
    eps, min_samples = (FOLDER / "dbscan.txt").read_text().split()
    model = DBSCAN(eps=float(eps), min_samples=int(min_samples), n_jobs=CORES)
    found = measure("scikit-learn DBSCAN 100,000 x 45", lambda: model.fit(rows))
    print(f"    eps {float(eps):.4f}, {counted(found.labels_)}")


def hierarchy():
    rows = load("hdbscan").astype(np.float64)
    # The exact tree, as ours is: the approximate one, its default, gives other clusters here
    # (agreement 0.76) and is no faster.
    model = hdbscan.HDBSCAN(
        min_cluster_size=50, min_samples=10, approx_min_span_tree=False, core_dist_n_jobs=CORES
    )
    found = measure("hdbscan HDBSCAN 50,000 x 45", lambda: model.fit(rows))
    same = adjusted_rand_score(found.labels_, load("hdbscan-labels")[:, 0])
    print(f"    {counted(found.labels_)}; agreement of the partitions (Rand, adjusted) {same:.6f}")


def forest():
    rows = load("forest")

    def work():
        with joblib.parallel_backend("threading", n_jobs=CORES):
            return IsolationForest(n_jobs=CORES, random_state=0).fit(rows).score_samples(rows)

    scores = measure("scikit-learn IsolationForest 200,000 x 45", work)
    print(f"    mean score {scores.mean():.6f}")


def main():
    all_of_them = {
        "kmeans": kmeans,
        "mini-batch": mini_batch,
        "dbscan": dbscan,
        "hdbscan": hierarchy,
        "forest": forest,
    }
    for name, run in all_of_them.items():
        if not NAMES or name in NAMES:
            run()


main()
