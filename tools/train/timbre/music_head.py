"""The music head: what the network heard in all windows of a piece, to one vector.

The network stays as it is. The mean and the deviation over the windows of its 576-value description
go through two layers, trained so that two excerpts of one composed piece are near. Pieces by one
composer are pulled together too, but less.
"""

import glob
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import music_data, store, validate
from .network import DESCRIPTION

DIMENSIONS = 64
HIDDEN = 192
TEMPERATURE = 0.08
COMPOSER = 0.3  # of the loss
BATCH_COMPOSERS, BATCH_STEPS = 24, 3000
SEED = 11


class MusicHead(nn.Module):
    """Mean and deviation (n, 1152) to unit vectors (n, 64)."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * DESCRIPTION))
        self.register_buffer("scale", torch.ones(2 * DESCRIPTION))
        self.first = nn.Linear(2 * DESCRIPTION, HIDDEN)
        self.second = nn.Linear(HIDDEN, DIMENSIONS)
        self.drop = nn.Dropout(0.3)

    def forward(self, statistics):
        x = (statistics - self.mean) * self.scale
        return functional.normalize(self.second(self.drop(functional.relu(self.first(self.drop(x))))), dim=1)


def statistics(descriptions):
    """Windows (n, w, 576) to mean and deviation (n, 1152)."""
    return np.concatenate([descriptions.mean(1), descriptions.std(1)], 1)


def described(network, pictures):
    """Excerpts (n, w, 64, 128) to note vectors (n, w, 96) and descriptions (n, w, 576)."""
    count, windows = pictures.shape[:2]
    vectors, _, descriptions = validate.heard(network, pictures.reshape(count * windows, *pictures.shape[2:]))
    return vectors.reshape(count, windows, -1), descriptions.reshape(count, windows, -1)


def load(network, work):
    """Statistics (n, 3, 1152) of all composed excerpts, of the whole and of each half, and what is known of them."""
    rows, names = [], {"piece": [], "composer": [], "excerpt": []}
    for path in sorted(glob.glob(os.path.join(work, "music", "composed-*.npz"))):
        data = np.load(path)
        pictures = data["picture"]
        _, descriptions = described(network, pictures)
        half = pictures.shape[1] // 2
        parts = (descriptions, descriptions[:, :half], descriptions[:, half:])
        rows.append(np.stack([statistics(part) for part in parts], 1))
        for name, values in names.items():
            values.append(data[name])
    return np.concatenate(rows).astype(np.float32), {name: np.concatenate(parts) for name, parts in names.items()}


def train(network, work, steps=BATCH_STEPS, seed=SEED):
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    rows, known = load(network, work)
    head = MusicHead()
    flat = torch.from_numpy(rows[:, 0])
    head.mean.copy_(flat.mean(0))
    head.scale.copy_(1 / (flat.std(0) + 1e-3))
    composers = np.unique(known["composer"])
    of_composer = {c: np.flatnonzero(known["composer"] == c) for c in composers}
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=5e-2)
    losses = []
    head.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
        chosen = random.choice(composers, min(BATCH_COMPOSERS, len(composers)), replace=False)
        index = np.concatenate([of_composer[c] for c in chosen])
        part = np.where(
            random.random(len(index)) < 0.5, 0, random.integers(1, 3, len(index))
        )  # all, or half of the windows
        x = torch.from_numpy(rows[index, part])
        # The level of a master and of the network's channels is not what tells pieces apart.
        x = x + torch.randn_like(x) * 0.1 / head.scale
        vectors = head(x)
        piece, composer = torch.from_numpy(known["piece"][index]), torch.from_numpy(known["composer"][index])
        loss = contrastive(vectors, piece) + COMPOSER * contrastive(vectors, composer)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    store.log(f"music head: {len(rows)} excerpts, loss {np.mean(losses[:50]):.3f} to {np.mean(losses[-50:]):.3f}")
    return head.eval()


def contrastive(vectors, names):
    own = torch.eye(len(vectors), dtype=torch.bool)
    similar = (vectors @ vectors.T / TEMPERATURE).masked_fill(own, -1e4)
    positive = (names[:, None] == names[None]) & ~own
    logarithm = similar - torch.logsumexp(similar, 1, keepdim=True)
    count = positive.sum(1)
    return -((logarithm * positive).sum(1)[count > 0] / count[count > 0]).mean()


def nearest(vectors, names, barred):
    """Share of excerpts whose nearest, none of `barred`'s own, has the same name; and of names that have another."""
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -9)
    if barred is not None:
        similar[barred[:, None] == barred[None]] = -9
    return names[similar.argmax(1)] == names


@torch.no_grad()
def vectors_of(network, head, pictures):
    """The note vectors' mean and the music vectors of excerpts, both of unit length."""
    vectors, descriptions = described(network, pictures)
    return validate.unit(vectors.mean(1)), head(torch.from_numpy(statistics(descriptions))).numpy()


def judge(network, head, work):
    """Same piece and same composer among held-out pieces, one soundfont at a time; intervals over composers.

    The same composer is to be the nearest of another piece.
    """
    found = {}
    for soundfont in music_data.HELD:
        data = np.load(os.path.join(work, "music", f"held-{soundfont}.npz"))
        note, music = vectors_of(network, head, data["picture"])
        known = validate.unit(music_data.whitened(data["values"]))
        both = validate.unit(np.concatenate([note, music], 1))
        sides = {
            "note": note,
            "music": music,
            "both": both,
            "values": known,
            "values+music": validate.joined(known, music),
            "values+both": validate.joined(known, both),
        }
        for name, vectors in sides.items():
            piece = nearest(vectors, data["piece"], None)
            others = nearest(vectors, data["composer"], data["piece"])
            found[f"{soundfont} {name}"] = {
                "piece": validate.over_makers(piece, data["composer"]),
                "composer": validate.over_makers(others, data["composer"]),
            }
        for index, copy in enumerate(music_data.COPIES):
            changed_note, changed_music = vectors_of(network, head, data["copies"][:, index])
            changed = validate.unit(np.concatenate([changed_note, changed_music], 1))
            first = (changed @ both.T).argmax(1) == np.arange(len(both))
            found[f"{soundfont} found after: {copy}"] = {"first": validate.over_makers(first, data["composer"])}
        found[f"{soundfont} chance"] = {
            "composer": [float(np.mean([(data["composer"] == c).mean() for c in data["composer"]]))]
        }
    return found
