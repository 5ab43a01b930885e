"""Single notes of the General MIDI bank of Sonivox EAS, which is C source, played by a small copy of its player.

A program is a row of regions, each for a range of keys, with a sample at 22,050 Hz, a loop, an
articulation and what is added to the key's pitch. Values of envelopes are of 32,768 and change once a frame.
"""

import os
import re

import numpy as np
import scipy.signal

from . import classes, image
from .recorded import to_clip
from .soundfont import KEYS
from .store import Collector

RATE = 22_050
FRAME = 128  # samples
FULL = 32_767
LOOPED, NOISE, LAST = 1, 2, 32_768  # flags of a region
TRIANGLE_STEP = 65_536.0  # of a vibrato's phase
DRUM_CENTS = (-120, 0, 120)  # loudness changes nothing but the level, so drums are tuned instead
PITCHED = 24  # notes of a program
SURE = 130  # samples; the array is 127 values shorter than its offsets say, and this many lie where they say


class Bank:
    def __init__(self, folder):
        def text(name):
            with open(os.path.join(folder, name), encoding="latin-1") as file:
                return re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)

        def numbers(source, name, first=0):
            start = source.index("{", source.index(name, first))
            return np.array(
                [int(x, 0) for x in re.findall(r"-?0x[0-9a-fA-F]+|-?\d+", source[start : source.index("};", start)])]
            )

        samples, parts, banks = text("wt_200k_samples.c"), text("wt_22khz.c"), text("wt_200k_G.c")
        self.samples = numbers(samples, "eas_samples[").astype(np.float32) / 128.0  # those of 8 bits come first
        self.lengths, self.offsets = numbers(samples, "eas_sampleLengths["), numbers(samples, "eas_sampleOffsets[")
        self.articulations = numbers(parts, "eas_articulations[").reshape(-1, 17)
        self.regions = numbers(parts, "eas_regions[").reshape(-1, 9)
        self.programs = numbers(banks, "eas_banks[")[1:]
        self.drums = int(numbers(banks, "eas_programs[")[1])

    def region(self, first, key):
        """The region of `key` in the row that begins at `first`, or None."""
        for row in self.regions[first:]:
            if row[1] <= key <= row[2]:
                return row
            if row[0] & LAST:
                return None
        return None

    def play(self, first, key, seconds, random, cents=0):
        """Mono float32 at RATE, of the length of a clip, or None if the key is silent."""
        row = self.region(first, key)
        if row is None or row[7] >= SURE:
            return None
        flags, _, _, tuning, gain, loop_start, loop_end, wave, articulation = (int(x) for x in row)
        values = self.articulations[articulation].astype(float)
        frames = int(image.SAMPLES / image.RATE * RATE / FRAME) + 1
        loudness = envelope(values[:4], frames, seconds, np.multiply)
        second = envelope(values[4:8], frames, seconds, np.subtract)
        vibrato, delay, speed, to_pitch, to_cutoff, cutoff, _, resonance, _ = values[8:]
        at = np.maximum(0, np.arange(frames) - delay)
        swing = scipy.signal.sawtooth(2 * np.pi * (0.25 + at * speed / TRIANGLE_STEP), 0.5)
        if flags & NOISE:
            sound = random.uniform(-1, 1, frames * FRAME).astype(np.float32)
        else:
            pitch = key * 100 + cents + tuning + vibrato * swing + to_pitch * second
            place = np.cumsum(np.repeat(2.0 ** (pitch / 1200), FRAME)) - 2.0 ** (pitch[0] / 1200)
            if flags & LOOPED:
                place = np.where(place < loop_end, place, loop_start + (place - loop_start) % (loop_end - loop_start))
            last = int(self.lengths[wave]) - 1
            own = self.samples[self.offsets[wave] : self.offsets[wave] + last + 1]
            if flags & LOOPED:
                own = np.append(own[:loop_end], own[loop_start])
                last = len(own) - 1
            sound = np.interp(place, np.arange(len(own)), own) * (place <= last)
        if cutoff:
            sound = low_passed(sound, cutoff + to_cutoff * second, resonance)
        level = np.interp(np.arange(frames * FRAME) / FRAME, np.arange(frames) + 1, loudness)
        return (sound * level * (gain / FULL)).astype(np.float32)


def envelope(values, frames, seconds, falling):
    """Attack in even steps, then a fall to a level, and one from the end of the note: 0 to 1 for each frame."""
    attack, decay, sustain, release = values
    found, value, rising = np.zeros(frames), 0.0, True
    end = int(seconds * RATE / FRAME)
    for index in range(frames):
        step = release if index >= end else decay
        if index < end and rising:
            value = min(FULL, value + attack)
            rising = value < FULL
        else:
            lowest = 0.0 if index >= end else min(sustain, value)
            value = max(lowest, value * step / (FULL + 1) if falling is np.multiply else value - step)
        found[index] = value / FULL
    return found


def low_passed(sound, cents, resonance):
    """Two poles whose corner, in cents of MIDI's keys, moves from frame to frame; `resonance` in steps of 0.75 dB."""
    out, state = np.empty_like(sound), np.zeros(2)
    corners = np.clip(440.0 * 2.0 ** ((cents - 6900) / 1200), 30.0, 0.45 * RATE)
    quality = 0.71 * 10 ** (0.75 * resonance / 20)
    for index, corner in enumerate(corners):
        turn = 2 * np.pi * corner / RATE
        slope, side = np.sin(turn) / (2 * quality), 1 - np.cos(turn)
        upper = np.array([side / 2, side, side / 2]) / (1 + slope)
        lower = np.array([1 + slope, -2 * np.cos(turn), 1 - slope]) / (1 + slope)
        part = slice(index * FRAME, (index + 1) * FRAME)
        out[part], state = scipy.signal.lfilter(upper, lower, sound[part], zi=state)
    return out


def notes(bank, random):
    """Yields (kind, program, key, seconds, cents, label, first region)."""
    for key in range(27, 88):
        label = classes.drum_label(0, key)
        for cents in DRUM_CENTS if label else ():
            yield "drum", 0, key, 2.0, cents, label, bank.drums
    for program, first in enumerate(bank.programs):
        label = classes.program_label(program)
        low, high = KEYS.get(label, KEYS[None])
        for _ in range(PITCHED if label else 0):
            key, seconds = int(random.integers(low, high)), float(random.choice([0.25, 0.6, 1.2, 2.4]))
            yield "note", program, key, seconds, 0, label, int(first)


def clips(folder, name):
    """A Collector of all drums and of notes of all programs."""
    bank, random, found = Bank(folder), np.random.default_rng(4), Collector()
    for kind, program, key, seconds, cents, label, first in notes(bank, random):
        sound = bank.play(first, key, seconds, random, cents)
        if sound is None or np.abs(sound).max() < 1e-3:
            continue
        clip = to_clip(sound[:, None], RATE)
        if clip is not None:
            kit = f"{name}:{kind}0-{program}"
            source = f"{kit}:{key}:{seconds}:{cents}"
            found.add(clip, label, name, kit, source, program if kind == "note" else -1)
    return found
