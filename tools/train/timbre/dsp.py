"""Oscillators, filters, envelopes and rooms that the synthesis and the changes are made of. All float32 at 32 kHz."""

import numpy as np
import scipy.fft
from scipy.signal import sosfilt

from .image import RATE, SAMPLES

TIME = (np.arange(SAMPLES) / RATE).astype(np.float32)
TAU = np.float32(2.0 * np.pi)
# Recursive filters on exact silence run into denormal numbers, which take a
# hundred times as long.
DITHER = np.float32(1e-6)


def log_uniform(random, low, high):
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def chance(random, probability):
    return random.random() < probability


def noise(random, count):
    return random.standard_normal(count, dtype=np.float32)


def phase_of(frequency, count):
    """Phase in turns of an oscillator whose frequency in Hz is a number or one number a sample."""
    if np.ndim(frequency) == 0:
        return TIME[:count] * np.float32(frequency)
    # Summed in double precision: after a second, single precision is a tenth of a turn off.
    return (np.cumsum(frequency, dtype=np.float64) / RATE % 1.0).astype(np.float32)


def sine(frequency, count, phase=0.0):
    turns = phase_of(frequency, count)
    return np.sin(TAU * (turns - np.floor(turns)) + np.float32(phase))


def wave(random, shape, frequency, count):
    """One cycle repeated: saw, square, pulse, triangle, sine or FM."""
    turns = (phase_of(frequency, count) + np.float32(random.random())) % np.float32(1.0)
    match shape:
        case "saw":
            return 2.0 * turns - 1.0
        case "square":
            return np.where(turns < 0.5, np.float32(1.0), np.float32(-1.0))
        case "pulse":
            return np.where(turns < random.uniform(0.05, 0.45), np.float32(1.0), np.float32(-1.0))
        case "triangle":
            return 4.0 * np.abs(turns - 0.5) - 1.0
        case "fm":
            ratio = float(random.choice([0.5, 1, 1, 2, 3, 3.5, 4, 7]))
            depth = log_uniform(random, 0.3, 6) * np.exp(-TIME[:count] / log_uniform(random, 0.05, 1.5))
            return np.sin(TAU * turns + depth * np.sin(TAU * turns * np.float32(ratio)))
    return np.sin(TAU * turns)


def decay(seconds, count, attack=0.0005, hold=0.0):
    """An exponential decay after a linear attack."""
    time = TIME[:count]
    envelope = np.exp(-np.maximum(time - np.float32(attack + hold), 0.0) / np.float32(seconds))
    rise = int(attack * RATE) + 1
    envelope[:rise] *= np.linspace(0.0, 1.0, rise, dtype=np.float32)[: len(envelope)]
    return envelope


def rising(seconds, count):
    return np.minimum(TIME[:count] / np.float32(max(seconds, 1e-4)), 1.0)


def held(seconds, release, count):
    """1 until a note is let go, then an exponential release."""
    return np.exp(-np.maximum(TIME[:count] - np.float32(seconds), 0.0) / np.float32(release))


def section(kind, hz, q=0.7, gain_db=0.0):
    """One second-order section after Robert Bristow-Johnson's Audio EQ Cookbook."""
    hz = min(max(hz, 15.0), 0.47 * RATE)
    omega = 2.0 * np.pi * hz / RATE
    cos, alpha, amp = np.cos(omega), np.sin(omega) / (2.0 * q), 10.0 ** (gain_db / 40.0)
    root = 2.0 * np.sqrt(amp) * alpha
    match kind:
        case "low":
            b, a = ((1 - cos) / 2, 1 - cos, (1 - cos) / 2), (1 + alpha, -2 * cos, 1 - alpha)
        case "high":
            b, a = ((1 + cos) / 2, -1 - cos, (1 + cos) / 2), (1 + alpha, -2 * cos, 1 - alpha)
        case "band":
            b, a = (alpha, 0.0, -alpha), (1 + alpha, -2 * cos, 1 - alpha)
        case "peak":
            b, a = (1 + alpha * amp, -2 * cos, 1 - alpha * amp), (1 + alpha / amp, -2 * cos, 1 - alpha / amp)
        case "bass":
            b = (
                amp * (amp + 1 - (amp - 1) * cos + root),
                2 * amp * (amp - 1 - (amp + 1) * cos),
                amp * (amp + 1 - (amp - 1) * cos - root),
            )
            a = (amp + 1 + (amp - 1) * cos + root, -2 * (amp - 1 + (amp + 1) * cos), amp + 1 + (amp - 1) * cos - root)
        case "treble":
            b = (
                amp * (amp + 1 + (amp - 1) * cos + root),
                -2 * amp * (amp - 1 + (amp + 1) * cos),
                amp * (amp + 1 + (amp - 1) * cos - root),
            )
            a = (amp + 1 - (amp - 1) * cos + root, 2 * (amp - 1 - (amp + 1) * cos), amp + 1 - (amp - 1) * cos - root)
        case _:
            raise ValueError(f"no filter is called `{kind}`")
    return [value / a[0] for value in (*b, *a)]


def filtered(samples, *sections):
    return sosfilt(np.array(sections, np.float32), samples + DITHER * 0.5).astype(np.float32)


def between(samples, low=None, high=None, steep=1):
    """What lies between two frequencies; `steep` times 12 dB an octave."""
    sections = []
    if low:
        sections += [section("high", low)] * steep
    if high and high < 0.46 * RATE:
        sections += [section("low", high)] * steep
    return filtered(samples, *sections) if sections else samples


def modes(random, hz, seconds, amplitudes, count):
    """Sines that each die away at their own speed: bars, membranes, plates."""
    total = np.zeros(count, np.float32)
    for frequency, time, amplitude in zip(hz, seconds, amplitudes):
        if frequency < 15_500:
            # Past seven time constants a mode is 60 dB down.
            length = min(count, int(7 * time * RATE) + 64)
            total[:length] += (
                np.float32(amplitude)
                * sine(frequency, length, random.uniform(0, 6.28))
                * np.exp(-TIME[:length] / np.float32(time))
            )
    return total


def level(samples):
    """The sound at the same loudness in its first quarter of a second."""
    return samples / (np.sqrt(np.mean(samples[:8000] ** 2)) + 1e-9)


def mix(count, *parts):
    """Parts (gain, samples) brought to one loudness and added."""
    total = np.zeros(count, np.float32)
    for gain, samples in parts:
        total[: len(samples)] += np.float32(gain) * level(samples)
    return total


def peak(samples):
    return samples / (np.abs(samples).max(initial=0.0) + 1e-9)


def saturated(samples, drive, bias=0.0):
    out = np.tanh(np.float32(drive) * peak(samples) + np.float32(bias))
    return out - np.float32(np.tanh(bias))


def room(random, seconds, count=None):
    """The answer of a room: noise that dies away, faster where it is high, after a few early echoes."""
    count = count or int(min(seconds, 1.2) * RATE)
    time = TIME[:count]
    low = between(noise(random, count), None, log_uniform(random, 1500, 9000))
    answer = low * np.exp(-np.float32(6.9) * time / np.float32(seconds))
    answer[: int(random.uniform(0, 0.012) * RATE)] *= 0.05
    for _ in range(int(random.integers(0, 6))):
        answer[int(random.uniform(0.001, 0.04) * RATE)] += random.uniform(-1, 1) * np.abs(answer).max()
    return answer / np.sqrt(np.sum(answer**2) + 1e-12)


def convolved(samples, answer):
    size = scipy.fft.next_fast_len(len(samples) + len(answer), real=True)
    spectrum = scipy.fft.rfft(samples, size) * scipy.fft.rfft(answer, size)
    return scipy.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def karplus(random, frequency, count, brightness, sustain, pick):
    """A plucked string after Karplus and Strong, computed as a comb of decaying harmonics.

    The delay line of the original is a loop over samples; the sum of its modes is the same sound.
    """
    harmonics = int(min(60, 14_000 // frequency))
    number = np.arange(1, harmonics + 1)
    stretch = log_uniform(random, 1e-6, 4e-4)
    hz = frequency * number * np.sqrt(1.0 + stretch * number**2)
    seconds = sustain / (1.0 + (number * (1.0 - brightness)) ** 1.3 * 0.35)
    amplitudes = np.abs(np.sin(np.pi * number * pick)) / number ** (1.7 - brightness) + 1e-4
    keep = amplitudes > amplitudes.max() * 0.003
    return modes(random, hz[keep][:40], seconds[keep][:40], amplitudes[keep][:40], count)
