#!/usr/bin/env python3
"""How often songrec's tempo and key are right, on music that was made for it.

    apt-get install fluidsynth               # and the soundfonts' packages, unpacked below PACKAGES
    pip install -r tools/train/requirements.txt
    tools/tempo_key/evaluate.py WORK PACKAGES SONGREC [--set test]

Makes the set once (see `material.py`), scans it under names that say nothing into a temporary library, and
prints shares with 95 % intervals, errors by their ratio, and how often confidences come true.
"""

import argparse
import collections
import json
import math
import os
import subprocess
import tempfile

import material

RATIOS = {"right": 1, "double": 2, "half": 1 / 2, "3/2": 3 / 2, "2/3": 2 / 3, "4/3": 4 / 3, "3/4": 3 / 4}
NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
SURE_KEY = 0.5  # `Features::SURE_KEY`


def interval(right, count):
    """Wilson's, 95 %."""
    if not count:
        return "none"
    share, z = right / count, 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return f"{right} of {count} = {share:.3f} ({centre - reach:.3f} to {centre + reach:.3f})"


def found(folder, truth, songrec):
    """The features of every file, by its name in the set."""
    with tempfile.TemporaryDirectory() as work:
        sounds, library = os.path.join(work, "sounds"), os.path.join(work, "library")
        os.mkdir(sounds)
        names = {}
        for number, name in enumerate(sorted(truth)):
            names[f"x{number:04}"] = name
            os.symlink(os.path.abspath(os.path.join(folder, name)), os.path.join(sounds, f"x{number:04}.wav"))
        settings = {**os.environ, "HOME": work, "XDG_CONFIG_HOME": work}
        call = lambda *words: subprocess.run(
            [songrec, "--library", library, *words], env=settings, capture_output=True, text=True, check=True
        ).stdout
        subprocess.run([songrec, "init", library], env=settings, capture_output=True, check=True)
        call("scan", "--quiet", sounds)
        songs = [json.loads(line) for line in call("ls", "--json", "--limit", "100000").splitlines()]
        shown = [json.loads(call("show", song["id"], "--json")) for song in songs]
        return {names[os.path.basename(song["files"][0]["path"])[:5]]: song.get("features", {}) for song in shown}


def key_name(text):
    if not text:
        return None
    return f"{text[:-1]} minor" if text.endswith("m") else f"{text} major"


def related(said, true):
    """Exact, relative, parallel or other."""
    if said == true:
        return "exact"
    tonic, mode = true.split()
    relative = f"{NAMES[(NAMES.index(tonic) + (9 if mode == 'major' else 3)) % 12]} "
    relative += "minor" if mode == "major" else "major"
    parallel = f"{tonic} {'minor' if mode == 'major' else 'major'}"
    return {relative: "relative", parallel: "parallel", None: "none"}.get(said, "other")


def ratio(said, true):
    if said is None:
        return "none"
    return next((name for name, value in RATIOS.items() if abs(said / true / value - 1) < 0.04), "other")


def table(pairs):
    """How often what was said with some confidence was right."""
    error = 0.0
    for low in range(10):
        part = [pair for pair in pairs if low / 10 <= pair[0] < (low + 1) / 10 + (low == 9)]
        if part:
            said = sum(confidence for confidence, _ in part) / len(part)
            right = sum(is_right for _, is_right in part) / len(part)
            error += abs(said - right) * len(part) / len(pairs)
            print(f"    {low / 10:.1f}: {len(part):4} said {said:.2f} right {right:.2f}")
    print(f"    expected calibration error {error:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work")
    parser.add_argument("packages")
    parser.add_argument("songrec")
    parser.add_argument("--set", default="test", choices=list(material.SETS))
    arguments = parser.parse_args()
    folder = material.make(arguments.set, arguments.work, arguments.packages)
    with open(os.path.join(folder, "truth.json")) as file:
        truth = json.load(file)
    features = found(folder, truth, os.path.abspath(arguments.songrec))
    print(f"{len(features)} of {len(truth)} sounds were taken in")
    tempi, keys = [], []
    for kind in material.SETS[arguments.set]["counts"]:
        part = [(fact, features[name]) for name, fact in truth.items() if fact["kind"] == kind and name in features]
        print(f"{kind}: {len(part)}")
        count = collections.Counter
        if part and part[0][0]["tempo"]:
            said = count(ratio(f.get("bpm"), fact["tempo"]) for fact, f in part)
            print(f"  tempo within 4 %: {interval(said['right'], len(part))}; {dict(said.most_common())}")
        else:
            print(f"  with a tempo: {interval(sum('bpm' in f for _, f in part), len(part))}")
        sure = lambda f: f.get("key") if f.get("key_confidence", 0) >= SURE_KEY else None
        if part and part[0][0]["key"]:
            said = count(related(key_name(f.get("key")), fact["key"]) for fact, f in part)
            shown = count(related(key_name(sure(f)), fact["key"]) for fact, f in part)
            near = said["exact"] + said["relative"] + said["parallel"]
            print(f"  key: {interval(said['exact'], len(part))}; with relative and parallel {near / len(part):.3f}")
            print(f"  key, if shown: {dict(shown.most_common())}")
        else:
            print(f"  with a key that is shown: {interval(sum(sure(f) is not None for _, f in part), len(part))}")
        loops = count(str(f.get("is_loop")) for _, f in part)
        print(f"  loop: {dict(loops)}")
        for fact, f in part:
            if "bpm" in f and kind != "half":
                right = fact["tempo"] is not None and ratio(f["bpm"], fact["tempo"]) == "right"
                tempi.append((f["bpm_confidence"], right))
            if "key" in f and kind != "modal":
                keys.append((f["key_confidence"], key_name(f["key"]) == fact["key"]))
    print("confidence of tempi, all kinds but half")
    table(tempi)
    print("confidence of keys, all kinds but modal")
    table(keys)


if __name__ == "__main__":
    main()
