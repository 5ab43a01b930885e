"""Clips out of folders of sound files whose names say what they are, and out of GUS patches."""

import glob
import os
import re
import struct

import numpy as np
import soundfile
import soxr

from . import classes, image
from .store import Collector, log

FULL = 30_000  # of 32,767: the peak that clips are brought to

# For each source: (class, pattern of the file's name). The
# first that fits counts; a file that none fits is not used.
SONIC_PI = [
    ("cowbell", "cowbell"),
    ("hat-closed", "cymbal_(closed|pedal)"),
    ("hat-open", "cymbal_open"),
    ("crash", "drum_(splash|cymbal)|elec_cymbal"),
    ("snare", "^drum_snare|^sn_|elec_.*snare"),
    ("kick", "^bd_|elec_.*kick|drum_(bass|heavy_kick)"),
    ("tom", "^drum_tom|elec_fuzz_tom"),
]
LMMS = [
    ("kick", "^(bassdrum|kick)"),
    ("clap", "^clap"),
    ("crash", "^crash"),
    ("hat-closed", "^hihat_(closed|foot)"),
    ("hat-open", "^hihat_opened"),
    ("ride", "^ride"),
    ("shaker", "^shaker"),
    ("sidestick", "sidestick|^(nasty_)?rim"),
    ("snare", "snare"),
    ("tom", "^tom"),
    ("woodblock", "^wood"),
]
RULES = {"sonicpi": SONIC_PI, "lmms": LMMS}
SUFFIXES = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".mp3")


def to_clip(samples, rate):
    """An int16 clip of SAMPLES at 32 kHz, from just before the attack, at a common level."""
    mono = np.asarray(samples, np.float32)
    if mono.ndim == 2:
        mono = mono.mean(1)
    peak = np.abs(mono).max(initial=0.0)
    if peak < image.SILENCE:
        return None
    start = max(0, int(np.argmax(np.abs(mono) > 0.02 * peak)) - int(0.02 * rate))
    mono = mono[start : start + int(rate * (image.SAMPLES / image.RATE + 0.1))]
    mono = soxr.resample(mono, rate, image.RATE)[: image.SAMPLES]
    clip = np.zeros(image.SAMPLES, np.int16)
    clip[: len(mono)] = np.clip(mono / np.abs(mono).max() * FULL, -32_768, 32_767)
    return clip


def label_of(path, rules):
    return next((label for label, pattern in rules if re.search(pattern, path, re.IGNORECASE)), None)


def clips(folder, name):
    """A Collector of the named files of a source."""
    found = Collector()
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*"))):
        file = os.path.basename(path)
        label = label_of(file, RULES[name])
        if not label or not path.lower().endswith(SUFFIXES):
            continue
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            log("skipped:", error)
            continue
        clip = to_clip(samples, rate)
        if clip is not None:
            found.add(clip, label, name, name, f"{name}:{file}")
    return found


def patch_samples(path):
    """(samples, rate, loop start, loop end or None) of the first sample of a GUS patch."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:12] != b"GF1PATCH110\0":
        raise ValueError(f"{path} is not a GUS patch")
    head = 129 + 63 + 47  # file header, instrument header, layer header
    size, loop_start, loop_end = struct.unpack("<III", data[head + 8 : head + 20])
    (rate,) = struct.unpack("<H", data[head + 20 : head + 22])
    mode = data[head + 55]
    raw = data[head + 96 : head + 96 + size]
    if mode & 1:
        samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.float32)
        samples -= 32_768.0 * np.sign(samples) if mode & 2 else 0.0
        loop_start, loop_end = loop_start // 2, loop_end // 2
    else:
        samples = (
            np.frombuffer(raw, np.int8).astype(np.float32)
            if not mode & 2
            else (np.frombuffer(raw, np.uint8).astype(np.float32) - 128.0)
        )
    return samples, rate, (loop_start, loop_end) if mode & 4 and loop_end - loop_start > 16 else None


def patch_clips(folder, name):
    """A Collector of a folder of GUS patches: each at three rates, a loop held for a second."""
    found = Collector()
    for path in sorted(glob.glob(os.path.join(folder, "*", "*.pat"))):
        number = int(os.path.basename(path)[:3])
        drum = os.path.basename(os.path.dirname(path)).startswith("Drum")
        label = classes.drum_label(0, number) if drum else classes.program_label(number)
        if not label:
            continue
        samples, rate, loop = patch_samples(path)
        if loop and not drum:
            start, end = loop
            times = int(np.ceil(rate / (end - start)))
            samples = np.concatenate([samples[:end]] + [samples[start:end]] * times)
            samples[-(rate // 20) :] *= np.linspace(1.0, 0.0, rate // 20)
        for shift in (1.0,) if drum else (0.75, 1.0, 1.4):
            clip = to_clip(samples, int(rate * shift))
            if clip is not None:
                kit = f"{name}:drum" if drum else f"{name}:note0-{number}"
                found.add(clip, label, name, kit, f"{kit}:{number}:{shift}", -1 if drum else number)
    return found
