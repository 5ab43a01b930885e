"""Pieces of music, cut into excerpts of 30 s: composed and rendered here, and by others under free licences.

Written to `music/`: `composed/NNN-P-E.wav` (composer, piece, excerpt), `NAME/PPP-E.wav` (source, piece, excerpt),
and of what trains a changed copy of each, `-changed`. `music/listed.json` says what is what.
"""

import glob
import json
import os
import re
import subprocess
import tempfile

import numpy as np
import soundfile
import soxr

from . import change, compose, dsp, image, sources
from .dsp import chance, log_uniform
from .store import log

SEED = 41
SECONDS = 30
EXCERPT = SECONDS * image.RATE
PIECES_A_COMPOSER = 3
EXCERPTS = ((1.0, 31.0), (48.0, 78.0))  # seconds, of a composed piece
MOST = 8  # excerpts of a piece by others, as far apart as they can be
RATE = 44_100  # of what is cut from others' music
SUFFIXES = (".ogg", ".mp3", ".flac", ".opus")


def rendered(piece, soundfont, folder):
    """The sound of a piece, mono float32 at 32 kHz."""
    size, level = piece.composer.room
    with tempfile.TemporaryDirectory(dir=folder) as work:
        score, raw = os.path.join(work, "piece.mid"), os.path.join(work, "piece.raw")
        with open(score, "wb") as file:
            file.write(piece.midi())
        done = subprocess.run(
            [
                "fluidsynth",
                "-ni",
                "-q",
                "-R",
                "1",
                "-C",
                "1",
                "-g",
                "0.5",
                "-r",
                str(image.RATE),
                "-o",
                "synth.dynamic-sample-loading=1",
                "-o",
                f"synth.reverb.room-size={size:.2f}",
                "-o",
                f"synth.reverb.level={level:.2f}",
                "-T",
                "raw",
                "-O",
                "s16",
                "-F",
                raw,
                soundfont,
                score,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"fluidsynth could not render a piece with {soundfont}: {done.stderr.strip()}")
        return np.fromfile(raw, "<i2").reshape(-1, 2).astype(np.float32).mean(1) / 32_768.0


def mastered(random, samples):
    """What mixing and copying do to a whole piece: tone, level, saturation, a low-pass, another speed."""
    sound = change.equalised(random, samples) if chance(random, 0.7) else samples
    sound = dsp.peak(sound)
    if chance(random, 0.3):
        sound = dsp.saturated(sound, log_uniform(random, 1, 5))
    if chance(random, 0.3):
        sound = dsp.between(sound, None, log_uniform(random, 5000, 15_000), 2)
    if chance(random, 0.2):
        sound = sound + dsp.noise(random, len(sound)) * np.float32(log_uniform(random, 1e-4, 4e-3))
    return sound.astype(np.float32)


def handled(random, part):
    """What may differ between two excerpts of one master: a little tone, a low-pass, noise."""
    if chance(random, 0.3):
        kind = str(random.choice(["bass", "treble"]))
        corner = log_uniform(random, 80, 400) if kind == "bass" else log_uniform(random, 2000, 9000)
        part = dsp.filtered(part, dsp.section(kind, corner, 0.7, random.uniform(-4, 4)))
    if chance(random, 0.2):
        part = dsp.between(part, None, log_uniform(random, 7000, 15_000), 2)
    if chance(random, 0.15):
        part = part + dsp.noise(random, len(part)) * np.float32(log_uniform(random, 1e-4, 2e-3))
    return part.astype(np.float32)


def soundfonts(work):
    return {
        source["name"]: os.path.join(sources.folder_of(source, work), source["path"])
        for source in sources.listed()
        if source["read"] == "soundfont"
    }


def composed(number, work, fonts):
    """Yields (piece, excerpt, samples at 32 kHz) of the pieces of one composer, some changed a little."""
    random = np.random.default_rng((SEED, number))
    composer = compose.Composer(random)
    for index in range(PIECES_A_COMPOSER):
        piece = compose.Piece(composer, random)
        # A piece has one master, and how it sounds is a part of what tells pieces apart.
        sound = mastered(random, rendered(piece, fonts[composer.soundfont], work))
        for excerpt, (begin, _) in enumerate(EXCERPTS):
            part = sound[int(begin * image.RATE) :][:EXCERPT]
            if len(part) >= EXCERPT // 2 and np.abs(part).max() >= 1e-3:
                yield index, excerpt, handled(random, np.pad(part, (0, EXCERPT - len(part))))


def written(path, samples, rate):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = path + ".part"
    soundfile.write(partial, samples, rate, subtype="PCM_16", format="WAV")
    os.replace(partial, path)


def compose_all(work, composers):
    """Writes the excerpts of all composers, and returns (file, piece, maker) of each."""
    fonts, found = soundfonts(work), []
    for number in range(composers):
        stem = os.path.join(work, "music", "composed", f"{number:03}")
        if not os.path.exists(stem + ".done"):
            for piece, excerpt, part in composed(number, work, fonts):
                written(f"{stem}-{piece}-{excerpt}.wav", 0.9 * part / np.abs(part).max(), image.RATE)
            with open(stem + ".done", "w", encoding="ascii"):
                pass
        for path in sorted(glob.glob(stem + "-?-?.wav")):
            found.append((path, "-".join(os.path.basename(path).split("-")[:2]), f"composer{number}"))
    return found


def pieces_of(source, work):
    """The files of pieces of a source, by what `sources.toml` says of it."""
    for folder in sources.folders_of(source, work):
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "**"), recursive=True)):
            inside = os.path.relpath(path, os.path.dirname(folder))
            is_piece = re.search(source.get("files", "."), inside) and not re.search(source.get("but", "^$"), inside)
            if is_piece and path.lower().endswith(SUFFIXES) and os.path.getsize(path) <= source.get("largest", 1 << 40):
                yield inside, path


def cut(source, work):
    """Writes the excerpts of the pieces of a source that last a minute or more; (file, piece, maker) of each."""
    found = []
    for number, (inside, path) in enumerate(pieces_of(source, work)):
        try:
            count = min(MOST, int(soundfile.info(path).duration // (SECONDS + 1)))
            stem = os.path.join(work, "music", source["name"], f"{number:03}")
            paths = [f"{stem}-{index}.wav" for index in range(count)]
            if count >= 2 and not all(os.path.exists(path) for path in paths):
                samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
                mono = soxr.resample(samples.mean(1), rate, RATE)
                for file, start in zip(paths, np.linspace(0, len(mono) / RATE - SECONDS - 1, count)):
                    written(file, mono[int(start * RATE) : int((start + SECONDS) * RATE)], RATE)
        except soundfile.LibsndfileError as error:
            log("skipped:", error)
            continue
        maker = source["name"] if source["use"] == "train" else inside.split(os.sep)[0]
        found += [(file, f"{source['name']}-{number:03}", maker) for file in paths if count >= 2]
    return found


COPIES = ("quiet", "half", "mp3")


def copied(random, path, kind):
    """Writes a changed copy beside an excerpt: another level, half the rate, MP3 at 128 kbit/s or a low-pass."""
    wave, lossy = f"{path[:-4]}-{kind}.wav", f"{path[:-4]}-{kind}.mp3"
    target = lossy if kind == "mp3" else wave
    if os.path.exists(target):
        return target
    samples, rate = soundfile.read(path, dtype="float32")
    level = np.float32(10 ** (-random.uniform(0, 12) / 20))
    if kind == "mp3":
        words = ["ffmpeg", "-v", "error", "-y", "-i", path, "-b:a", "128k", "-f", "mp3", target + ".part"]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        os.replace(target + ".part", target)
    elif kind == "half":
        written(target, soxr.resample(samples, rate, rate // 2), rate // 2)
    elif kind == "low":
        low = dsp.between(soxr.resample(samples, rate, image.RATE), None, log_uniform(random, 6000, 14_000), 2)
        written(target, low * level, image.RATE)
    else:
        written(target, samples * (np.float32(0.5) if kind == "quiet" else level), rate)
    return target


def run(work, composers):
    """All excerpts and copies, and `listed.json`: file, piece, maker, use, and of a copy what it is a copy of."""
    listed = []
    for use, parts in (
        ("composed", [compose_all(work, composers)]),
        ("train", [cut(source, work) for source in sources.music("train")]),
        ("validate", [cut(source, work) for source in sources.music("validate")]),
    ):
        for file, piece, maker in (row for part in parts for row in part):
            listed.append({"file": file, "piece": piece, "maker": maker, "use": use, "of": None})
    for number, row in enumerate(list(listed)):
        random = np.random.default_rng((SEED, number))
        every = row["use"] != "validate"
        kinds = [str(random.choice(["gain", "half", "mp3", "low"]))] if every else COPIES if number % 7 == 0 else ()
        for kind in kinds:
            listed.append({**row, "file": copied(random, row["file"], kind), "of": number, "kind": kind})
    path = os.path.join(work, "music", "listed.json")
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(listed, file, indent=0)
    os.replace(path + ".part", path)
    log(len(listed), "excerpts of", len({row["piece"] for row in listed}), "pieces")
