"""Writes sets of sounds with what is true of them: `truth.json` beside WAV files.

`development` is what constants are fitted on, `choice` and `check` have other seeds. `test` has other seeds and
another soundfont, and nothing is chosen by it.
"""

import json
import multiprocessing
import os
import sys

import numpy as np
import soundfile

import pieces
from pieces import chance

# How many sounds of each kind.
SETS = {
    "development": {
        "seed": 7001,
        "fonts": ["fluid", "fluid", "fluid", "fluid", "fluid", "musescore"],
        "counts": {
            "piece": 384,
            "modal": 24,
            "half": 12,
            "loop": 84,
            "cut": 60,
            "hit": 48,
            "note": 48,
            "beatless": 48,
            "click": 24,
        },
    },
    # As much again, for constants that are many.
    "more": {
        "seed": 7002,
        "fonts": ["fluid"],
        "counts": {"piece": 400, "loop": 100, "cut": 40},
    },
    "many": {
        "seed": 7007,
        "fonts": ["fluid"] * 9 + ["musescore"],
        "counts": {"piece": 1000},
    },
    # Pieces whose chords do not change once in a bar, as the composer's others do.
    "harmony": {
        "seed": 7008,
        "fonts": ["fluid"] * 9 + ["musescore"],
        "counts": {"harmony": 600},
    },
    "harmony-check": {
        "seed": 7009,
        "fonts": ["fluid", "musescore"],
        "counts": {"harmony": 120},
    },
    # To choose between what was fitted on those.
    "choice": {
        "seed": 7005,
        "fonts": ["fluid", "musescore"],
        "counts": {"piece": 240},
    },
    # To see whether what was chosen is right elsewhere.
    "check": {
        "seed": 7006,
        "fonts": ["fluid", "musescore"],
        "counts": {"piece": 240},
    },
    "test": {
        "seed": 9002,
        "fonts": ["timgm"],
        "counts": {
            "piece": 192,
            "modal": 24,
            "half": 12,
            "loop": 48,
            "cut": 40,
            "hit": 40,
            "note": 40,
            "beatless": 32,
            "click": 24,
        },
    },
}


def mastered(random, sound):
    """What mixing and copying do: tone, level, saturation, noise. A copy of the composer's, without its network."""
    from timbre import change, dsp

    if chance(random, 0.6):
        sound = change.equalised(random, sound)
    sound = dsp.peak(sound)
    if chance(random, 0.3):
        sound = dsp.saturated(sound, dsp.log_uniform(random, 1, 5))
    if chance(random, 0.2):
        sound = sound + dsp.noise(random, len(sound)) * np.float32(dsp.log_uniform(random, 1e-4, 4e-3))
    sound = dsp.peak(sound) * np.float32(10 ** (random.uniform(-12, -0.5) / 20))
    return sound.astype(np.float32)


def one(kind, index, count, settings, pkg, folder):
    """Makes one sound; returns its name and what is true of it."""
    names = ["piece", "modal", "half", "loop", "cut", "hit", "note", "beatless", "click", "harmony"]
    random = np.random.default_rng((settings["seed"], names.index(kind), index))
    font = os.path.join(pkg, pieces.FONTS[str(random.choice(settings["fonts"]))])
    room = (random.uniform(0.1, 0.9), random.uniform(0.05, 0.8))
    # Spread evenly, and in another order than the keys.
    tempo = 60 + 140 * (((index * 0.618034) % 1.0) + random.uniform(0, 1) / count) / (1 + 1 / count)
    tonic, mode = index % 12, ("major", "minor")[index // 12 % 2]
    truth = {"kind": kind, "tempo": None, "key": None, "loop": None}
    if kind in ("piece", "modal", "half", "harmony"):
        style = str(random.choice(pieces.STYLES))
        drums = kind == "half" or (style != "ambient" and chance(random, 0.8))
        seconds = float(random.uniform(24, 48))
        harmony = ["held", "slow", "slow", "quick"][index % 4] if kind == "harmony" else None
        half, modal = kind == "half", kind == "modal"
        piece = pieces.Piece(random, style, tempo, tonic, mode, seconds, drums, half, modal, harmony)
        pattern = piece.pattern and ("waltz" if piece.pattern.steps == 12 else piece.pattern.kind)
        sound = pieces.rendered(piece.midi(), font, folder, room)[: int(seconds * pieces.RATE)]
        truth |= {
            "tempo": tempo,
            "key": f"{pieces.NAMES[tonic]} {mode}",
            "style": style,
            "drums": pattern,
            "swing": piece.swing,
            "drift": piece.drift,
            "cents": piece.cents,
            "harmony": piece.harmony,
        }
        sound = mastered(random, sound)
    elif kind == "loop":
        bars = int(random.choice([1, 2, 4, 4, 8]))
        loop = pieces.Loop(random, tempo, bars)
        sound = pieces.rendered(loop.midi(), font, folder, room if chance(random, 0.3) else (0.2, 0.02))
        frames = int(round(loop.seconds * pieces.RATE))
        tail = sound[frames : 2 * frames]
        sound = sound[:frames]
        if chance(random, 0.5):  # what rings on is at the beginning of the next round
            sound = sound.copy()
            sound[: len(tail)] += tail[: len(sound)]
        sound = mastered(random, sound)
        truth |= {"tempo": tempo, "loop": True, "bars": bars}
    elif kind == "cut":
        # Of a piece, one part of whole bars, and one that was cut anywhere.
        style = str(random.choice([s for s in pieces.STYLES if s != "ambient"]))
        piece = pieces.Piece(random, style, tempo, tonic, mode, 50.0, chance(random, 0.8))
        piece.drift = 0.0
        sound = mastered(random, pieces.rendered(piece.midi(), font, folder, room))
        bar = piece.steps / 4 * 60 / tempo
        whole = index % 2 == 0
        first = int(random.integers(1, 3)) * bar
        length = int(random.choice([1, 2, 4, 8] if bar < 2 else [1, 2, 4])) * bar
        if not whole:
            first += random.uniform(0.1, 0.9) * bar
            length *= random.uniform(0.6, 1.45)
            beats = length * tempo / 60
            if abs(beats - round(beats)) < 0.12:
                length += 0.3 * 60 / tempo
        sound = sound[int(round(first * pieces.RATE)) :][: int(round(length * pieces.RATE))]
        truth |= {"tempo": tempo, "key": f"{pieces.NAMES[tonic]} {mode}", "loop": whole}
    elif kind in ("hit", "note"):
        sound = pieces.rendered(pieces.single(random, float(random.uniform(0.2, 2.5)), kind == "hit"), font, folder)
        loud = np.abs(sound) > 1e-3 * max(1e-9, np.abs(sound).max())
        first, last = (int(np.argmax(loud)), len(sound) - int(np.argmax(loud[::-1]))) if loud.any() else (0, 1)
        sound = mastered(random, sound[max(0, first - int(random.integers(0, 400))) : last])
        truth |= {"loop": False}
    elif kind == "beatless":
        seconds = float(random.uniform(8, 30))
        sound = pieces.rendered(pieces.beatless(random, seconds), font, folder, room)
        sound = mastered(random, sound[: int(seconds * pieces.RATE)])
    else:
        seconds = float(random.uniform(8, 40))
        sound = np.zeros(int(seconds * pieces.RATE), np.float32)
        hz, decay = random.uniform(300, 3000), random.uniform(40, 200)
        time = np.arange(int(0.1 * pieces.RATE)) / pieces.RATE
        click = (np.sin(2 * np.pi * hz * time) * np.exp(-decay * time)).astype(np.float32)
        at = random.uniform(0, 0.3)
        while at + 0.1 < seconds:
            begin = int(at * pieces.RATE)
            sound[begin : begin + len(click)] += 0.7 * click[: len(sound) - begin]
            at += 60 / tempo
        truth |= {"tempo": tempo}
    name = f"{kind}-{index:03}.wav"
    soundfile.write(os.path.join(folder, name), np.clip(sound, -1, 1), pieces.RATE, subtype="PCM_16")
    return name, truth


def job(arguments):
    return one(*arguments)


def make(which, work, pkg, workers=2):
    """Makes the set unless it is there; returns its folder."""
    folder = os.path.join(work, which)
    done = os.path.join(folder, "truth.json")
    if os.path.exists(done):
        return folder
    os.makedirs(folder, exist_ok=True)
    settings = SETS[which]
    jobs = [
        (kind, index, count, settings, pkg, folder)
        for kind, count in settings["counts"].items()
        for index in range(count)
    ]
    truth = {}
    with multiprocessing.Pool(workers) as pool:
        for number, (name, fact) in enumerate(pool.imap_unordered(job, jobs, chunksize=4)):
            truth[name] = fact
            if number % 100 == 0:
                print(f"{which}: {number} of {len(jobs)}", file=sys.stderr)
    with open(done + ".part", "w") as file:
        json.dump(dict(sorted(truth.items())), file, indent=1)
    os.rename(done + ".part", done)
    return folder


if __name__ == "__main__":
    # material.py SET WORK PACKAGES
    print(make(*sys.argv[1:4]))
