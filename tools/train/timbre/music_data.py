"""Excerpts of composed pieces as pictures of their windows, to train by and to choose by.

A sound longer than one window is heard in windows of 2.88 s, one every 2 s: a cut of 30 s has 14.
The stage writes `music/composed-NNN.npz`, and `music/held-NAME.npz` by composers whom nothing was
trained on, played by soundfonts that nothing was trained on.
"""

import io
import os
import subprocess
import tempfile

import numpy as np
import soundfile
import soxr

from . import change, compose, dsp, image, sources, store
from .dsp import chance, log_uniform

SEED = 41
VERSION = 3  # raise when composing or rendering changes, so that pieces are made again
STEP = 2 * image.RATE  # samples from one window to the next
EXCERPT = 30 * image.RATE
WINDOWS = (EXCERPT - image.SAMPLES) // STEP + 1  # 14
COMPOSERS_A_FILE = 5
PIECES_A_COMPOSER = 3
EXCERPTS = ((1.0, 31.0), (48.0, 78.0))  # seconds
HELD = {"timgm": 10_000, "opl3": 20_000}  # soundfont and first composer of held-out pieces
HELD_COMPOSERS = 12
HELD_VERSION = 2


def windows(samples):
    """Pictures of the windows of a long sound: uint8 (n, 64, 128)."""
    starts = range(0, max(1, len(samples) - image.SAMPLES + 1), STEP)
    return np.array([image.stored(samples[start : start + image.SAMPLES]) for start in starts])


def rendered(piece, soundfont, folder):
    """The sound of a piece, mono float32 at 32 kHz."""
    size, level = piece.composer.room
    with tempfile.TemporaryDirectory(dir=folder) as work:
        score, raw = os.path.join(work, "piece.mid"), os.path.join(work, "piece.raw")
        with open(score, "wb") as file:
            file.write(piece.midi())
        done = subprocess.run(
            [
                "fluidsynth",
                "-ni",
                "-q",
                "-R",
                "1",
                "-C",
                "1",
                "-g",
                "0.5",
                "-r",
                str(image.RATE),
                "-o",
                "synth.dynamic-sample-loading=1",
                "-o",
                f"synth.reverb.room-size={size:.2f}",
                "-o",
                f"synth.reverb.level={level:.2f}",
                "-T",
                "raw",
                "-O",
                "s16",
                "-F",
                raw,
                soundfont,
                score,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"fluidsynth could not render a piece with {soundfont}: {done.stderr.strip()}")
        return np.fromfile(raw, "<i2").reshape(-1, 2).astype(np.float32).mean(1) / 32_768.0


def mastered(random, samples):
    """What mixing and copying do to a whole piece: tone, level, saturation, a low-pass, another speed."""
    sound = change.equalised(random, samples) if chance(random, 0.7) else samples
    sound = dsp.peak(sound)
    if chance(random, 0.3):
        sound = dsp.saturated(sound, log_uniform(random, 1, 5))
    if chance(random, 0.3):
        sound = dsp.between(sound, None, log_uniform(random, 5000, 15_000), 2)
    if chance(random, 0.2):
        sound = sound + dsp.noise(random, len(sound)) * np.float32(log_uniform(random, 1e-4, 4e-3))
    return sound.astype(np.float32)


COPIES = ("a second later", "MP3 at 128 kbit/s", "half the rate")


def copied(longer, part):
    """The copies of an excerpt under which it is to be found first. Level and channels change nothing by design."""
    later = longer[image.RATE :][:EXCERPT]
    memory = io.BytesIO()
    # libsndfile's level 0.65 of a constant rate is 128 kbit/s for mono at 44.1 kHz.
    soundfile.write(
        memory,
        soxr.resample(part, image.RATE, 44_100),
        44_100,
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=0.65,
    )
    memory.seek(0)
    lossy, rate = soundfile.read(memory, dtype="float32")
    lossy = soxr.resample(lossy, rate, image.RATE)[:EXCERPT]
    half = soxr.resample(soxr.resample(part, image.RATE, image.RATE // 2), image.RATE // 2, image.RATE)[:EXCERPT]
    return [np.pad(sound, (0, EXCERPT - len(sound))) for sound in (later, lossy, half)]


def soundfonts(work):
    return {
        source["name"]: os.path.join(sources.folder_of(source, work), source["path"])
        for source in sources.listed()
        if source["read"] == "soundfont"
    }


def compose_some(first, work, composers=COMPOSERS_A_FILE, soundfont=None):
    """Excerpts of the pieces of composers `first` and following, played by their own or by one soundfont.

    For held-out pieces, `values` are songrec's 45 values of each excerpt.
    """
    fonts = soundfonts(work)
    made = {"picture": [], "piece": [], "composer": [], "excerpt": [], "label": [], "maker": []}
    for number in range(first, first + composers):
        random = np.random.default_rng((SEED, number))
        composer = compose.Composer(random)
        for index in range(PIECES_A_COMPOSER):
            piece = compose.Piece(composer, random)
            sound = rendered(piece, fonts[soundfont or composer.soundfont], work)
            for excerpt, (begin, _) in enumerate(EXCERPTS):
                part = sound[int(begin * image.RATE) :][:EXCERPT]
                if len(part) < EXCERPT // 2 or np.abs(part).max() < 1e-3:
                    continue
                part = np.pad(part, (0, EXCERPT - len(part)))
                part = mastered(random, part) if soundfont is None else part
                made["picture"].append(windows(part))
                if soundfont:
                    from . import values45

                    made.setdefault("values", []).append(
                        values45.values(soxr.resample(part, image.RATE, values45.RATE))
                    )
                    copies = copied(sound[int(begin * image.RATE) :][: EXCERPT + image.RATE], part)
                    made.setdefault("copies", []).append(np.array([windows(copy) for copy in copies]))
                made["piece"].append(number * 100 + index)
                made["composer"].append(number)
                made["excerpt"].append(excerpt)
                made["label"].append(composer.ensemble)
                made["maker"].append(f"composer{number}")
    return {name: np.array(values) for name, values in made.items()}


def whitened(rows):
    """The 45 values of excerpts, each direction of their covariance of deviation 1."""
    rows = rows.astype(np.float64)
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
    size, directions = np.linalg.eigh(np.cov(rows.T))
    # Directions that hardly vary would be noise made as large as the rest.
    return (rows @ directions / np.sqrt(size + 0.05 * size.mean())).astype(np.float32)


def run(work, composers):
    for first in range(0, composers, COMPOSERS_A_FILE):
        path = os.path.join(work, "music", f"composed-{first // COMPOSERS_A_FILE:03}.npz")
        settings = {"version": VERSION, "seed": SEED, "first": first, "pieces": PIECES_A_COMPOSER}
        if store.is_made(path, settings) or not store.claim(path):
            continue
        store.write(path, settings, compose_some(first, work))
        store.unclaim(path)


def run_held(work):
    for name, first in HELD.items():
        path = os.path.join(work, "music", f"held-{name}.npz")
        settings = {
            "version": HELD_VERSION,
            "seed": SEED,
            "first": first,
            "composers": HELD_COMPOSERS,
            "soundfont": name,
        }
        if not store.is_made(path, settings) and store.claim(path):
            store.write(path, settings, compose_some(first, work, HELD_COMPOSERS, name))
            store.unclaim(path)
