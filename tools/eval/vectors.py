"""Vectors of sounds: by a `songrec` binary, by librosa, by bliss-audio; and what songrec says of a sound."""

import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import soundfile
import soxr

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "train"))

# The model that ships with songrec.
TIMBRE = "timbre@7"

BLISS_MANIFEST = """[package]
name = "bliss-peer"
version = "0.0.0"
edition = "2021"
[workspace]
[dependencies]
bliss-audio = { version = "0.13", default-features = false, features = ["symphonia-all"] }
"""
BLISS_MAIN = """use bliss_audio::decoder::{symphonia::SymphoniaDecoder, Decoder};
fn main() {
    for path in std::env::args().skip(1) {
        match SymphoniaDecoder::song_from_path(&path) {
            Ok(song) => println!("{path}\\t{:?}", song.analysis.as_vec()),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
}
"""
BATCH = 100


def clean_environment(folder):
    """No settings of the user's count, and nothing is written to his folders."""
    return {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder, "XDG_DATA_HOME": folder}


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def kept(work, key, files, compute):
    """Vectors of `files` under `key`, computed once. A file without a vector has NaNs."""
    path = os.path.join(work, "vectors", key + ".npz")
    names = np.array(files)
    if os.path.exists(path):
        found = np.load(path)
        if np.array_equal(found["files"], names):
            return found["vectors"]
    vectors = compute(files)
    width = max((len(vector) for vector in vectors.values()), default=0)
    rows = np.full((len(files), width), np.nan, np.float32)
    for row, file in zip(rows, files):
        if file in vectors:
            row[:] = vectors[file]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    np.savez(path, files=names, vectors=rows)
    return rows


def in_batches(files, call):
    """What `call` makes of batches of files, two at a time."""
    batches = [files[first : first + BATCH] for first in range(0, len(files), BATCH)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [line for lines in pool.map(call, batches) for line in lines]


def songrec(binary, models, work, name, files):
    """{model: rows} as the binary embeds them."""

    def embed(batch):
        with tempfile.TemporaryDirectory() as folder:
            words = [binary, "--no-config", "--json", "--quiet", "--threads", "1", "embed", *batch]
            words += [word for model in models for word in ("--model", model)]
            done = subprocess.run(words, env=clean_environment(folder), capture_output=True, text=True, check=False)
        if done.returncode and not done.stdout:
            sys.exit(f"error: {binary} could not embed: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    said = []

    def of(model):
        def compute(files):
            said.extend([] if said else in_batches(files, embed))
            return {line["file"]: line["vector"] for line in said if line["model"] == model}

        return compute

    digest = digest_of(binary)
    return {model: kept(work, f"{name}-{model}-{digest}", files, of(model)) for model in models}


def librosa45(file):
    """songrec's 45 values as Python's librosa computes them; None if the file is too short."""
    from timbre import values45

    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return file, values45.values(soxr.resample(samples.mean(1), rate, values45.RATE))


def librosa(work, name, files):
    def compute(files):
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            return dict(pool.map(librosa45, files, chunksize=16))

    return kept(work, f"{name}-librosa45", files, compute)


def build_bliss(work):
    """The program that prints bliss-audio's values. It is GPL: it is run, never linked."""
    folder = os.path.join(work, "bliss")
    os.makedirs(os.path.join(folder, "src"), exist_ok=True)
    for name, text in (("Cargo.toml", BLISS_MANIFEST), ("src/main.rs", BLISS_MAIN)):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    words = ["cargo", "build", "--release", "--quiet", "--target-dir", os.path.join(folder, "target")]
    if subprocess.run(words, cwd=folder, check=False).returncode:
        return None
    return os.path.join(folder, "target", "release", "bliss-peer")


def bliss(binary, work, name, files):
    """bliss-audio refuses what is shorter than its frames: these have no vector."""

    def embed(batch):
        done = subprocess.run([binary, *batch], capture_output=True, text=True, check=False)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def compute(files):
        return {file: np.array(json.loads(values), np.float32) for file, values in in_batches(files, embed)}

    return kept(work, f"{name}-bliss", files, compute)


def said_of(binary, files):
    """The features that a scan finds of each file, by its name in `files`."""
    with tempfile.TemporaryDirectory() as folder:
        environment, library = clean_environment(folder), os.path.join(folder, "library")
        call = lambda *words: subprocess.run(
            [binary, "--no-config", "--library", library, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        sounds = os.path.join(folder, "sounds")
        os.mkdir(sounds)
        for number, file in enumerate(files):
            os.symlink(os.path.realpath(file), os.path.join(sounds, f"a{number:04}{os.path.splitext(file)[1]}"))
        subprocess.run([binary, "--no-config", "init", library], env=environment, capture_output=True, check=True)
        call("scan", "--quiet", sounds)
        songs = [json.loads(line) for line in call("ls", "--json", "--limit", "100000").splitlines()]
        ids, found = [song["id"] for song in songs], {}
        for first in range(0, len(ids), BATCH):
            for line in call("show", "--json", *ids[first : first + BATCH]).splitlines():
                song = json.loads(line)
                for place in song["files"]:
                    name = os.path.splitext(os.path.basename(place["path"]))[0]
                    found[files[int(name[1:])]] = song.get("features", {})
        return found
