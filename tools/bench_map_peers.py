#!/usr/bin/env python3
"""Draw maps with songrec and with what others use, on the same rows and cores.

    pip install umap-learn openTSNE pynndescent
    cargo build --release -p songrec-bench --bin map
    python3 tools/bench_map_peers.py target/release/map FOLDER [CASE ...]

Run it on two cores (`taskset -c 0,1`): peers are asked for two threads. Cases are `umap`, `tsne`, `graph` and `million`, all but
the last also by a peer, which runs right after ours. The rows, which a seed makes up,
stay in FOLDER. Each line has the wall and CPU seconds of everything but reading the rows and
what a peer compiles, which it has done on a few rows before; memory is that of the whole
process at its highest. Graphs have their recall at 15, maps the trustworthiness at 15 of
6,000 rows that are chosen from the map.
"""

import os
import resource
import subprocess
import sys
import time
import warnings

import numpy as np

K = 15
CASES = {
    "tsne": (20_000, 45),
    "umap": (100_000, 512),
    "graph": (1_000_000, 45),
    "million": (1_000_000, 45),
}


def make(count, dimension, clusters=60, directions=12):
    """Rows in clusters, each stretched along directions of its own, and noise."""
    random = np.random.default_rng(1)
    centers = random.normal(size=(clusters, dimension)).astype(np.float32)
    of = random.choice(clusters, count, p=random.dirichlet(np.full(clusters, 2.0)))
    rows = random.normal(size=(count, dimension)).astype(np.float32) * np.float32(0.1)
    for cluster in range(clusters):
        here = of == cluster
        axes = random.normal(size=(directions, dimension)) / np.sqrt(directions)
        axes *= 0.7 * np.exp(random.normal(size=(directions, 1)) / 2)
        inside = random.normal(size=(here.sum(), directions)).astype(np.float32)
        rows[here] += centers[cluster] + inside @ axes.astype(np.float32)
    return rows


def recall(rows, neighbors):
    chosen = np.random.default_rng(3).choice(len(rows), 300, replace=False)
    squares = (rows**2).sum(1)[None] - 2 * rows[chosen] @ rows.T
    squares[np.arange(len(chosen)), chosen] = np.inf
    truth = np.argpartition(squares, K, axis=1)[:, :K]
    hits = sum(len(set(a) & set(b)) for a, b in zip(truth.tolist(), neighbors[chosen].tolist()))
    return f"recall {hits / truth.size:.3f}"


def trust(rows, places):
    from sklearn.manifold import trustworthiness

    chosen = np.random.default_rng(3).choice(len(rows), min(len(rows), 6_000), replace=False)
    return f"trustworthiness {trustworthiness(rows[chosen], places[chosen], n_neighbors=K):.4f}"


def ours(program, case, path, rows):
    out = os.path.join(os.path.dirname(path), "out.npy")
    what = "umap" if case == "million" else case
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The highest memory is told for all children together, so by itself for each.
    command = ["/usr/bin/time", "-f", "%M", program, what, path, out]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    parts = dict(line.split() for line in told.stdout.splitlines())
    wall = sum(map(float, parts.values()))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = np.load(out)
    judged = recall(rows, found) if what == "graph" else trust(rows, found)
    tell(case, "songrec", wall, cpu, f"{judged}  {int(told.stderr) // 1024} MB  {parts}")


def peer(case, rows):
    few = rows[:5_000]
    if case == "graph":
        from pynndescent import NNDescent

        # Its neighbors begin with the row itself.
        def work(rows):
            return NNDescent(rows, n_neighbors=K + 1, n_jobs=2).neighbor_graph[0][:, 1:]

    elif case == "umap":
        from umap import UMAP

        def work(rows):
            return UMAP(n_jobs=2).fit_transform(rows)

    else:
        from openTSNE import TSNE

        def work(rows):
            return np.asarray(TSNE(n_jobs=2).fit(rows))

    work(few)
    wall, cpu = time.perf_counter(), time.process_time()
    found = work(rows)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    judged = recall(rows, found) if case == "graph" else trust(rows, found)
    name = {"graph": "pynndescent", "umap": "umap-learn", "tsne": "openTSNE"}[case]
    tell(case, name, wall, cpu, judged)


def tell(case, name, wall, cpu, rest):
    load = os.getloadavg()[0]
    seconds = f"wall {wall:7.1f} s  CPU {cpu:7.1f} s"
    print(f"{case:8} {name:12} {seconds}  {rest}  load {load:.1f}", flush=True)


def main():
    program, folder, *cases = sys.argv[1:]
    warnings.simplefilter("ignore")
    os.makedirs(folder, exist_ok=True)
    for case in cases or CASES:
        shape = CASES[case]
        path = os.path.join(folder, f"{shape[0]}x{shape[1]}.npy")
        if not os.path.exists(path):
            np.save(path, make(*shape))
        rows = np.load(path)
        ours(program, case, path, rows)
        if case != "million":
            peer(case, rows)


main()
