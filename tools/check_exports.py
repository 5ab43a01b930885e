#!/usr/bin/env python3
"""Opens what `songrec export --format …` writes in the programs that it is for.

    pip install numpy faiss-cpu pandas pyarrow
    python3 tools/check_exports.py target/debug/songrec [FOLDER WITH AUDIO]

Makes a library in a temporary folder, exports it in every format, and compares what
faiss, pandas and numpy read with what songrec says.
"""

import json
import os
import subprocess
import sys
import tempfile

import faiss
import numpy
import pandas

MODEL = "dsp45@1"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    songrec = os.path.abspath(sys.argv[1])
    audio = os.path.abspath(sys.argv[2] if len(sys.argv) == 3 else "examples/audio")
    with tempfile.TemporaryDirectory() as folder:
        env = {"HOME": folder, "PATH": os.environ["PATH"]}

        def run(*words):
            done = subprocess.run([songrec, *words], cwd=folder, env=env, capture_output=True)
            if done.returncode not in (0, 3):
                sys.exit(f"{words}: {done.stderr.decode()}")
            return done.stdout.decode()

        run("init", "lib")
        run("--library", "lib", "scan", audio)
        here = ("--library", "lib")
        listed = [json.loads(line) for line in run(*here, "ls", "--json").splitlines()]
        by_id = {song["id"]: song for song in listed}
        for kind in ("npy", "faiss"):
            run(*here, "export", "--format", kind, f"v.{kind}", "--model", MODEL)
        run(*here, "export", "--format", "parquet", "s.parquet", "--model", MODEL)
        run(*here, "export", "--format", "csv", "s.csv")

        matrix = numpy.load(f"{folder}/v.npy")
        rows = json.load(open(f"{folder}/v.npy.ids.json"))
        assert matrix.shape[0] == len(rows) > 0 and matrix.dtype == numpy.float32
        index = faiss.read_index(f"{folder}/v.faiss")
        assert index.ntotal == len(rows) and index.d == matrix.shape[1]
        lengths = numpy.linalg.norm(index.reconstruct_n(0, index.ntotal), axis=1)
        assert numpy.allclose(lengths, 1, atol=1e-5), lengths
        # The neighbors that faiss finds are those of the matrix.
        unit = matrix / numpy.linalg.norm(matrix, axis=1, keepdims=True)
        similarity, _ = index.search(unit, 3)
        best = -numpy.sort(-(unit @ unit.T), axis=1)[:, :3]
        assert numpy.allclose(similarity, best, atol=1e-5)

        table = pandas.read_parquet(f"{folder}/s.parquet")
        text = pandas.read_csv(f"{folder}/s.csv")
        assert len(table) == len(text) == len(listed)
        vectors = {row["id"]: values for row, values in zip(rows, matrix)}
        for place in range(len(table)):
            row = table.iloc[place]
            song = by_id[row["id"]]
            assert row["title"] == song["title"] == str(text.iloc[place]["title"])
            assert abs(row["duration"] - song["duration"]) < 1e-9
            assert numpy.array_equal(numpy.array(row[MODEL], dtype="f4"), vectors[row["id"]])
        print(f"{len(rows)} vectors and {len(listed)} songs read by faiss, pandas and numpy")


main()
