"""Changes of a sound under which it stays the instrument that it is, in the wave.

What recording, mixing, tuning and copying do: speed, equaliser, saturation, compression, a room,
another sound underneath, noise, fewer bits, a low-pass as of lossy files and low rates, and an end.
"""

import numpy as np

from . import dsp, image
from .dsp import chance, log_uniform, section

# A cymbal that is cut this short has become a closed hat, so these stay longer.
LONG = ("hat-open", "crash", "ride")
SHORTEST_LONG, SHORTEST = 0.4, 0.08  # seconds


def trimmed(samples):
    """The sound without what is 70 dB under its peak at its end."""
    loud = np.flatnonzero(np.abs(samples[::32]) > 3e-4 * np.abs(samples).max(initial=1e-9))
    return samples[: int(loud[-1]) * 32 + 64] if len(loud) else samples[:64]


def equalised(random, samples):
    sections = []
    for _ in range(int(random.integers(1, 4))):
        kind = str(random.choice(["peak", "bass", "treble"]))
        sections.append(
            section(kind, log_uniform(random, 50, 12_000), log_uniform(random, 0.4, 4), random.uniform(-14, 14))
        )
    return dsp.filtered(samples, *sections)


def changed(random, samples, label, other):
    """A changed copy. `other` is any other sound, which may be heard softly underneath."""
    sound = trimmed(samples.astype(np.float32))
    if chance(random, 0.75):
        # The whole spectrum moves with the speed: a larger drum, another key.
        speed = np.exp(random.uniform(-0.3, 0.3))
        sound = np.interp(np.arange(0, len(sound) - 1, speed), np.arange(len(sound)), sound).astype(np.float32)
    sound = sound[: image.SAMPLES]
    if len(sound) < 800:
        sound = np.pad(sound, (0, 800 - len(sound)))
    if chance(random, 0.1):
        under = dsp.peak(other[: len(sound)]) * random.uniform(0.03, 0.4)
        sound = dsp.peak(sound)
        sound[: len(under)] += under
    if chance(random, 0.8):
        sound = equalised(random, sound)
    sound = dsp.peak(sound)
    if chance(random, 0.2):
        loud = dsp.filtered(np.abs(sound), section("low", log_uniform(random, 8, 60))).clip(1e-3)
        sound = sound * loud ** -np.float32(random.uniform(0.1, 0.6))
    if chance(random, 0.3):
        sound = dsp.saturated(sound, log_uniform(random, 1, 12), random.uniform(-0.2, 0.2))
    if chance(random, 0.3):
        answer = dsp.room(random, log_uniform(random, 0.08, 1.3))
        sound = np.pad(sound, (0, min(len(answer), max(0, image.SAMPLES - len(sound)))))
        wet = dsp.convolved(dsp.peak(sound), answer)
        sound = dsp.peak(sound) + np.float32(random.uniform(0.05, 0.8)) * wet
    if chance(random, 0.25):
        fall = log_uniform(random, 0.3 if label in LONG else 0.12, 2)
        sound = sound * np.exp(-dsp.TIME[: len(sound)] / np.float32(fall))
    if chance(random, 0.2):
        seconds = log_uniform(random, SHORTEST_LONG if label in LONG else SHORTEST, 1.5)
        last = int(seconds * image.RATE)
        sound = sound[:last] * dsp.held(seconds - 0.02, 0.005, len(sound[:last]))
    if chance(random, 0.25):
        sound = dsp.between(sound, None, log_uniform(random, 5000, 15_500), 2)
    if chance(random, 0.1):
        steps = 2.0 ** random.uniform(5, 9)
        sound = np.round(dsp.peak(sound) * steps) / steps
    return dsp.peak(sound).astype(np.float32)


def view(random, samples, label, other):
    """The picture of a changed copy, with the little that attack detection may be off: uint8 (64, 128)."""
    sound = changed(random, samples, label, other)
    if chance(random, 0.3):
        floor = dsp.noise(random, min(image.SAMPLES, len(sound) + int(random.uniform(0, 64_000))))
        floor *= np.float32(log_uniform(random, 1e-4, 1e-2))
        floor[: len(sound)] += sound[: len(floor)]
        sound = floor
    start = image.attack(sound)
    shift = int(random.integers(-160, 320)) if chance(random, 0.5) else 0
    # Never so late that a click would be gone.
    return image.stored(sound[max(0, start + min(shift, len(trimmed(sound)) // 20)) :])
