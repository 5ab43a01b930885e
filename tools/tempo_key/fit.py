#!/usr/bin/env python3
"""Fits the constants of songrec's tempo and key: `crates/audio/src/dsp/tempo_weights.rs` and `key_weights.rs`.

    apt-get install fluidsynth               # and the soundfonts' packages, unpacked below PACKAGES
    pip install -r tools/train/requirements.txt
    tools/tempo_key/fit.py WORK PACKAGES [--learned SET ...] [--rhythm-alone]

Learns from the sets `LEARNED` of `material.py` and prints how often it is right on parts that it did not learn from
(four folds), and on the sets `JUDGED`. The set `test` is not looked at: `evaluate.py` judges by it. With other sets than
these, or without what is seen of chords, it is a trial, which writes nothing.

Tempo: each candidate of a song gets a score from what is seen of it, by a small network; scores become probabilities
by softmax. Half of the times that a piece is learned from, it is moved to another tempo: only the candidates' tempi
are told anew, since a piece that is played faster has the same pattern of onsets. Key: the same with 24 scores that are
linear in the pitch classes of three registers, turned to the tonic. How sure a song's answer is comes from a
logistic regression on answers of held-out folds, on every kind of sound of the set `development`: those with neither
tempo nor key as well, of which the other sets have none, so that they would make it too sure.
"""

import argparse
import json
import multiprocessing
import os
import pickle

import features
import material
import numpy as np
import scipy.optimize
from evaluate import NAMES, related, table

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(HERE, "..", "..", "crates", "audio", "src", "dsp")
HIDDEN, EPOCHS, DECAY_TEMPO, DECAY_KEY = 12, 60, 3e-3, 3e-3
# How often a piece is moved to another tempo when it is learned from.
MOVED = 0.5
LEARNED = ["development", "more", "many", "harmony"]
JUDGED = ["choice", "check", "harmony-check"]
FOLDS = 4
# What a tempo is learned from.
TEMPO_KINDS = ("piece", "harmony", "loop", "cut", "click")


def describe(arguments):
    path, kept = arguments
    if not os.path.exists(kept):
        found = features.described(path)
        with open(kept + ".part", "wb") as file:
            pickle.dump(found, file)
        os.rename(kept + ".part", kept)
    with open(kept, "rb") as file:
        return pickle.load(file)


def songs(which, work, packages, workers=2):
    """Descriptions of a set with what is true of each."""
    folder = material.make(which, work, packages)
    with open(os.path.join(folder, "truth.json")) as file:
        truth = json.load(file)
    kept = os.path.join(work, f"described-{which}")
    os.makedirs(kept, exist_ok=True)
    jobs = [(os.path.join(folder, name), os.path.join(kept, f"{name}.pkl")) for name in truth]
    with multiprocessing.Pool(workers) as pool:
        found = pool.map(describe, jobs, chunksize=8)
    return [{"set": which} | fact | values for fact, values in zip(truth.values(), found)]


def without_chords(song):
    """The song with nothing in the two rows that chords are seen in."""
    rows = np.arange(features.CHANNELS, features.CHANNELS + 2)
    at = (1 + rows[:, None] * len(features.MULTIPLES) + np.arange(len(features.MULTIPLES))).ravel()
    for _, _, values in song["wide"] + song["narrow"]:
        values[at] = 0
    return song


def bare_chords(count=160):
    """Triads alone, which the composer never writes: cadences of tones with few overtones."""
    random = np.random.default_rng(7003)
    cadences = {
        "major": [[0, 5, 7, 0], [0, 9, 5, 7, 0], [2, 7, 0], [0, 7, 9, 5, 0], [0, 5, 0, 7, 0]],
        "minor": [[0, 5, 7, 0], [0, 8, 10, 0], [0, 5, 10, 0], [0, 8, 5, 7, 0], [0, 10, 8, 7, 0]],
    }
    minors = {"major": {2, 4, 9}, "minor": {0, 5}}
    made = []
    for index in range(count):
        tonic, mode = index % 12, ("major", "minor")[index // 12 % 2]
        roots = cadences[mode][int(random.integers(5))]
        seconds, partials = random.uniform(0.5, 1.6), int(random.choice([1, 1, 3, 6]))
        time = np.arange(int(seconds * features.RATE)) / features.RATE
        decay, sound = random.choice([0.0, 0.0, 2.0]), []
        for root in roots * int(random.integers(1, 3)):
            tones = [0, 3 if root in minors[mode] else 4, 7]
            part = np.zeros(len(time))
            for tone in tones + ([-12] if random.random() < 0.3 else []):
                hz = 261.626 * 2 ** ((tonic + root + tone) / 12)
                part += sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, partials + 1))
            sound.append(part * np.exp(-decay * time))
        sound = (0.15 * np.concatenate(sound)).astype(np.float32)
        pitch = features.pitches(sound, features.powers(sound))
        made.append({"set": "development", "kind": "bare", "tempo": None, "key": f"{NAMES[tonic]} {mode}"})
        made[-1] |= {"seconds": len(sound) / features.RATE, "narrow": [], "wide": [], "flux": 0.0, "pitch": pitch}
    return made


# Tempo.


class Network:
    """One hidden layer, and the inputs directly: from values of a candidate to its score."""

    def __init__(self, inputs, random):
        self.weights = [
            random.normal(0, inputs**-0.5, (inputs, HIDDEN)),
            np.zeros(HIDDEN),
            random.normal(0, 0.3, HIDDEN),
            np.zeros(inputs),
        ]

    def scores(self, values):
        inner, bias, outer, direct = self.weights
        hidden = np.tanh(values @ inner + bias)
        return hidden @ outer + values @ direct, hidden


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def learn_tempo(songs, random):
    songs = [song for song in songs if song["kind"] in TEMPO_KINDS and song["wide"]]
    every = np.concatenate([[values for _, _, values in song["wide"]] for song in songs])
    mean, spread = every.mean(0), every.std(0) + 1e-3
    network = Network(len(mean) + 4, random)
    first, second = ([np.zeros_like(w) for w in network.weights] for _ in range(2))
    step = 0
    for epoch in range(EPOCHS):
        order, rate = random.permutation(len(songs)), 3e-3 * (1 - epoch / EPOCHS) + 1e-5
        for batch in np.array_split(order, len(order) // 32 + 1):
            values, right = [], []
            for index in batch:
                song = songs[index]
                bpm = np.array([bpm for bpm, _, _ in song["wide"]])
                moved = bpm
                if random.random() < MOVED:
                    moved = bpm * random.uniform(60, 200) / song["tempo"]
                inside = np.nonzero((moved > features.LOWEST) & (moved < features.HIGHEST))[0][: features.MOST]
                errors = np.abs(bpm[inside] / song["tempo"] - 1) if len(inside) else np.ones(1)
                if errors.min() < 0.04:
                    seen = (np.array([song["wide"][i][2] for i in inside]) - mean) / spread
                    values.append(np.concatenate([seen, features.tempo_values(moved[inside])], 1))
                    right.append(int(errors.argmin()))
            if not values:
                continue
            joined = np.concatenate(values)
            scores, hidden = network.scores(joined)
            slope, at = np.zeros(len(joined)), 0
            for part, answer in zip(values, right):
                slope[at : at + len(part)] = softmax(scores[at : at + len(part)]) / len(values)
                slope[at + answer] -= 1 / len(values)
                at += len(part)
            inner, _, outer, direct = network.weights
            back = np.outer(slope, outer) * (1 - hidden**2)
            slopes = [joined.T @ back + DECAY_TEMPO * inner, back.sum(0)]
            slopes += [hidden.T @ slope + DECAY_TEMPO * outer, joined.T @ slope + DECAY_TEMPO * direct]
            step += 1
            for i, gradient in enumerate(slopes):
                first[i] = 0.9 * first[i] + 0.1 * gradient
                second[i] = 0.999 * second[i] + 0.001 * gradient**2
                change = first[i] / (1 - 0.9**step) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
                network.weights[i] = network.weights[i] - rate * change
    return network, mean, spread


def say_tempo(model, song):
    """(bpm, values from which its confidence is made), or None."""
    if not song["narrow"]:
        return None
    network, mean, spread = model
    bpm = np.array([bpm for bpm, _, _ in song["narrow"]])
    seen = (np.array([values for _, _, values in song["narrow"]]) - mean) / spread
    share = softmax(network.scores(np.concatenate([seen, features.tempo_values(bpm)], 1))[0])
    best = int(share.argmax())
    comb = song["narrow"][best][1]
    beats = song["seconds"] * bpm[best] / 60
    return bpm[best], [odds(share[best]), min(beats, 64) ** 0.5, comb, comb**2, np.log(song["flux"] + 0.01)]


def has_tempo(song, bpm):
    return bool(song["tempo"]) and abs(bpm / song["tempo"] - 1) < 0.04


def odds(share):
    share = np.clip(share, 1e-3, 1 - 1e-3)
    return float(np.log(share / (1 - share)))


# Key.


def turned(songs):
    """For each song and tonic, pitch classes of the registers from the tonic on: songs x 12 x 36."""
    parts = np.array([features.registers(song["pitch"])[0] for song in songs])
    return np.stack([np.roll(parts, -tonic, axis=2) for tonic in range(12)], 1).reshape(len(songs), 12, -1)


def key_index(key):
    tonic, mode = key.split()
    return NAMES.index(tonic) + (12 if mode == "minor" else 0)


def key_scores(weights, values):
    return np.concatenate([values @ row[:-1] + row[-1] for row in weights], 1)


def learn_key(songs):
    songs = [song for song in songs if song["kind"] in ("piece", "cut", "bare")]
    values, right = turned(songs), np.array([key_index(song["key"]) for song in songs])

    def loss(flat):
        weights = flat.reshape(2, -1)
        share = softmax(key_scores(weights, values))
        rows = np.arange(len(right))
        error = -np.log(share[rows, right] + 1e-12).mean() + DECAY_KEY * (weights[:, :-1] ** 2).sum()
        share[rows, right] -= 1
        share /= len(right)
        slopes = []
        for mode, row in enumerate(weights):
            part = share[:, 12 * mode : 12 * mode + 12]
            slopes.append([*(np.einsum("nk,nkd->d", part, values) + 2 * DECAY_KEY * row[:-1]), part.sum()])
        return error, np.ravel(slopes)

    start = np.zeros(2 * (values.shape[2] + 1))
    done = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 400})
    return done.x.reshape(2, -1)


def say_key(weights, song):
    share = softmax(key_scores(weights, turned([song])))[0]
    best = int(share.argmax())
    _, clear, level = features.registers(song["pitch"])
    sure = [odds(share[best]), clear, np.log(level + 0.1), min(song["seconds"], 30) ** 0.5]
    return f"{NAMES[best % 12]} {('major', 'minor')[best // 12]}", sure


# Confidence.


def learn_confidence(pairs):
    """A logistic regression from values to whether the answer is right."""
    values = np.array([[*values, 1.0] for values, _ in pairs])
    right = np.array([is_right for _, is_right in pairs], float)

    def loss(weights):
        logit = values @ weights
        share = 1 / (1 + np.exp(-logit))
        error = np.logaddexp(0, logit).mean() - (right * logit).mean() + 1e-4 * (weights[:-1] ** 2).sum()
        return error, values.T @ (share - right) / len(right) + 2e-4 * np.append(weights[:-1], 0)

    return scipy.optimize.minimize(loss, np.zeros(values.shape[1]), jac=True, method="L-BFGS-B").x


def confidence(weights, values):
    return float(1 / (1 + np.exp(-(np.dot(weights[:-1], values) + weights[-1]))))


def report(name, answers, right_of):
    """Answers are (song, said, values): prints shares by kind, and confidences fitted on the other half."""
    pairs = [(values, right_of(song, said)) for song, said, values in answers]
    print(f"{name}, held out")
    for kind in dict.fromkeys(song["kind"] for song, _, _ in answers):
        part = [pair[1] for answer, pair in zip(answers, pairs) if answer[0]["kind"] == kind]
        print(f"  {kind}: right {sum(part)} of {len(part)} = {np.mean(part):.3f}")
    answers, pairs = zip(*(both for both in zip(answers, pairs) if both[0][0]["set"] == "development"))
    halves = [learn_confidence(pairs[start::2]) for start in (1, 0)]
    sure = [confidence(halves[index % 2], values) for index, (values, _) in enumerate(pairs)]
    table([(s, is_right) for s, (_, is_right) in zip(sure, pairs)])
    for threshold in (0.3, 0.4, 0.5):
        print(f"  shown from {threshold}: ", end="")
        for kind in dict.fromkeys(song["kind"] for song, _, _ in answers):
            part = [s >= threshold for s, (song, _, _) in zip(sure, answers) if song["kind"] == kind]
            print(f"{kind} {np.mean(part):.2f}", end=" ")
        print()
    return learn_confidence(pairs)


# Rust.


def rust_row(name, values):
    numbers = ", ".join(f"{float(value):.4f}" for value in values)
    return f"pub(super) const {name}: [f32; {len(values)}] = [{numbers}];\n"


def rust_rows(name, rows):
    inner = ",\n".join("[" + ", ".join(f"{float(value):.4f}" for value in row) + "]" for row in rows)
    return f"pub(super) static {name}: [[f32; {len(rows[0])}]; {len(rows)}] = [\n{inner}\n];\n"


def write(name, head, body):
    path = os.path.join(TARGET, name)
    with open(path, "w") as file:
        file.write(f"//! {head}\n//!\n")
        file.write("//! Made by `tools/tempo_key/fit.py`, which says from what; never changed by hand.\n\n")
        why = "fitted, and near a constant by chance"
        file.write(f'#![allow(clippy::approx_constant, reason = "{why}")]\n\n{body}')
    os.system(f"rustfmt --edition 2024 {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work")
    parser.add_argument("packages")
    parser.add_argument("--learned", nargs="+", default=LEARNED, help="learn from these sets, `development` among them")
    parser.add_argument("--rhythm-alone", action="store_true", help="see nothing of chords")
    arguments = parser.parse_args()
    if "development" not in arguments.learned:
        parser.error("confidences are learned from `development`: name it among the sets")

    def seen(which):
        found = songs(which, arguments.work, arguments.packages)
        return [without_chords(song) for song in found] if arguments.rhythm_alone else found

    known = [song for which in arguments.learned for song in seen(which)]
    known = [song for song in known if song["kind"] not in ("half", "modal")] + bare_chords()
    random = np.random.default_rng(7004)
    fold = random.permutation(len(known)) % FOLDS
    tempi, keys = [], []
    for held in range(FOLDS):
        learned = [song for song, f in zip(known, fold) if f != held]
        model, weights = learn_tempo(learned, random), learn_key(learned)
        for song in (song for song, f in zip(known, fold) if f == held):
            tempo = say_tempo(model, song)
            if tempo and song["kind"] != "bare":
                tempi.append((song, *tempo))
            # Whose chord never changes, or begins anywhere, has no key that could be told.
            if song["kind"] != "harmony":
                keys.append((song, *say_key(weights, song)))
    sure_tempo = report("tempo", tempi, has_tempo)
    sure_key = report("key", keys, lambda song, said: said == song["key"])
    said = [related(said, song["key"]) for song, said, _ in keys if song["kind"] == "piece"]
    print(f"  key of pieces: {({name: said.count(name) for name in set(said)})}")

    model, profiles = learn_tempo(known, random), learn_key(known)
    for which in JUDGED:
        judged = seen(which)
        right = sum(has_tempo(song, (say_tempo(model, song) or [0])[0]) for song in judged)
        print(f"{which}: tempo {right} of {len(judged)}", end="")
        keys = [say_key(profiles, song)[0] == song["key"] for song in judged if song["kind"] != "harmony"]
        print(f"; key {sum(keys)} of {len(keys)}" if keys else "")

    if arguments.rhythm_alone or arguments.learned != LEARNED:
        return
    network, mean, spread = model
    inner, bias, outer, direct = network.weights
    count = len(mean)
    # Values are not standardised in Rust: the weights do that.
    bias = bias - (mean / spread) @ inner[:count]
    inner, direct = inner.copy(), direct.copy()
    inner[:count] /= spread[:, None]
    direct[:count] /= spread
    body = rust_rows("HIDDEN", inner.T) + "\n" + rust_row("BIAS", bias) + "\n" + rust_row("OUT", outer)
    body += "\n" + rust_row("DIRECT", direct) + "\n" + rust_row("SURE", sure_tempo)
    write("tempo_weights.rs", "The weights by which `tempo.rs` scores a tempo.", body)
    body = rust_rows("PROFILES", profiles) + "\n" + rust_row("SURE", sure_key)
    write("key_weights.rs", "The weights by which `key.rs` scores a key.", body)


if __name__ == "__main__":
    main()
