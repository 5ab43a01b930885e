"""What songrec's tempo and key are estimated from: `pulse.rs`, `tempo.rs`, `chroma.rs`, `clear.rs`, `key.rs` in numpy.

The Rust code is what counts; this is the same arithmetic, so that constants can be fitted without it.
Samples are resampled by another resampler, so values agree to a few thousandths.
"""

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
import soundfile
import soxr

RATE, FRAME, HOP, MELS = 22_050, 2048, 512, 128
FRAME_RATE = RATE / HOP

# Of `pulse.rs`.
SPAN_DB = 60.0
EDGES = [0, 6, 16, 40, 70, 100, 128]
CHANNELS = len(EDGES)
PAIRS = [(0, 2), (0, 3), (0, 5), (3, 5)]
LAGS = 1024
AROUND = 20
REACH = 16

# Of `tempo.rs`.
MULTIPLES = [1 / 8, 1 / 6, 1 / 4, 1 / 3, 3 / 8, 1 / 2, 5 / 8, 2 / 3, 3 / 4, 1, 5 / 4]
MULTIPLES += [4 / 3, 3 / 2, 5 / 3, 7 / 4, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 12, 16]
SHIFTS = [-4, -3, -2, -1.5, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 1.5, 2, 3, 4]
STEPS = 80  # of tempo in an octave
LOWEST, HIGHEST = 57.0, 210.0
MOST = 14  # candidates

# Of `key.rs`, `clear.rs` and `cqt.rs`.
OCTAVES, BINS_PER_OCTAVE = 7, 36
REGISTERS = [[0, 1], [2, 3], [4, 5, 6]]
SOFT = 0.5
C1_HZ = 32.703195662574829


def hz_to_mel(hz):
    return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) * 27 / np.log(6.4)


def mel_to_hz(mel):
    return mel * 200 / 3 if mel < 15 else 1000 * np.exp((mel - 15) * np.log(6.4) / 27)


def mel_bands():
    top = hz_to_mel(RATE / 2)
    edges = [mel_to_hz(top * m / (MELS + 1)) for m in range(MELS + 2)]
    hz = np.arange(FRAME // 2 + 1) * RATE / FRAME
    rows = []
    for low, centre, high in zip(edges, edges[1:], edges[2:]):
        triangle = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
        rows.append(np.maximum(0, triangle) * 2 / (high - low))
    return np.array(rows, np.float32)


BANDS = mel_bands()
HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)


def read(path):
    sound, rate = soundfile.read(path, dtype="float32")
    if sound.ndim > 1:
        sound = sound.mean(1)
    return (soxr.resample(sound, rate, RATE) if rate != RATE else sound).astype(np.float32)


def powers(sound):
    frames = 1 + len(sound) // HOP
    padded = np.pad(sound, (FRAME // 2, FRAME // 2 + HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:frames]
    parts = np.array_split(windows, frames // 512 + 1)
    return np.concatenate([np.abs(scipy.fft.rfft(part * HANN)) ** 2 for part in parts])


def peaks(spectrum):
    """Hz and strength of the spectral peaks above a tenth of each frame's largest value."""
    low, high = int(np.ceil(150 / (RATE / FRAME))), int(np.ceil(4000 / (RATE / FRAME)))
    before, here, after = (spectrum[:, low + d : high + d] for d in (-1, 0, 1))
    at = (here > 0.1 * spectrum.max(1, keepdims=True)) & (here > before) & (here >= after)
    bins = low + np.nonzero(at)[1]
    before, here, after = before[at], here[at], after[at]
    curve, slope = after + before - 2 * here, (after - before) / 2
    shift = np.where(np.abs(slope) >= np.abs(curve), 0, -slope / np.where(curve == 0, 1, curve))
    return (bins + shift) * RATE / FRAME, here + 0.5 * slope * shift


def tuning(spectrum, steps):
    """The fullest hundredth of an interval, of `steps` an octave, as an offset from -0.5 to 0.5."""
    hz, strength = peaks(spectrum)
    if not len(hz):
        return 50
    residual = steps * np.log2(hz[strength >= np.median(strength)] / 27.5) % 1.0
    residual = np.where(residual >= 0.5, residual - 1, residual)
    return int(np.argmax(np.bincount(np.minimum(((residual + 0.5) * 100).astype(int), 99), minlength=100)))


def filters(step):
    """The constant-Q filters of an octave at half the rate, as spectra of 512 samples."""
    lowest = C1_HZ * 2 ** ((step / 100 - 0.5) / BINS_PER_OCTAVE)
    ratio = 2 ** (2 / BINS_PER_OCTAVE)
    quality = (ratio + 1) / (ratio - 1)
    spectra = []
    for bin in range(BINS_PER_OCTAVE):
        hz = lowest * 2 ** (OCTAVES - 1 + bin / BINS_PER_OCTAVE)
        length = quality * RATE / hz
        before = int(np.ceil(length / 2))
        count = before + int(np.floor(length / 2))
        n = np.arange(count)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * n / count)
        tone = np.zeros(1024, complex)
        start = (1024 - count) // 2
        tone[start : start + count] = window * np.exp(2j * np.pi * hz / RATE * (n - before))
        spectra.append(np.fft.fft(tone)[:257] * 2 / window.sum() * length / 1024 / np.sqrt(length))
    return np.array(spectra, np.complex64)


def chroma_filter(step):
    """What every frequency bin adds to every pitch class, from C: bins x 12. See `chroma.rs`."""
    pitch = 12 * np.log2(np.maximum(np.arange(FRAME), 1) * RATE / FRAME / (27.5 * 2 ** ((step - 50) / 1200)))
    pitch[0] = pitch[1] - 18
    bins = FRAME // 2 + 1
    width = np.maximum(pitch[1 : bins + 1] - pitch[:bins], 1)[:, None]
    distance = (pitch[:bins, None] - np.arange(12) + 6 + 120) % 12 - 6
    weights = np.exp(-0.5 * (2 * distance / width) ** 2)
    weights /= np.sqrt((weights**2).sum(1, keepdims=True))
    weights *= np.exp(-0.5 * ((pitch[:bins] / 12 - 5) / 2) ** 2)[:, None]
    return np.roll(weights, -3, axis=1).astype(np.float32)


def chroma(spectrum):
    """The pitch classes of each frame, the strongest of which is 1: frames x 12."""
    classes = spectrum @ chroma_filter(tuning(spectrum, 12.0))
    top = classes.max(1, keepdims=True)
    return np.where(top >= np.finfo(np.float32).tiny, classes / np.maximum(top, 1e-38), classes)


HALF_BAND = scipy.signal.firwin(47, 0.5, window=("kaiser", 8.5)).astype(np.float32)


def halved(sound):
    return np.convolve(sound, HALF_BAND, "same")[::2].astype(np.float32)


def pitches(sound, spectrum):
    """How strong each pitch class is in each octave, from C1: octaves x 12. See `Pitches` in `cqt.rs`."""
    energies = np.sqrt(np.add.reduceat(sound**2, np.arange(0, len(sound), HOP)) / HOP)
    loud = SOFT * np.sort(energies)[int(0.95 * (len(energies) - 1))] + 1e-7
    magnitudes = np.sqrt(spectrum)
    fine = tuning(magnitudes, 36.0)
    shift = int(np.clip(np.round((tuning(spectrum, 12.0) / 100 - 0.5) * 3 - (fine / 100 - 0.5)), -1, 1))
    classes = (np.arange(BINS_PER_OCTAVE) + 1 - shift) // 3 % 12
    kernels = filters(fine).T
    frames = 1 + len(sound) // HOP
    half, hop = halved(sound), HOP // 2
    found = np.zeros((OCTAVES, 12))
    for index, step in enumerate([1, 1, 1, 1, 1, 2, 4]):
        padded = np.pad(half, (256, 256 + 2 * HOP))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 512)
        at = np.minimum(np.minimum(np.arange(0, frames + step - 1, step), frames - 1) * hop, len(windows) - 1)
        octave = np.abs(scipy.fft.rfft(windows[at]) @ kernels) * 2 ** (index / 2)
        # Noise and drums are in all bins, tones stand out.
        clear = np.maximum(0, octave - scipy.ndimage.uniform_filter1d(octave, 9, axis=1, mode="nearest"))
        folded = np.stack([clear[:, classes == c].sum(1) for c in range(12)], 1)
        found[OCTAVES - 1 - index] = np.log1p(folded / loud).mean(0)
        half, hop = halved(half), hop // 2
    return found


def pulse(log_mel):
    """Rises of loudness in groups of bands, and in all of them: channels x frames."""
    level = np.maximum(log_mel, log_mel.max() - SPAN_DB)
    rise = np.zeros_like(level)
    rise[2:] = np.maximum(0, level[2:] - level[:-2])
    groups = [rise[:, low:high].mean(1) for low, high in zip(EDGES, EDGES[1:])] + [rise.mean(1)]
    flux = np.stack(groups)
    return above_mean(flux), float(flux[-1].mean())


def above_mean(values):
    """By how much values stand above the mean around them."""
    summed = lambda values: scipy.ndimage.convolve1d(values, np.ones(2 * AROUND + 1), axis=-1, mode="constant")
    return np.maximum(0, values - summed(values) / summed(np.ones(values.shape[-1])))


def harmony(classes):
    """How much the pitch classes of the next `REACH` frames differ from those of the last: frames."""
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(classes, 0, dtype=float)])
    at = np.arange(len(classes))
    first, last = np.maximum(at - REACH, 0), np.minimum(at + REACH, len(classes))
    before = (sums[at] - sums[first]) / np.maximum(at - first, 1)[:, None]
    after = (sums[last] - sums[at]) / (last - at)[:, None]
    change = np.abs(after - before).mean(1)
    change[0] = 0
    return above_mean(change)


def correlations(strength, classes):
    """For each channel, the harmony and the pitch classes the autocorrelation; for each pair the correlation at lags
    and at negative lags."""
    strength = np.concatenate([strength, harmony(classes)[None]])
    frames = strength.shape[1]
    size = 1 << int(np.ceil(np.log2(frames + LAGS)))
    centred = strength - strength.mean(1, keepdims=True)
    spectra = np.fft.rfft(centred, size)
    energy = np.sqrt((centred**2).sum(1))
    usable = min(LAGS, int(frames * 0.75))
    overlap = np.maximum(frames - np.arange(LAGS), 1) / frames

    def shares(side, energy):
        side = side / overlap
        side[usable:] = 0
        return np.convolve(side, [0.25, 0.5, 0.25], "same") / max(energy, 1e-9)

    def lags(left, right):
        cyclic = np.fft.irfft(np.conj(spectra[left]) * spectra[right], size)
        sides = (cyclic[:LAGS], np.concatenate([cyclic[:1], cyclic[-1:-LAGS:-1]]))
        return [shares(side, energy[left] * energy[right]) for side in sides]

    pitched = classes - classes.mean(0)
    alike = np.fft.irfft((np.abs(np.fft.rfft(pitched, size, axis=0)) ** 2).sum(1), size)[:LAGS]
    own = [lags(channel, channel)[0] for channel in range(len(strength))]
    own.append(shares(alike, float((pitched**2).sum())))
    return np.stack(own), [lags(*pair) for pair in PAIRS], usable


def between(values, lag):
    """Values between lags, on a line; beyond the last there is nothing."""
    lag = np.asarray(lag, float)
    within = lag <= LAGS - 2
    lag = np.where(within, lag, 0)
    at = lag.astype(int)
    return np.where(within, values[..., at] * (1 - (lag - at)) + values[..., at + 1] * (lag - at), 0)


def candidates(own, pairs, usable, low=LOWEST, high=HIGHEST, most=MOST):
    """Tempi whose multiples have onsets, and what is seen at each: (bpm, comb, values)."""
    grid = low * 2 ** (np.arange(int(np.log2(high / low) * STEPS) + 1) / STEPS)
    period = 60 * FRAME_RATE / grid
    total = own[CHANNELS - 1] + own[: CHANNELS - 1].mean(0)
    votes, reached = np.zeros(len(grid)), np.zeros(len(grid))
    for multiple in (1, 2, 3, 4):
        within = period * multiple < usable - 2
        votes += np.where(within, between(total, period * multiple), 0)
        reached += within
    comb = votes / np.maximum(reached, 1)
    tops = [i for i in range(1, len(comb) - 1) if comb[i - 1] < comb[i] >= comb[i + 1]]
    tops = sorted(tops, key=lambda i: -comb[i])[:most]
    found = []
    for top in tops:
        seen = [comb[top : top + 1], between(own, np.array(MULTIPLES) * period[top]).ravel()]
        for ahead, behind in pairs:
            seen.append([between(ahead if s >= 0 else behind, abs(s) * period[top]) for s in SHIFTS])
        found.append((grid[top], comb[top], np.concatenate(seen).astype(np.float32)))
    return found


def tempo_values(bpm):
    octaves = np.log2(np.asarray(bpm) / 110)
    return np.stack([octaves, octaves**2, np.maximum(0, octaves - 0.4), np.maximum(0, -octaves - 0.4)], 1)


def registers(pitch):
    """Pitch classes of bass, middle and treble, of length 3 together; and how far they stand out."""
    parts = np.array([pitch[rows].sum(0) for rows in REGISTERS])
    level = np.sqrt((parts**2).sum())
    parts = parts - parts.mean(1, keepdims=True)
    length = np.sqrt((parts**2).sum())
    return parts / max(length, 1e-9) * 3, float(length / max(level, 1e-9)), float(level)


def trimmed(sound):
    """Without ends that are 20 dB below the loudest frame."""
    energies = np.add.reduceat(sound**2, np.arange(0, len(sound), HOP))
    around = scipy.ndimage.convolve1d(energies, np.ones(4), mode="constant")
    loud = np.nonzero(around > 0.01 * around.max())[0]
    return sound[loud[0] * HOP : (loud[-1] + 1) * HOP] if len(loud) else sound


def described(path):
    """All that the fit needs of a file."""
    sound = read(path)
    spectrum = powers(sound)
    strength, flux = pulse(10 * np.log10(np.maximum(spectrum @ BANDS.T, 1e-10)))
    own, pairs, usable = correlations(strength, chroma(spectrum))
    return {
        "seconds": len(sound) / RATE,
        "flux": flux,
        # Wider than in use, so that the fit may move a piece to other tempi.
        "wide": candidates(own, pairs, usable, 27, 440, 24),
        "narrow": candidates(own, pairs, usable),
        "pitch": pitches(trimmed(sound), spectrum),
    }
