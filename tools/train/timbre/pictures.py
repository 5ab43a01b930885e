"""Pictures of clips: one clean, and for training several changed. The stage writes `pictures/NAME.npz`."""

import os

import numpy as np

from . import change, image, sources, store

VIEWS = 4  # changed ones of each clip, beside the clean one
SEED = 7
SAME = 0.98  # correlation of two pictures from which they count as one recording


def normalised(pictures):
    """Flat rows of mean 0 and length 1, so that a product is a correlation."""
    rows = pictures.reshape(len(pictures), -1).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)


def copies_of(pictures, labels, others, other_labels):
    """Which pictures are near copies of one of `others` of the same class."""
    found = np.zeros(len(pictures), bool)
    for label in set(labels):
        mine, theirs = np.flatnonzero(labels == label), np.flatnonzero(other_labels == label)
        if len(theirs):
            similar = normalised(pictures[mine]) @ normalised(others[theirs]).T
            found[mine] = similar.max(1) > SAME
    return found


def make(clips, views):
    random = np.random.default_rng(SEED)
    made = {name: [] for name in ("picture", "view", *store.FIELDS)}
    count = len(clips["clip"])
    for index in range(count):
        sound = clips["clip"][index].astype(np.float32) / 32_768.0
        for copy in range(views + 1):
            if copy:
                other = clips["clip"][random.integers(count)].astype(np.float32)
                picture = change.view(random, sound, clips["label"][index], other)
            else:
                picture = image.stored(sound[image.attack(sound) :])
            made["picture"].append(picture)
            made["view"].append(copy)
            for name in store.FIELDS:
                made[name].append(clips[name][index])
    return {name: np.array(values) for name, values in made.items()}


def run(work):
    first = None
    for source in sources.listed():
        clips_path = os.path.join(work, "clips", source["name"] + ".npz")
        path = os.path.join(work, "pictures", source["name"] + ".npz")
        train = source["use"] != "validate"
        settings = {"name": source["name"], "views": VIEWS if train else 0, "seed": SEED}
        if store.is_made(path, settings) or not os.path.exists(clips_path + ".json") or not store.claim(path):
            continue
        clips = dict(np.load(clips_path))
        if "same_maker_as" in source:
            # Presets that were taken over are one maker with the source they
            # come from, and most are the same recordings.
            first = np.load(os.path.join(work, "clips", source["same_maker_as"] + ".npz"))
            mine, theirs = clean(clips), clean(first)
            fresh = ~copies_of(mine, clips["label"], theirs, first["label"])
            store.log(source["name"], int((~fresh).sum()), "of", len(fresh), "are near copies")
            clips = {name: values[fresh] for name, values in clips.items()}
        store.write(path, settings, make(clips, settings["views"]))
        store.unclaim(path)


def clean(clips):
    return np.array(
        [
            image.stored(sound[image.attack(sound) :])
            for sound in (clip.astype(np.float32) / 32_768.0 for clip in clips["clip"])
        ]
    )
