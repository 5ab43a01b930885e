"""What the stages leave on disk: sets of clips and of pictures, each written whole or not at all.

A stage is skipped when its file is there and was made with the same settings, so a run that was
stopped goes on where it was. Every file has a neighbour `.json` that says what it was made from.
"""

import json
import os
import sys

import numpy as np

FIELDS = ("label", "maker", "kit", "source", "program")


def log(*words):
    """Talk goes to stderr, as in songrec itself."""
    print(*words, file=sys.stderr, flush=True)


def is_made(path, settings):
    """Whether `path` was made with `settings`."""
    try:
        with open(path + ".json", encoding="utf-8") as file:
            return os.path.exists(path) and json.load(file)["settings"] == settings
    except (OSError, ValueError, KeyError):
        return False


def claim(path):
    """Whether this process may make `path`. A claim of a process that is gone does not count."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    lock = path + ".lock"
    try:
        with open(lock, encoding="ascii") as file:
            if os.path.exists(f"/proc/{int(file.read() or 0)}"):
                return False
        os.remove(lock)
    except (OSError, ValueError):
        pass
    try:
        with open(lock, "x", encoding="ascii") as file:
            file.write(str(os.getpid()))
        return True
    except FileExistsError:
        return False


def unclaim(path):
    os.remove(path + ".lock")


def write(path, settings, arrays):
    """Writes arrays of equal length, then the manifest that makes them count."""
    lengths = {name: len(value) for name, value in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"arrays of {path} differ in length: {lengths}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = f"{path}.{os.getpid()}.part"
    with open(partial, "wb") as file:
        np.savez(file, **arrays)
    os.replace(partial, path)
    manifest = {
        "settings": settings,
        "count": len(arrays["label"]),
        "labels": {str(k): int(v) for k, v in zip(*np.unique(arrays["label"], return_counts=True))},
        "makers": len(set(arrays["maker"])),
    }
    with open(path + ".json", "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
    log(os.path.basename(path), manifest["count"], "sounds of", manifest["makers"], "makers")


def read(paths):
    """The arrays of several files one after the other."""
    opened = [np.load(path) for path in paths]
    names = [name for name in opened[0].files if all(name in other.files for other in opened)]
    return {name: np.concatenate([file[name] for file in opened]) for name in names}


class Collector:
    """Sounds as they are made, with what is known about each.

    `label` is the class, `maker` who recorded or made it (never both in training and validation),
    `kit` the preset or folder, `source` the one sound of which views are made, and `program` the
    General MIDI program or -1.
    """

    def __init__(self):
        self.values = []
        self.known = {name: [] for name in FIELDS}

    def add(self, value, label, maker, kit, source, program=-1):
        self.values.append(value)
        for name, item in zip(FIELDS, (label, maker, kit, source, program)):
            self.known[name].append(item)

    def arrays(self, name):
        known = {key: np.array(items) for key, items in self.known.items()}
        return {name: np.array(self.values), **known}
