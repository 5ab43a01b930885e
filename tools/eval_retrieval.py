#!/usr/bin/env python3
"""Judges how songrec hears, beside librosa and bliss-audio, on sounds that nothing was fitted on.

    python3 -m venv target/tools/eval
    target/tools/eval/bin/pip install numpy scipy soundfile soxr librosa==0.11.0 onnxruntime
    target/tools/eval/bin/python tools/eval_retrieval.py --songrec target/dist/songrec [WORK]

Needs `apt-get` (Debian 12; packages are unpacked below WORK, nothing is installed), and `ffmpeg` and
`fluidsynth` on the path. WORK is target/tools/eval-work unless said; it grows to 3 GB. What is there is
not made again, and vectors of the same binary are not computed again. `--only drums,music` does a part,
`--json FILE` keeps the figures.

The sounds are Debian's drum kits (`hydrogen-drumkits`), game music (`wesnoth-1.16-music`, `supertux-data`) and
soundfonts that trained nothing. They are for judging only: what is chosen in songrec is chosen by the
makers that tools/train/timbre/sources.toml names for validation. Two exceptions: the soundfonts here are those
makers, because there are no others; and the scalers of `dsp45@1` and `dsp47@2`, which are parts of `timbre@7`, were
fitted on means and deviations: the first on those of the same kits and games (tools/fit_dsp45_scaler.py), without their
labels, the second on none of them (tools/fit_dsp47_scaler.py).

A figure is a share of the sounds; its interval comes from drawing kits, pieces, composers or fonts again.
"""

import argparse
import json
import os
import subprocess
import sys

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[threads] = "1"

import numpy as np  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tools", "eval"))

import sounds  # noqa: E402
import vectors  # noqa: E402

TIMBRE = vectors.TIMBRE
MODELS = (TIMBRE, "dsp45@1", "dsp47@2", "dsp47@1")
DRAWS, SEED = 2000, 3
BINS = 10
# What songrec calls the nine classes.
WORDS = {
    "hat": ("hat", "open_hat"),
    "crash": ("cymbal",),
    "ride": ("cymbal",),
    "cowbell": ("percussion",),
    "tambourine": ("percussion",),
}


def unit(rows):
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12)


def interval(right, groups, figure=None):
    """(share, low, high) of the sounds, 95 %, with the groups drawn again."""
    figure = figure or (lambda rows: right[rows].mean())
    rows = [np.flatnonzero(groups == group) for group in sorted(set(groups))]
    random = np.random.default_rng(SEED)
    drawn = [figure(np.concatenate([rows[i] for i in random.integers(0, len(rows), len(rows))])) for _ in range(DRAWS)]
    return (float(figure(np.arange(len(right)))), *(float(x) for x in np.quantile(drawn, [0.025, 0.975])))


def likeness(kind, rows, queries=None):
    """How alike each query is to each sound, as each kind of vector is compared. Without a vector: to none."""
    if kind.startswith("librosa"):
        mean, spread = rows.mean(0), rows.std(0) + 1e-9
        rows = (rows - mean) / spread
        queries = rows if queries is None else (queries - mean) / spread
    queries = rows if queries is None else queries
    if kind == "bliss":
        found = -((queries[:, None] - rows[None]) ** 2).sum(2)
    else:
        found = unit(queries) @ unit(rows).T
    return np.nan_to_num(found, nan=-1e9)


def nearest(kind, rows, labels, barred, searched=None):
    """For each sound, whether the nearest that is not of its `barred` has its label; and whether there is one."""
    found = likeness(kind, rows)
    allowed = barred[:, None] != barred[None]
    if searched is not None:
        allowed &= searched[None]
    same = labels[:, None] == labels[None]
    found[~allowed] = -2e9
    heard = ~np.isnan(rows).any(1)
    chance = (same & allowed).sum(1) / np.maximum(1, allowed.sum(1))
    return same[np.arange(len(rows)), found.argmax(1)] & heard, (same & allowed).any(1), chance


def all_vectors(options, name, listed, peers=True):
    """{kind: rows} of a set."""
    files = [sound.file for sound in listed]
    found = vectors.songrec(options.songrec, options.models, options.work, name, files)
    if options.peers and peers:
        found["librosa"] = vectors.librosa(options.work, name, files)
        if options.bliss:
            found["bliss"] = vectors.bliss(options.bliss, options.work, name, files)
    return found


def column(listed, field):
    return np.array([getattr(sound, field) for sound in listed])


class Table:
    """Figures by row and column, printed as Markdown."""

    def __init__(self):
        self.rows = {}

    def add(self, row, kind, figure):
        self.rows.setdefault(row, {})[kind] = figure
        print(f"{row} | {kind} | {text(figure)}", file=sys.stderr, flush=True)

    def print(self):
        kinds = list(dict.fromkeys(kind for row in self.rows.values() for kind in row))
        print("| | " + " | ".join(kinds) + " |\n| --- |" + " --- |" * len(kinds))
        for row, figures in self.rows.items():
            print(f"| {row} | " + " | ".join(text(figures.get(kind)) for kind in kinds) + " |")


def text(figure):
    if figure is None:
        return ""
    if isinstance(figure, (int, float)):
        return f"{figure:.3g}"
    return f"{figure[0]:.2f} ({figure[1]:.2f} to {figure[2]:.2f})"


def judge_drums(options, table):
    listed = sounds.drums(options.work)
    labels, kits, makers = (column(listed, field) for field in ("label", "group", "maker"))
    print(f"{len(listed)} drums of {len(set(kits))} kits by {len(set(makers))} makers:", file=sys.stderr)
    print({label: int((labels == label).sum()) for label, _ in sounds.NINE}, file=sys.stderr)
    found = all_vectors(options, "drums", listed)
    for row, barred in (("same drum, another kit", kits), ("same drum, another maker", makers)):
        for kind, rows in found.items():
            right, can, chance = nearest(kind, rows, labels, barred)
            table.add(row, kind, interval(right[can], kits[can]))
        table.add(row, "chance", float(chance[can].mean()))
    judge_copies(options, table, "drums", listed, found, kits, sounds.copies(options.work, "drums", listed))


def judge_copies(options, table, name, listed, found, groups, made, peers=True):
    """Whether a copy finds its original, or a file that is the same recording at another level, as its nearest."""
    same = sounds.same_recording([sound.file for sound in listed])
    print(f"{name}: {(same.sum(1) > 1).sum()} of {len(listed)} are the same recording as another", file=sys.stderr)
    for number, (what, copies) in enumerate(made.items()):
        changed = all_vectors(options, f"{name}-copy{number}", copies, peers)
        for kind in changed:
            rows = found[kind]
            nearest_one = likeness(kind, rows, changed[kind]).argmax(1)
            heard = ~(np.isnan(rows).any(1) | np.isnan(changed[kind]).any(1))
            first = same[np.arange(len(listed)), nearest_one]
            table.add(f"{name}: original first after {what}", kind, interval(first & heard, groups))


def judge_music(options, table):
    listed, later = sounds.music(options.work)
    pieces, composers = column(listed, "group"), column(listed, "maker")
    known = composers != ""
    print(f"{len(listed)} excerpts of {len(set(pieces))} pieces, {known.sum()} of known composers", file=sys.stderr)
    found = all_vectors(options, "music", listed)
    each = np.arange(len(listed))
    for kind, rows in found.items():
        right, can, chance = nearest(kind, rows, pieces, each)
        table.add("30 s: same piece", kind, interval(right[can], pieces[can]))
    table.add("30 s: same piece", "chance", float(chance[can].mean()))
    part = np.flatnonzero(known)
    for kind, rows in found.items():
        right, can, chance = nearest(kind, rows[part], composers[part], pieces[part])
        table.add("30 s: same composer, another piece", kind, interval(right[can], composers[part][can]))
    table.add("30 s: same composer, another piece", "chance", float(chance[can].mean()))
    made = sounds.copies(options.work, "music", listed, later)
    judge_copies(options, table, "music", listed, found, pieces, made, peers=False)


def judge_dense(options, table):
    """Neighbouring excerpts are more alike than the beginning and the end of a piece."""
    listed, _ = sounds.music(options.work, sounds.DENSE)
    pieces = column(listed, "group")
    row = "30 s: same piece, up to 12 excerpts of each"
    for kind, rows in all_vectors(options, "dense", listed).items():
        right, can, chance = nearest(kind, rows, pieces, np.arange(len(listed)))
        table.add(row, kind, interval(right[can], pieces[can]))
    table.add(row, "chance", float(chance[can].mean()))


def judge_notes(options, table):
    listed = sounds.notes(options.work)
    labels, fonts = column(listed, "label"), column(listed, "group")
    unseen = fonts != sounds.KNOWN_FONT
    print({font: int((fonts == font).sum()) for font in sorted(set(fonts))}, file=sys.stderr)
    found = all_vectors(options, "notes", listed)
    for row, searched in (
        ("family (14), nearest in another unseen font", unseen),
        ("family (14), nearest in the font that trained", ~unseen),
    ):
        for kind, rows in found.items():
            right, can, chance = nearest(kind, rows, labels, fonts, searched)
            can &= unseen
            table.add(row, kind, interval(right[can], fonts[can]))
            for font in sounds.FONTS:
                mine = can & (fonts == font)
                print(f"  {kind} {font}: {right[mine].mean():.2f} of {mine.sum()}", file=sys.stderr)
        table.add(row, "chance", float(chance[can].mean()))


def calibration_error(confidence, right):
    """How far confidence and success lie apart, over ten bins of confidence."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs((right - confidence)[bins == b].sum()) for b in range(BINS)) / max(1, len(right)))


def judge_classes(options, table):
    """What a scan of files with names that say nothing says of the instrument, and what the network itself says."""
    listed = sounds.drums(options.work)
    labels, kits = column(listed, "label"), column(listed, "group")
    said = vectors.said_of(options.songrec, [sound.file for sound in listed])
    guess = np.array([said.get(sound.file, {}).get("heard_instrument", "") for sound in listed])
    sure = np.array([said.get(sound.file, {}).get("heard_instrument_probability", 0.0) for sound in listed])
    right = np.array([word in WORDS.get(label, (label,)) for word, label in zip(guess, labels)])
    named = guess != ""
    table.add("instrument from sound, as a scan says (unknown is wrong)", TIMBRE, interval(right, kits))
    table.add("  share that is named", TIMBRE, interval(named, kits))
    table.add("  right, where one is named", TIMBRE, interval(right[named], kits[named]))
    error = lambda rows: calibration_error(sure[named][rows], right[named][rows])
    table.add("  calibration error, where one is named", TIMBRE, interval(right[named], kits[named], error))
    for label, _ in sounds.NINE:
        mine = labels == label
        words = {word or "unknown": int((guess[mine] == word).sum()) for word in sorted(set(guess[mine]))}
        print(f"  {label}: right {right[mine].sum()} of {mine.sum()}; {words}", file=sys.stderr)
    if options.network:
        import network

        nine, all_classes, confidence = network.classes_of([sound.file for sound in listed], ROOT)
        table.add("class of nine, the network's best of these", TIMBRE, interval(nine == labels, kits))
        table.add("class of all 38, the network's best", TIMBRE, interval(all_classes == labels, kits))
        error = lambda rows: calibration_error(confidence[rows], (all_classes == labels)[rows])
        table.add("  calibration error, all sounds", TIMBRE, interval(labels == "", kits, error))


def judge_tempo_and_key(options, table):
    """By tools/tempo_key, on pieces of a soundfont that trained nothing."""
    work = os.path.join(options.work, "tempo")
    packages = os.path.join(options.work, "pkg")
    sounds.unpack(options.work, "timgm6mb-soundfont", "1.3-5")
    script = os.path.join(ROOT, "tools", "tempo_key", "evaluate.py")
    os.makedirs(work, exist_ok=True)
    done = subprocess.run([sys.executable, script, work, packages, options.songrec], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {script} failed: {done.stderr[-2000:]}")
    lines = done.stdout.splitlines()
    print(done.stdout, file=sys.stderr)
    at = next(number for number, line in enumerate(lines) if line.startswith("piece:"))
    for line in lines[at + 1 : at + 3]:
        name, figures = line.strip().split(":", 1)
        row = "tempo of pieces within 4 %" if name.startswith("tempo") else "key of pieces, exact"
        table.add(row, TIMBRE, parsed(figures))
        if "parallel" in figures:
            table.add("  with relative and parallel", TIMBRE, float(figures.rsplit(" ", 1)[1]))


def parsed(figures):
    """(share, low, high) of what tools/tempo_key prints: `170 of 192 = 0.885 (0.832 to 0.923)`."""
    share, rest = figures.split("= ")[1].split(" (", 1)
    low, high = rest.split(")")[0].split(" to ")
    return float(share), float(low), float(high)


def judge_cost(options, table):
    import cost

    for row, value in cost.measured(options.songrec, options.work, options.decoder).items():
        table.add(row, TIMBRE, value)


PARTS = {
    "drums": judge_drums,
    "classes": judge_classes,
    "notes": judge_notes,
    "music": judge_music,
    "dense": judge_dense,
    "tempo": judge_tempo_and_key,
    "cost": judge_cost,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", nargs="?", default=os.path.join(ROOT, "target", "tools", "eval-work"))
    parser.add_argument("--songrec", required=True, help="the binary to judge, built with `--profile dist`")
    parser.add_argument("--models", default=",".join(MODELS), type=lambda value: value.split(","))
    parser.add_argument("--only", default=",".join(PARTS), help="some of: " + ", ".join(PARTS))
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="songrec alone")
    parser.add_argument("--no-network", dest="network", action="store_false", help="without onnxruntime")
    parser.add_argument("--decoder", help="a program that decodes the files it is given, and does nothing else")
    parser.add_argument("--json", help="where to keep the figures")
    options = parser.parse_args()
    options.work, options.songrec = os.path.abspath(options.work), os.path.abspath(options.songrec)
    os.makedirs(options.work, exist_ok=True)
    options.bliss = vectors.build_bliss(options.work) if options.peers else None
    if options.peers and not options.bliss:
        print("bliss-audio could not be built and is left out", file=sys.stderr)
    table = Table()
    for name in options.only.split(","):
        PARTS[name](options, table)
    table.print()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(table.rows, file, indent=1)


if __name__ == "__main__":
    main()
