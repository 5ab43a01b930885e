"""Kits of synthesised sounds: every kit is a maker of its own, with one room, one console and one taste.

The stage writes `pictures/synthesis-NNN.npz`, 25 kits each, of changed views; the sounds themselves
are not kept. About 8 ms of processor time a sound and 5 ms a view.
"""

import os

import numpy as np

from . import change, dsp, image, store, synth_drums, synth_pitched
from .dsp import chance, log_uniform, section

KITS_A_FILE = 25
SOUNDS = {**{label: 3 for label in synth_drums.MAKERS}, **{label: 3 for label in synth_pitched.MAKERS}}
VIEWS = 2
SEED = 20_260
VERSION = 2  # raise when the synthesis changes, so that kits are made again


class Character:
    """What the sounds of one kit have in common."""

    def __init__(self, random):
        self.nature = float(np.clip(random.uniform(-0.3, 1.3), 0, 1))
        self.tone = [
            section(
                str(random.choice(["peak", "bass", "treble"])),
                log_uniform(random, 60, 11_000),
                log_uniform(random, 0.4, 2),
                random.uniform(-9, 9),
            )
            for _ in range(2)
        ]
        self.room = dsp.room(random, log_uniform(random, 0.1, 1.2)) if chance(random, 0.2 + 0.5 * self.nature) else None
        # What microphones hear of the rest of the kit and of the room: a soft floor under every sound.
        self.floor = log_uniform(random, 3e-5, 3e-3) if chance(random, 0.6 * self.nature) else 0.0
        self.hiss = np.random.default_rng(random.integers(1 << 32))
        self.wet = random.uniform(0.05, 0.6)
        self.drive = log_uniform(random, 1, 5) if chance(random, 0.3) else None
        self.top = log_uniform(random, 4000, 15_000) if chance(random, 0.3) else None

    def colour(self, sound):
        sound = dsp.peak(dsp.filtered(sound, *self.tone))
        if self.room is not None:
            sound = np.pad(sound, (0, min(len(self.room), max(0, image.SAMPLES - len(sound)))))
            sound = sound + np.float32(self.wet) * dsp.convolved(sound, self.room)
        if self.drive:
            sound = dsp.saturated(sound, self.drive)
        if self.top:
            sound = dsp.between(sound, None, self.top)
        sound = dsp.peak(sound)
        if self.floor:
            sound = sound + np.float32(self.floor) * dsp.between(dsp.noise(self.hiss, len(sound)), None, 6000)
        return sound


def kit_sounds(number):
    """Yields (label, index, samples) of one kit."""
    random = np.random.default_rng((SEED, number))
    character = Character(random)
    for label, count in SOUNDS.items():
        for index in range(count):
            if label in synth_drums.MAKERS:
                sound = synth_drums.MAKERS[label](random, character.nature)
            else:
                sound = synth_pitched.MAKERS[label](random)
            yield label, index, character.colour(np.nan_to_num(sound))


def make(first):
    found = store.Collector()
    for number in range(first, first + KITS_A_FILE):
        random = np.random.default_rng((SEED, number, 1))
        other = np.zeros(image.SAMPLES, np.float32)
        for label, index, sound in kit_sounds(number):
            for copy in range(VIEWS):
                picture = (
                    change.view(random, sound, label, other) if copy else image.stored(sound[image.attack(sound) :])
                )
                found.add(picture, label, f"kit{number}", f"kit{number}", f"kit{number}:{label}:{index}")
            other = sound
    return found.arrays("picture")


def run(work, kits, start=0):
    """Makes what is missing. Several processes may run this at once: each takes a file nobody has begun."""
    for first in range(start, kits, KITS_A_FILE):
        path = os.path.join(work, "pictures", f"synthesis-{first // KITS_A_FILE:03}.npz")
        settings = {
            "version": VERSION,
            "seed": SEED,
            "first": first,
            "kits": KITS_A_FILE,
            "views": VIEWS,
            "sounds": SOUNDS,
        }
        if store.is_made(path, settings) or not store.claim(path):
            continue
        store.write(path, settings, make(first))
        store.unclaim(path)
