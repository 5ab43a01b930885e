#!/usr/bin/env python3
"""Start Chroma's server over the rows of a `.npy` file, for `just bench-serve`.

    pip install chromadb numpy
    bench_serve_chroma.py ROWS.npy

Rows get their numbers as ids, in a collection compared by cosine and otherwise as Chroma
makes it. What was stored before for the same file is used again. The first line printed is a
JSON document whose `url` is that of the collection; the server runs until this process ends.
"""

import json
import os
import pathlib
import shutil
import socket
import sys
import time
import urllib.request

import chromadb
import numpy as np

BATCH = 4096


def store(rows, folder):
    """Give the id of a collection in `folder` that holds the rows."""
    client = chromadb.PersistentClient(str(folder))
    collection = client.get_or_create_collection("rows", metadata={"hnsw:space": "cosine"})
    for start in range(collection.count(), len(rows), BATCH):
        part = rows[start : start + BATCH]
        ids = [str(start + i) for i in range(len(part))]
        collection.add(ids=ids, embeddings=np.ascontiguousarray(part))
    return str(collection.id)


def main():
    path = pathlib.Path(sys.argv[1])
    rows = np.load(path, mmap_mode="r")
    folder = path.with_name("chroma")
    collection = store(rows, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    at = "tenants/default_tenant/databases/default_database/collections"
    base = f"http://127.0.0.1:{port}/api/v2"
    if os.fork() == 0:
        tell(base, f"{base}/{at}/{collection}")
        os._exit(0)
    # This process becomes the server, so that its memory and its end are the server's.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    program = shutil.which("chroma", path=os.path.dirname(sys.executable)) or "chroma"
    options = ["--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    os.execv(program, [program, "run", *options])


def tell(base, url):
    """Print where the collection is once the server answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{base}/heartbeat", timeout=5).read()
            print(json.dumps({"url": url}), flush=True)
            return
        except OSError:
            time.sleep(0.1)


if __name__ == "__main__":
    main()
