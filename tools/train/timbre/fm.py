"""Single notes of FM sound chips (OPL3, OPN2) with banks of General MIDI, through libADLMIDI and libOPNMIDI.

An FM chip makes every instrument of a few sine waves, as cheap sound cards and keyboards did. The
libraries emulate the chips; the stage `clips` builds them with CMake.
"""

import ctypes
import os
import subprocess

import numpy as np

from . import classes, image
from .recorded import to_clip
from .soundfont import DRUM_CHANNEL, GAP_SECONDS, KEYS, LEAD_SECONDS, QUIET, midi
from .store import Collector

PITCHED = 24  # notes of a program
VELOCITIES = (70, 110)
TUNED = (0.95, 1.0, 1.05)  # drums have few velocities that differ in sound, so they are tuned as well
# The library of a chip, how it is built, and which of its emulators plays: the fast ones, DOSBox' and MAME's.
CHIPS = {"adl": ("libADLMIDI", ("-DWITH_EMBEDDED_BANKS=OFF",), 2), "opn": ("libOPNMIDI", (), 0)}
PREFIX = {"adl": "adl", "opn": "opn2"}


def library(folder, kind):
    """Where the built library of a source lies."""
    return os.path.join(folder, "built", f"{CHIPS[kind][0]}.so")


def build(folder, kind):
    """Builds the library below `folder`/built. Needs CMake and a C++ compiler."""
    name, options, _ = CHIPS[kind]
    out = os.path.join(folder, "built")
    shared = (f"-D{name}_SHARED=ON", f"-D{name}_STATIC=OFF")
    for words in (
        ["cmake", "-S", folder, "-B", out, "-DCMAKE_BUILD_TYPE=Release", *shared, *options],
        ["cmake", "--build", out, "--parallel", "2"],
    ):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def render(path, kind, bank, notes, channel):
    """Clips of `notes` (bank, program, key, velocity, seconds): int16 (len(notes), SAMPLES), mono."""
    functions = ctypes.CDLL(path)
    call = lambda name: getattr(functions, f"{PREFIX[kind]}_{name}")
    call("init").argtypes, call("init").restype = [ctypes.c_long], ctypes.c_void_p
    for name, types in (
        ("switchEmulator", [ctypes.c_void_p, ctypes.c_int]),
        ("openBankFile", [ctypes.c_void_p, ctypes.c_char_p]),
        ("openData", [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong]),
        ("play", [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]),
        ("close", [ctypes.c_void_p]),
    ):
        call(name).argtypes = types
    call("close").restype = None
    score = midi(notes, channel)
    player = call("init")(image.RATE)
    try:
        call("switchEmulator")(player, CHIPS[kind][2])
        if call("openBankFile")(player, bank.encode()) or call("openData")(player, score, len(score)):
            raise RuntimeError(f"{path} could not play {bank}")
        wanted = int((0.5 + (len(notes) + 1) * GAP_SECONDS) * image.RATE) * 2
        sound = np.zeros(wanted, np.int16)
        first = 0
        while first < wanted:
            part = min(image.RATE, wanted - first)
            got = call("play")(player, part, sound[first:].ctypes.data)
            if got <= 0:
                break
            first += got
    finally:
        call("close")(player)
    sound = sound.reshape(-1, 2).astype(np.int32).sum(1) // 2
    starts = [int((0.5 + index * GAP_SECONDS - LEAD_SECONDS) * image.RATE) for index in range(len(notes))]
    return np.array([sound[start : start + image.SAMPLES] for start in starts], np.int16)


def drum_notes():
    for key in range(27, 88):
        label = classes.drum_label(0, key)
        for velocity in VELOCITIES if label else ():
            yield (0, 0, key, velocity, 2.0), label


def pitched_notes(random):
    for program in range(128):
        label = classes.program_label(program)
        low, high = KEYS.get(label, KEYS[None])
        for _ in range(PITCHED if label else 0):
            key, velocity = int(random.integers(low, high)), int(random.integers(50, 126))
            yield (0, program, key, velocity, float(random.choice([0.25, 0.6, 1.2, 2.4]))), label


def clips(folder, source):
    """A Collector of all drums and of notes of all programs of a bank."""
    kind, name = source["chip"], source["name"]
    bank, path = os.path.join(folder, source["path"]), library(folder, kind)
    if not os.path.exists(path):
        build(folder, kind)
    found = Collector()
    for what, notes, channel in (
        ("drum", list(drum_notes()), DRUM_CHANNEL),
        ("note", list(pitched_notes(np.random.default_rng(5))), 0),
    ):
        sounds = render(path, kind, bank, [note for note, _ in notes], channel)
        for sound, ((_, program, key, velocity, seconds), label) in zip(sounds, notes):
            if np.abs(sound.astype(np.int32)).max() <= QUIET:
                continue
            for speed in TUNED if what == "drum" else (1.0,):
                clip = to_clip(sound[:, None] / 32_768.0, int(image.RATE * speed))
                if clip is not None:
                    kit = f"{name}:{what}0-{program}"
                    source_of = f"{kit}:{key}:{velocity}:{seconds}:{speed}"
                    found.add(clip, label, name, kit, source_of, program if what == "note" else -1)
    return found
