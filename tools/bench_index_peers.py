#!/usr/bin/env python3
"""Run faiss, hnswlib, usearch and chromadb on the data that `index_search` has left.

    pip install faiss-cpu hnswlib usearch chromadb numpy
    cargo run --profile dist -p songrec-bench --bin index_search -- 100000 512 clustered FOLDER
    python3 tools/bench_index_peers.py FOLDER [NAME]

Each peer is built from the same rows and asked the same queries, one at a
time, on one thread; printed are its recall at 10 against the true neighbors,
the median wall time and the mean CPU time of a query, and the CPU time that
building it took. What is not installed is left out, and so is what has not
NAME in its name.
"""

import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np

K = 10
NAME = sys.argv[2].lower() if len(sys.argv) > 2 else ""


def wanted(name):
    return NAME in name.lower()


def measure(name, built, queries, truth, search):
    """Print a line: search(query) gives row numbers."""
    for query in queries[:100]:
        search(query)
    times, found = [], []
    cpu = time.thread_time()
    for query in queries:
        start = time.perf_counter()
        found.append(search(query))
        times.append(time.perf_counter() - start)
    cpu = (time.thread_time() - cpu) / len(queries)
    hits = sum(len(set(map(int, f)) & set(t)) for f, t in zip(found, truth))
    print(
        f"{name:32} recall {hits / (len(truth) * K):.4f}  median {np.median(times) * 1e6:8.1f} µs"
        f"  mean CPU {cpu * 1e6:8.1f} µs  built in {built:.1f} s CPU",
        flush=True,
    )


def timed(work):
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def faiss_peers(rows, queries, truth):
    import faiss

    faiss.omp_set_num_threads(1)
    dimension = rows.shape[1]

    def ask(index):
        return lambda query: index.search(query[None], K)[1][0]

    def add(index):
        index.train(rows)
        index.add(rows)
        return index

    def make(description):
        # Building may use all cores, searching one.
        faiss.omp_set_num_threads(os.cpu_count())
        try:
            return timed(
                lambda: add(
                    faiss.index_factory(dimension, description, faiss.METRIC_INNER_PRODUCT)
                )
            )
        finally:
            faiss.omp_set_num_threads(1)

    if wanted("faiss Flat"):
        flat, built = make("Flat")
        measure("faiss Flat", built, queries[:200], truth, ask(flat))
    lists = int(len(rows) ** 0.5)
    if wanted("faiss IVF SQ8"):
        ivf, built = make(f"IVF{lists},SQ8")
        for probes in (4, 8, 16, 32):
            ivf.nprobe = probes
            measure(f"faiss IVF{lists},SQ8 nprobe {probes}", built, queries, truth, ask(ivf))
    if wanted("faiss IVF RaBitQ"):
        try:
            refined, built = make(f"IVF{lists},RaBitQ,RFlat")
        except RuntimeError as error:
            print("faiss IVF RaBitQ: left out:", str(error).splitlines()[0])
        else:
            # How many of the best estimates are looked at in full, for each hit.
            for factor in (20, 80):
                refined.k_factor = factor
                for probes in (4, 8, 16):
                    faiss.downcast_index(refined.base_index).nprobe = probes
                    name = f"faiss IVF RaBitQ x{factor} nprobe {probes}"
                    measure(name, built, queries, truth, ask(refined))
    # Building a graph of more takes an hour.
    if len(rows) <= 100_000 and wanted("faiss HNSW32"):
        graph, built = make("HNSW32")
        for width in (32, 64, 128, 256):
            graph.hnsw.efSearch = width
            measure(f"faiss HNSW32 ef {width}", built, queries, truth, ask(graph))


def hnswlib_peer(rows, queries, truth):
    import hnswlib

    def make():
        graph = hnswlib.Index("ip", rows.shape[1])
        graph.init_index(len(rows), M=16, ef_construction=100)
        graph.set_num_threads(1)
        graph.add_items(rows, num_threads=1)
        return graph

    graph, built = timed(make)
    for width in (32, 64, 128, 256):
        graph.set_ef(width)
        search = lambda query: graph.knn_query(query, k=K, num_threads=1)[0][0]
        measure(f"hnswlib ef {width}", built, queries, truth, search)


def usearch_peer(rows, queries, truth):
    from usearch.index import Index

    def make():
        graph = Index(ndim=rows.shape[1], metric="ip", dtype="bf16")
        graph.add(np.arange(len(rows)), rows, threads=1)
        return graph

    graph, built = timed(make)
    for width in (32, 64, 128, 256):
        graph.expansion_search = width
        search = lambda query: graph.search(query, K, threads=1).keys
        measure(f"usearch bf16 ef {width}", built, queries, truth, search)


def chromadb_peer(rows, queries, truth):
    import tempfile

    import chromadb
    from chromadb.config import Settings

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        client = chromadb.PersistentClient(folder, Settings(anonymized_telemetry=False))

        def make():
            songs = client.create_collection(
                "songs", configuration={"hnsw": {"space": "ip"}}, embedding_function=None
            )
            for first in range(0, len(rows), 5000):
                batch = rows[first : first + 5000]
                songs.add(ids=[str(first + i) for i in range(len(batch))], embeddings=batch)
            return songs

        songs, built = timed(make)
        search = lambda query: songs.query(query_embeddings=query[None], n_results=K, include=[])["ids"][0]
        measure("chromadb", built, queries, truth, search)


def main():
    folder = sys.argv[1]
    rows = np.load(os.path.join(folder, "index", "rows.npy"), mmap_mode="r")
    # Slots of rows that were removed again hold zeros, at the end here.
    live = int(np.count_nonzero(np.any(rows[:, :4] != 0, axis=1)))
    rows = np.ascontiguousarray(rows[:live])
    queries = np.load(os.path.join(folder, "queries.npy"))
    truth = np.load(os.path.join(folder, "truth.npy")).astype(np.int64)
    print(f"{rows.shape[0]} x {rows.shape[1]}")
    peers = [faiss_peers]
    if len(rows) <= 100_000:
        peers += [peer for peer in (hnswlib_peer, usearch_peer, chromadb_peer) if wanted(peer.__name__)]
    for peer in peers:
        try:
            peer(rows, queries, truth)
        except ImportError as error:
            print(f"{error.name} is not installed")


if __name__ == "__main__":
    main()
