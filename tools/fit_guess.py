#!/usr/bin/env python3
"""Fits how sure a guess of the instrument is: the constants `ODDS`, `DRUM_ODDS` and `OTHER_ODDS` of
crates/models/src/timbre/listener.rs.

    target/tools/eval/bin/python tools/fit_guess.py [WORK]

What is installed is that of tools/eval_retrieval.py, and WORK is its folder. The sounds are those of the seven
makers that tools/train/timbre/sources.toml names for validation: drums of all, and pitched notes of three.
Nothing that songrec is judged by is among the drums. The network says the probability of each instrument; the share
of right guesses is a logistic function of the log-odds of the best one, with one slope, and one constant for drums and
another for all else. It is printed how far confidence and success lie apart on makers that it was not fitted on.
"""

import os
import re
import sys

import numpy as np
import scipy.optimize
import soundfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tools", "eval"))

import sounds  # noqa: E402
from timbre import classes, image, recorded, soundfont, sources  # noqa: E402

import network  # noqa: E402

MOST = 90  # drums of a soundfont: a large one is still one maker
PULL = 0.01  # towards leaving the probability as it is
BINS = 10
DRUMS = {"kick", "snare", "clap", "hat", "tom", "cymbal", "percussion"}


def instruments():
    """The instrument that each class counts as, from the program's own table; an open hat is a hat."""
    path = os.path.join(ROOT, "crates", "models", "src", "timbre", "classes.rs")
    with open(path, encoding="utf-8") as file:
        table = dict(re.findall(r'\("([\w-]+)", "(\w+)"\)', file.read()))
    return {name: table[name].replace("open_hat", "hat") for name in classes.CLASSES}


def drum_clips(source, path, folder):
    """(clip, class) of a maker's drums."""
    name = source["name"]
    match source["read"]:
        case "soundfont":
            listed = [note for note in soundfont.drum_notes(path, (60, 110)) if classes.coarse(note[1]) in classes.NINE]
            chosen = np.sort(np.random.default_rng(3).permutation(len(listed))[:MOST])
            listed = [listed[index] for index in chosen]
            clips = soundfont.render(path, [note for note, _ in listed], soundfont.DRUM_CHANNEL, folder)
            found = zip(clips, [label for _, label in listed])
            return [(clip, label) for clip, label in found if np.abs(clip.astype(int)).max() > soundfont.QUIET]
        case "avldrums":
            found = soundfont.kit_clips(path, name, folder=folder)
        case "patches":
            found = recorded.patch_clips(path, name)
        case _:
            found = recorded.clips(path, name)
    listed = zip(found.values, found.known["label"], found.known["program"])
    return [(clip, label) for clip, label, program in listed if program < 0]


def validation(work):
    """Files, instruments and makers. The drums and the notes of a maker count as two."""
    folder = os.path.join(work, "sets", "validation")
    os.makedirs(folder, exist_ok=True)
    known, files, answers, makers = instruments(), [], [], []
    for source in sources.listed("validate"):
        package = sounds.unpack(work, source["debian"], source["version"])
        for number, (clip, label) in enumerate(drum_clips(source, os.path.join(package, source["path"]), folder)):
            heard = np.flatnonzero(clip)
            file = os.path.join(folder, f"{source['name']}-{number:04}.wav")
            soundfile.write(file, clip[: heard[-1] + 1], image.RATE, subtype="PCM_16")
            files.append(file)
            answers.append(known[label])
            makers.append(source["name"] + ", drums")
    for sound in sounds.notes(work):
        if sound.group != sounds.KNOWN_FONT:
            files.append(sound.file)
            answers.append(known[sound.label])
            makers.append(sound.group + ", notes")
    return files, np.array(answers), np.array(makers)


def weights_of(makers):
    """Weights under which every maker counts the same, of sum 1."""
    names, counts = np.unique(makers, return_counts=True)
    size = dict(zip(names, counts))
    return np.array([1 / size[maker] for maker in makers]) / len(names)


def fit(values, right, weights):
    start = np.array([1.0, 0.0, 0.0])

    def loss(factors):
        odds = values @ factors
        return (weights * (np.logaddexp(0, odds) - right * odds)).sum() + PULL * ((factors - start) ** 2).sum()

    return scipy.optimize.minimize(loss, start).x


def error(confidence, right, weights):
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs((weights * (right - confidence))[bins == b].sum()) for b in range(BINS)))


def main():
    work = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "target", "tools", "eval-work"))
    files, answers, makers = validation(work)
    logits = network.logits_of(files, ROOT)
    raised = np.exp(logits - logits.max(1, keepdims=True))
    shares = raised / raised.sum(1, keepdims=True)
    known = instruments()
    names = np.array(sorted(set(known.values())))
    added = shares @ np.array([[known[label] == name for name in names] for label in classes.CLASSES], float)
    guess, sure = names[added.argmax(1)], np.clip(added.max(1), 1e-4, 1 - 1e-4)
    right = (guess == answers).astype(float)
    drum = np.array([name in DRUMS for name in guess], float)
    values = np.stack([np.log(sure / (1 - sure)), drum, 1 - drum], 1)
    logistic = lambda factors, rows: 1 / (1 + np.exp(-values[rows] @ factors))
    held = np.zeros(len(files))
    of = np.array([maker.split(",")[0] for maker in makers])
    for maker in sorted(set(of)):
        others = of != maker
        held[~others] = logistic(fit(values[others], right[others], weights_of(makers[others])), ~others)
    of_notes = np.array([maker.endswith("notes") for maker in makers])
    for name, rows in (("drums", ~of_notes), ("notes", of_notes), ("both", of_notes | ~of_notes)):
        weights = weights_of(makers[rows])
        before, after = (error(share[rows], right[rows], weights) for share in (sure, held))
        print(f"{name}: {rows.sum()} sounds, right {weights @ right[rows]:.2f}; error {before:.3f}, fitted {after:.3f}")
        for share, when in ((sure, "before"), (held, "fitted")):
            named = share[rows] >= 0.5
            hit = weights[named] @ right[rows][named] / weights[named].sum()
            print(f"  {when}: named {weights[named].sum():.2f}, right of these {hit:.2f}")
    slope, drums, others = fit(values, right, weights_of(makers))
    print(f"ODDS {slope:.3f} DRUM_ODDS {drums:.3f} OTHER_ODDS {others:.3f}")


if __name__ == "__main__":
    main()
