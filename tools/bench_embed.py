#!/usr/bin/env python3
"""songrec's embedding of songs beside a Python script that does the same.

    bench_embed.py MODELS NAME [--songs N] [--seconds S] [--threads T]

MODELS is a folder of models (`songrec model list` names it), NAME a CLAP in it.
Python decodes with soundfile, resamples with soxr, makes the spectrograms with
transformers' ClapFeatureExtractor and runs onnxruntime on as many threads, four
windows in a call: what one would write, with the fastest parts there are.
songrec is run with both of its engines. Needs `pip install numpy soundfile soxr
transformers onnxruntime` and a built program:

    cargo build --profile dist -p songrec-bench --bin embed
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import soundfile
import soxr
from transformers import ClapFeatureExtractor

RATE, WINDOW = 48_000, 480_000


def make_songs(folder, count, seconds):
    """Stereo songs at 44.1 kHz: half of them FLAC, half of them MP3."""
    paths = []
    t = np.arange(44_100 * seconds) / 44_100
    for song in range(count):
        rng = np.random.default_rng(song)
        x = sum(0.1 * np.sin(2 * np.pi * hz * t) for hz in rng.uniform(80, 4000, 6))
        x = np.stack([x + 0.02 * rng.standard_normal(len(t)), x + 0.02 * rng.standard_normal(len(t))], axis=1)
        path = f"{folder}/{song}.{'flac' if song % 2 else 'mp3'}"
        soundfile.write(path, x, 44_100)
        paths.append(path)
    return paths


def python_embed(paths, onnx, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    extractor = ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation="rand_trunc")
    vectors, engine = {}, 0.0
    session.run(None, {"input_features": np.zeros((4, 1, 1001, 64), np.float32)})
    began = time.perf_counter()
    for path in paths:
        x, rate = soundfile.read(path, dtype="float32", always_2d=True)
        x = soxr.resample(x.mean(axis=1), rate, RATE)
        starts = list(range(0, len(x) - WINDOW + 1, WINDOW))
        weights = [WINDOW] * len(starts)
        if rest := len(x) - (starts[-1] + WINDOW):
            starts.append(len(x) - WINDOW)
            weights.append(rest)
        heard = []
        for at in range(0, len(starts), 4):
            windows = [x[start:start + WINDOW] for start in starts[at:at + 4]]
            features = extractor(windows, sampling_rate=RATE, return_tensors="np")["input_features"]
            before = time.perf_counter()
            heard.append(session.run(None, {"input_features": features})[0])
            engine += time.perf_counter() - before
        mean = np.average(np.concatenate(heard).astype(np.float64), axis=0, weights=weights)
        vectors[path] = mean / np.linalg.norm(mean)
    seconds = time.perf_counter() - began
    return {
        "engine": f"Python, onnxruntime {onnxruntime.__version__}", "threads": threads, "songs": len(paths),
        "seconds": round(seconds, 3), "songs_per_minute": round(60 * len(paths) / seconds, 2),
        "engine_share": round(engine / seconds, 4),
        "checksum": round(float(sum(np.abs(v.astype(np.float32)).sum() for v in vectors.values())), 6),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models")
    parser.add_argument("name")
    parser.add_argument("--songs", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--program", default=os.path.join(
        os.environ.get("CARGO_TARGET_DIR", "target"), "dist/embed"))
    args = parser.parse_args()
    folders = [f for f in sorted(os.listdir(args.models)) if f == args.name or f.split("@")[0] == args.name]
    if not folders:
        sys.exit(f"there is no model `{args.name}` in {args.models}")
    with tempfile.TemporaryDirectory() as folder:
        songs = make_songs(folder, args.songs, args.seconds)
        runs = []
        environment = os.environ | {"VIRTUAL_ENV": sys.prefix}
        for engine in ("rten", "ort"):
            command = [args.program, args.models, folders[0], engine, str(args.threads), *songs]
            output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
            runs.append(json.loads(output))
            print(output.strip())
        python = python_embed(songs, f"{args.models}/{folders[0]}/clap_audio.onnx", args.threads)
        print(json.dumps(python))
        for run in runs:
            print(f"{run['engine']}: {run['songs_per_minute'] / python['songs_per_minute']:.2f} times Python's "
                  "songs per minute", end="")
            # Known on one thread only.
            if share := run["engine_share"]:
                print(f", {100 * share:.1f} % of the processor's time in the engine", end="")
            print()


if __name__ == "__main__":
    main()
