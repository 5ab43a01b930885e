"""What decides between networks: figures on makers that no network was trained on.

Every figure is a mean over makers, and its interval comes from drawing makers again with
replacement: sounds of one maker are alike, so more of them are no more evidence.
"""

import functools
import json
import os

import numpy as np
import torch

from . import classes, pictures, sources
from .network import as_input

MOST = 80  # drums, or pitched notes, of one maker: a large soundfont is still one maker
BESIDE = 0.5  # how long the values are beside the network's vector, as songrec joins them
DRAWS = 2000
SEED = 3


@functools.cache
def trained_on(work):
    """The clean pictures of the recordings that train, and their labels."""
    parts = []
    for source in sources.listed("train"):
        data = np.load(os.path.join(work, "pictures", source["name"] + ".npz"))
        clean = (data["view"] == 0) & sources.taken(source, data["label"])
        parts.append((data["picture"][clean], data["label"][clean]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def heard_in_training(found, labels, work):
    """Which pictures are near copies of recordings that train: free samples travel."""
    return pictures.copies_of(found, labels, *trained_on(work))


@functools.cache
def loaded(work):
    """The validation pictures, at most MOST drums and 2 MOST notes of one maker."""
    random = np.random.default_rng(SEED)
    parts = []
    for source in sources.listed("validate"):
        path = os.path.join(work, "pictures", source["name"] + ".npz")
        if not os.path.exists(path):
            continue
        data = dict(np.load(path))
        # Where each sound lies in the source's clips, for other descriptions of it.
        data["row"] = np.arange(len(data["label"]))
        known = heard_in_training(data["picture"], data["label"], work)
        data = {name: values[~known] for name, values in data.items()}
        drums = np.isin([classes.coarse(name) for name in data["label"]], classes.NINE) & (data["program"] < 0)
        notes = data["program"] >= 0
        keep = []
        for chosen, most in ((drums, MOST), (notes & (data["program"] < 112), 2 * MOST), (~drums & ~notes, MOST)):
            rows = np.flatnonzero(chosen)
            keep.append(np.sort(random.permutation(rows)[:most]) if len(set(data["maker"])) == 1 else rows)
        keep = np.concatenate(keep)
        parts.append(
            {name: values[keep] for name, values in data.items()} | {"origin": np.array([source["name"]] * len(keep))}
        )
    sounds = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sounds["nine"] = np.array([classes.coarse(name) for name in sounds["label"]])
    sounds["is_drum"] = np.isin(sounds["nine"], classes.NINE) & (sounds["program"] < 0)
    sounds["is_note"] = (sounds["program"] >= 0) & (sounds["program"] < 112)
    sounds["family"] = np.where(sounds["is_note"], sounds["program"] // 8, -1)
    return sounds


@torch.no_grad()
def heard(network, pictures, no_tail=False):
    """Vectors, logits and descriptions of stored pictures."""
    out = []
    for first in range(0, len(pictures), 256):
        x = as_input(pictures[first : first + 256])
        if no_tail:
            x[..., 96:] = 0
        out.append([part.numpy() for part in network(x)])
    return tuple(np.concatenate(parts) for parts in zip(*out))


def nearest_is_same(vectors, answers, makers, first=1):
    """For each sound: whether the nearest `first` of other makers are of its kind, as a share."""
    similar = vectors @ vectors.T
    similar[makers[:, None] == makers[None]] = -9
    best = np.argsort(-similar, 1)[:, :first]
    return (answers[best] == answers[:, None]).mean(1)


def over_makers(values, makers):
    """(mean, low, high): the mean over makers, and 95 % of its means when makers are drawn again."""
    means = np.array([values[makers == maker].mean() for maker in sorted(set(makers))])
    random = np.random.default_rng(SEED)
    drawn = means[random.integers(0, len(means), (DRAWS, len(means)))].mean(1)
    return float(means.mean()), *(float(x) for x in np.quantile(drawn, [0.025, 0.975]))


def over_groups(values, groups):
    """(share, low, high): the share of all values, and 95 % of it when their groups are drawn again."""
    rows = [np.flatnonzero(groups == group) for group in sorted(set(groups))]
    random = np.random.default_rng(SEED)
    drawn = [
        values[np.concatenate([rows[at] for at in random.integers(0, len(rows), len(rows))])].mean()
        for _ in range(DRAWS)
    ]
    return float(values.mean()), *(float(x) for x in np.quantile(drawn, [0.025, 0.975]))


def answerable(answers, makers):
    """Which sounds have one of their kind at another maker."""
    return np.array([((answers == a) & (makers != m)).any() for a, m in zip(answers, makers)])


def retrieval(vectors, sounds, which, answers):
    rows = np.flatnonzero(which)
    rows = rows[answerable(answers[rows], sounds["maker"][rows])]
    makers = sounds["maker"][rows]
    return {
        f"p{first}": over_makers(nearest_is_same(vectors[rows], answers[rows], makers, first), makers)
        for first in (1, 5)
    }


def class_figures(logits, sounds):
    """Whether the best class is right: among the nine of drum kits, among all classes, and among families."""
    coarse = np.array([classes.coarse(name) for name in classes.CLASSES])
    drums, notes = sounds["is_drum"], sounds["is_note"]
    in_nine = np.isin(coarse, classes.NINE)
    nine = coarse[np.where(in_nine, logits, -1e9).argmax(1)]
    best = coarse[logits.argmax(1)]
    found = {
        "nine": over_makers((nine == sounds["nine"])[drums], sounds["maker"][drums]),
        "drum": over_makers((best == sounds["nine"])[drums], sounds["maker"][drums]),
    }
    if notes.any():
        label = np.array(classes.CLASSES)[logits.argmax(1)]
        found["family"] = over_makers((label == sounds["label"])[notes], sounds["maker"][notes])
    return found


def figures(vectors, logits, sounds):
    return {
        "drums": retrieval(vectors, sounds, sounds["is_drum"], sounds["nine"]),
        "families": retrieval(vectors, sounds, sounds["is_note"], sounds["family"]),
        "class": class_figures(logits, sounds),
    }


def short(network, work, no_tail=False):
    """One line for the log."""
    sounds = loaded(work)
    vectors, logits, _ = heard(network, sounds["picture"], no_tail)
    found = figures(vectors, logits, sounds)
    return (
        f"drums {found['drums']['p1'][0]:.3f} families {found['families']['p1'][0]:.3f} "
        f"nine {found['class']['nine'][0]:.3f} all {found['class']['drum'][0]:.3f} family {found['class']['family'][0]:.3f}"
    )


def unit(rows):
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12)


def joined(vectors, values, weight=BESIDE):
    """Vectors of unit length beside other values of the same sounds, of length `weight`."""
    return unit(np.concatenate([unit(vectors), np.float32(weight) * unit(values)], 1))


def report(network, work, out):
    """Writes all figures as JSON."""
    sounds = loaded(work)
    vectors, logits, _ = heard(network, sounds["picture"])
    found = figures(vectors, logits, sounds)
    found["makers"] = {
        name: int(((sounds["maker"] == name) & sounds["is_drum"]).sum()) for name in sorted(set(sounds["maker"]))
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    return found
