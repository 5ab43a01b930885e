"""Whitens the network's vectors: what sounds seldom differ in counts as much as what they often differ in.

The vectors of all sounds lie in a cone, and most of what they differ in lies in few directions. So the centre is
taken away, and each direction is divided by the deviation in it, as ZCA whitening does (Bell and Sejnowski 1997);
no direction by less than `FLOOR` of the largest variance allows, because the rest is noise. Both are
fitted on training sounds, drawn as training draws them.
"""

import os

import numpy as np
import torch

from .store import log

SOUNDS, BATCH = 20_000, 160
FLOOR = 0.1  # of the largest variance
SEED = 6


@torch.no_grad()
def run(network, sounds, out):
    """Writes `weight` (96, 96) and `bias` (96): a vector of length 1 to its whitened one, before it gets length 1 again."""
    random = np.random.default_rng(SEED)
    vectors = torch.cat([network(sounds.batch(random, BATCH)[0])[0] for _ in range(SOUNDS // BATCH)]).double().numpy()
    centre = vectors.mean(0)
    variance, directions = np.linalg.eigh(np.cov((vectors - centre).T, bias=True))
    weight = directions / np.sqrt(np.maximum(variance, FLOOR * variance.max())) @ directions.T
    log(f"whitening: {(variance > FLOOR * variance.max()).sum()} of {len(variance)} directions are over the floor")
    np.savez(out + ".part.npz", weight=weight, bias=-weight @ centre)
    os.replace(out + ".part.npz", out)


class Whitened(torch.nn.Module):
    """A trained network with whitened vectors."""

    def __init__(self, network, path):
        super().__init__()
        fitted = np.load(path)
        self.network = network
        self.spread = torch.nn.Linear(*fitted["weight"].shape[::-1])
        with torch.no_grad():
            self.spread.weight.copy_(torch.from_numpy(fitted["weight"]))
            self.spread.bias.copy_(torch.from_numpy(fitted["bias"]))

    def forward(self, pictures):
        """As `Network`."""
        vectors, guess, description = self.network(pictures)
        return unit(self.spread(vectors)), guess, description


def unit(vectors):
    # Spelled out: rten reads a reduction and a division, not every export of `normalize`.
    return vectors / torch.sqrt((vectors * vectors).sum(1, keepdim=True) + 1e-12)
