"""What tells pieces apart: a matrix that weighs what is measured of a piece by how little it varies within one.

Within-class covariance normalisation (Hatch, Kajarekar, Stolcke 2006): excerpts of one piece, and changed copies
of them, say what varies though the piece is the same; the inverse root of that covariance makes this variation
alike in all directions. Of those the ones are kept in which pieces differ most. The measured values are those of
songrec itself (`dsp45@1`, `dsp47@2`); the spectrum is that of its pictures (`crates/models/src/timbre/piece.rs`).
"""

import concurrent.futures
import json
import os
import subprocess
import tempfile

import numpy as np
import soundfile
import soxr

from . import image, validate
from .store import log

WINDOWS_APART = image.RATE  # samples
LAGS = (1, 3, 8, 24)  # columns, 10 ms each
KEPT = 192  # values of a piece's vector
COMPOSED = 0.5  # how much composed pieces count beside those by others
SHRINK = 0.06  # towards a covariance without correlations
LEVELS = (0, 43)  # of dsp45, which a louder copy has others of
SPECTRUM_SCALE = 10.0  # brings the spectrum, 0 to 1, to the size of the standardised values
IN_PIECE = (0.7, 0.3)  # length of the network's part and of the 43 values beside a piece's vector of length 1
MODELS = ("dsp45@1", "dsp47@2")
BATCH = 100


def spectrum(samples):
    """Of each band of the fine columns of all windows: mean, deviation, and mean step over each of LAGS; (384,)."""
    starts = range(0, max(1, len(samples) - image.SAMPLES + 1), WINDOWS_APART)
    fine = np.array([image.picture(samples[start : start + image.SAMPLES])[:, : image.FINE] for start in starts])
    return spectrum_of(fine)


def spectrum_of(fine):
    """The same of pictures' fine columns, (windows, 64, 96)."""
    steps = [np.abs(fine[..., lag:] - fine[..., :-lag]).mean((0, 2)) for lag in LAGS]
    return np.concatenate([fine.mean((0, 2)), fine.std((0, 2)), *steps]).astype(np.float32)


def embedded(binary, files):
    """{file: {model: values}} as a songrec binary embeds them."""

    def batch(part):
        with tempfile.TemporaryDirectory() as home:
            words = [binary, "--no-config", "--json", "--quiet", "--threads", "1", "embed", *part]
            words += [word for model in MODELS for word in ("--model", model)]
            done = subprocess.run(words, env={**os.environ, "HOME": home}, capture_output=True, text=True, check=False)
        if not done.stdout:
            raise RuntimeError(f"{binary} could not embed: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    found = {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for lines in pool.map(batch, [files[first : first + BATCH] for first in range(0, len(files), BATCH)]):
            for line in lines:
                found.setdefault(line["file"], {})[line["model"]] = line["vector"]
    return found


def measured(file):
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return spectrum(soxr.resample(samples.mean(1), rate, image.RATE))


def measure(work, binary):
    """Writes music/measured.npz: `measures` (n, 474) of what music/listed.json lists, NaN where there are none."""
    with open(os.path.join(work, "music", "listed.json"), encoding="utf-8") as file:
        files = [row["file"] for row in json.load(file)]
    path = os.path.join(work, "music", "measured.npz")
    if os.path.exists(path) and np.array_equal(np.load(path)["files"], np.array(files)):
        return
    values = embedded(binary, files)
    rows = np.full((len(files), 45 - len(LEVELS) + 47 + (2 + len(LAGS)) * image.BANDS), np.nan, np.float32)
    keep = [at for at in range(45) if at not in LEVELS]
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for row, file, spectral in zip(rows, files, pool.map(measured, files, chunksize=16)):
            known = values.get(file, {})
            if all(model in known for model in MODELS):
                dsp45, dsp47 = (np.array(known[model], np.float32) for model in MODELS)
                row[:] = np.concatenate([dsp45[keep], dsp47, spectral])
    np.savez(path + ".part.npz", files=np.array(files), measures=rows)
    os.replace(path + ".part.npz", path)


def within(rows, pieces):
    """The covariance of rows around the mean of their piece."""
    apart = np.concatenate([rows[pieces == piece] - rows[pieces == piece].mean(0) for piece in np.unique(pieces)])
    return apart.T @ apart / (len(rows) - len(np.unique(pieces)))


def fitted(rows, pieces, is_composed):
    """Offset and weights (KEPT, 1 + measures) of a piece's vector."""
    scale = np.ones(rows.shape[1])
    scale[-(2 + len(LAGS)) * image.BANDS :] = SPECTRUM_SCALE
    rows = rows.astype(np.float64) * scale
    kinds = [rows[~is_composed], rows[is_composed]]
    inside = [within(kind, pieces[which]) for kind, which in zip(kinds, (~is_composed, is_composed))]
    mixed = (1 - COMPOSED) * inside[0] + COMPOSED * inside[1]
    mixed = (1 - SHRINK) * mixed + SHRINK * np.diag(np.diag(mixed) + 1e-6)
    size, directions = np.linalg.eigh(mixed)
    whitening = directions / np.sqrt(size)
    total = sum(0.5 * np.cov((kind @ whitening).T) for kind in kinds)
    _, between = np.linalg.eigh(total)
    weights = (whitening @ between[:, ::-1][:, :KEPT]).T
    # An eigenvector's sign is free: the first of its largest values is positive.
    weights *= np.sign(weights[np.arange(len(weights)), np.abs(weights).argmax(1)])[:, None]
    offset = -weights @ kinds[0].mean(0)
    return np.concatenate([offset[:, None], weights * scale], 1).astype("<f4")


def vectors(weights, measures):
    """Vectors of pieces, at length 1."""
    return validate.unit(measures @ weights[:, 1:].T + weights[:, 0])


def share(side, labels, barred):
    """For each row, whether the nearest that is not barred has its label."""
    similar = side @ side.T
    np.fill_diagonal(similar, -9)
    similar[barred[:, None] == barred[None]] = -9
    return labels[similar.argmax(1)] == labels


def judged(side, listed, changed=None, of=None):
    """Shares among pieces that trained nothing: same piece by eight and by three excerpts, same package, copies."""
    pieces, makers = np.array([row["piece"] for row in listed]), np.array([row["maker"] for row in listed])
    each = np.arange(len(listed))
    few = []
    for piece in np.unique(pieces):
        rows = np.flatnonzero(pieces == piece)
        few += list(rows[np.unique(np.round(np.linspace(0, len(rows) - 1, 3)).astype(int))])
    few = np.array(sorted(few))
    found = {
        "same piece, up to 8 excerpts": validate.over_groups(share(side, pieces, each), makers),
        "same piece, up to 3 excerpts": validate.over_groups(share(side[few], pieces[few], each[few]), makers[few]),
        "same package, another piece": validate.over_groups(share(side[few], makers[few], pieces[few]), makers[few]),
    }
    if changed is not None:
        right = (changed @ side.T).argmax(1) == of
        found["copies find the original"] = validate.over_groups(right, makers[of])
    return found


def run(work, out):
    """Fits the weights, and judges them by music that trained nothing; writes `out`.f32 and `out`.json."""
    with open(os.path.join(work, "music", "listed.json"), encoding="utf-8") as file:
        listed = json.load(file)
    measures = np.load(os.path.join(work, "music", "measured.npz"))["measures"]
    known = ~np.isnan(measures).any(1)
    log(int((~known).sum()), "excerpts without measures are left out")
    uses = np.array([row["use"] for row in listed])
    pieces = np.array([row["piece"] for row in listed])
    is_copy = np.array([row["of"] is not None for row in listed])
    train = known & (uses != "validate")
    weights = fitted(measures[train], pieces[train], uses[train] == "composed")
    weights.tofile(out + ".f32")
    originals = np.flatnonzero(known & (uses == "validate") & ~is_copy)
    copies = np.flatnonzero(known & (uses == "validate") & is_copy)
    place = {row: at for at, row in enumerate(originals)}
    copies = np.array([row for row in copies if listed[row]["of"] in place])
    of = np.array([place[listed[row]["of"]] for row in copies])
    shown = [listed[row] for row in originals]
    found = {
        "pieces": {
            use: len({listed[row]["piece"] for row in np.flatnonzero(known & (uses == use))}) for use in set(uses)
        },
        "weighted": judged(vectors(weights, measures[originals]), shown, vectors(weights, measures[copies]), of),
        "dsp47@2": judged(validate.unit(measures[originals][:, 43:90]), shown),
    }
    with open(out + ".json", "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    log(json.dumps(found, indent=1))
    return weights
