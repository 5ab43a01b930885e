"""The picture of a sound that the network sees: 64 mel bands over 128 columns of time.

Part of the model: a change here changes every vector, so it needs a new revision.
`export.py` writes a picture that the Rust front end is tested against.

* Input: mono samples at 32 kHz, starting at the attack; 92,160 of them (2.88 s), padded with zeros.
* Spectrum: power of 288 frames of 1,024 samples, 320 (10 ms) apart, periodic Hann window;
  frame k covers samples 320 k - 512 to 320 k + 511, and there is silence before the first sample.
* Time: 96 columns of one frame each, then 32 columns that are each the mean power of 6 frames.
  The first second is where one hit differs from another; the next two say how long it rings.
* Frequency: 64 triangles, evenly spaced on HTK's mel scale from 30 to 15,800 Hz.
* Level: decibels under the loudest cell, -80 and less is 0, the loudest is 1. So a gain changes nothing.
"""

import numpy as np
import scipy.fft

RATE = 32_000  # Hz
FRAME = 1_024  # samples
HOP = 320  # samples, 10 ms
BANDS = 64
FINE = 96  # columns of one frame
COARSE = 32  # columns of COARSE_FRAMES frames
COARSE_FRAMES = 6
COLUMNS = FINE + COARSE
FRAMES = FINE + COARSE * COARSE_FRAMES
SAMPLES = FRAMES * HOP  # 92,160 samples, 2.88 s
RANGE_DB = 80.0
LOWEST_HZ, HIGHEST_HZ = 30.0, 15_800.0

ATTACK_LEVEL = 0.05  # of the largest absolute sample
ATTACK_LEAD = 160  # samples kept before the attack, 5 ms
SILENCE = 1e-5  # largest absolute sample of what counts as silence, -100 dBFS

WINDOW = np.hanning(FRAME + 1)[:-1].astype(np.float32)


def mel_bank():
    """Weights of shape (513, 64): power of the bins to power of the bands."""
    mel = lambda hz: 2595.0 * np.log10(1.0 + hz / 700.0)
    points = np.linspace(mel(LOWEST_HZ), mel(HIGHEST_HZ), BANDS + 2)
    edges = 700.0 * (10.0 ** (points / 2595.0) - 1.0)
    bins = np.arange(FRAME // 2 + 1) * (RATE / FRAME)
    bank = np.zeros((BANDS, len(bins)))
    for band, (low, mid, high) in enumerate(zip(edges, edges[1:], edges[2:])):
        rise, fall = (bins - low) / (mid - low), (high - bins) / (high - mid)
        bank[band] = np.clip(np.minimum(rise, fall), 0.0, None)
        # The lowest triangles are narrower than the bins are apart: such a
        # band takes the nearest bin whole rather than next to nothing.
        if bank[band].sum() < 0.5:
            bank[band, np.argmin(np.abs(bins - mid))] += 1.0
    bank /= np.sqrt(bank.sum(1, keepdims=True))
    return np.ascontiguousarray(bank.T.astype(np.float32))


BANK = mel_bank()


def attack(samples):
    """The sample at which the sound is taken to start: 5 ms before it first gets to 5 % of its peak."""
    level = np.abs(samples)
    peak = level.max(initial=0.0)
    if peak < SILENCE:
        return 0
    return max(0, int(np.argmax(level > ATTACK_LEVEL * peak)) - ATTACK_LEAD)


def picture(samples):
    """The picture of a sound that starts at its attack: float32 (64, 128) from 0 to 1."""
    samples = np.asarray(samples[: SAMPLES + FRAME // 2], np.float32)
    peak = np.abs(samples).max(initial=0.0)
    if peak < SILENCE:
        return np.zeros((BANDS, COLUMNS), np.float32)
    length = FRAME + HOP * (FRAMES - 1)
    padded = np.zeros(length, np.float32)
    count = min(len(samples), length - FRAME // 2)
    padded[FRAME // 2 : FRAME // 2 + count] = samples[:count] / peak
    frames = np.lib.stride_tricks.as_strided(padded, (FRAMES, FRAME), (padded.strides[0] * HOP, padded.strides[0]))
    spectrum = scipy.fft.rfft(frames * WINDOW, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    coarse = power[FINE:].reshape(COARSE, COARSE_FRAMES, -1).mean(1)
    bands = np.concatenate([power[:FINE], coarse]) @ BANK
    decibels = 10.0 * np.log10(bands + 1e-10)
    decibels -= decibels.max()
    return np.clip(decibels.T / RANGE_DB + 1.0, 0.0, 1.0)


def stored(samples):
    """The picture as it is kept on disk for training: uint8 (64, 128)."""
    return np.round(picture(samples) * 255.0).astype(np.uint8)
