"""The ONNX files of the model, checked against PyTorch, and fixtures for the Rust front end.

`timbre.onnx`: `mel` (n, 1, 64, 128) to `vector` (n, 96) and `logits` (n, classes), already divided by the
temperature. Any n. Plain convolutions, matrix products and means, opset 17. `timbre-piece.f32`: see `piece.py`.
"""

import json
import os
import time

import numpy as np
import onnxruntime
import torch
from torch import nn

from . import classes, dsp, image
from . import piece as pieces
from .store import log
from .whiten import unit

OPSET = 17
AGREEMENT = 1e-4


class Shipped(nn.Module):
    """The whitened network without what only training needs, and calibrated."""

    def __init__(self, whitened, temperature):
        super().__init__()
        self.network, self.spread, self.temperature = whitened.network, whitened.spread, temperature

    def forward(self, mel):
        description = self.network.describe(mel)
        vector = unit(self.spread(unit(self.network.vector(description))))
        return vector, self.network.guess(description) / self.temperature


def write(module, example, path, name, outputs):
    module.eval()
    # The exporter traces in the layout of its input; channels-last would leave transpositions.
    module.to(memory_format=torch.contiguous_format)
    axes = {key: {0: "n"} for key in (name, *outputs)}
    torch.onnx.export(
        module,
        (example[:2],),
        path,
        input_names=[name],
        output_names=list(outputs),
        opset_version=OPSET,
        dynamic_axes=axes,
        dynamo=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        ours = module(example)
    ours = ours if isinstance(ours, tuple) else (ours,)
    apart = max(float(np.abs(a.numpy() - b).max()) for a, b in zip(ours, session.run(None, {name: example.numpy()})))
    if apart > AGREEMENT:
        raise RuntimeError(
            f"{path} differs from PyTorch by {apart:.2g}, more than {AGREEMENT}: export with another opset"
        )
    spent = time.process_time()
    for _ in range(20):
        session.run(None, {name: example[:1].numpy()})
    spent = (time.process_time() - spent) / 20 * 1000
    log(
        f"{os.path.basename(path)}: {os.path.getsize(path)} bytes, {apart:.1g} from PyTorch, {spent:.2f} ms a window on one thread"
    )


def signal():
    """A sound that any language can make again: three decaying sines, a silence, and a burst of a linear congruence."""
    count = 2 * image.RATE
    time_ = np.arange(count) / image.RATE
    tone = sum(
        a * np.sin(2 * np.pi * f * time_) * np.exp(-time_ / d)
        for f, a, d in ((220.0, 0.5, 0.4), (1375.5, 0.3, 0.15), (6001.0, 0.2, 0.05))
    )
    state, burst = 12_345, np.zeros(count)
    for index in range(24_000, 32_000):
        state = (1_103_515_245 * state + 12_345) % 2**31
        burst[index] = 0.1 * (state / 2**30 - 1.0)
    return np.concatenate([np.zeros(1_000), tone + burst]).astype(np.float32)


def fixtures(shipped, weights, path):
    """The picture, its spectrum and the answers of `signal`, for tests of the front end (1e-4) and of the whole (1e-3).

    `measures` are made up, and `piece` is what the weights make of them.
    """
    measures = np.round(np.sin(0.37 * np.arange(weights.shape[1] - 1)), 6)
    samples = signal()
    start = image.attack(samples)
    picture = image.picture(samples[start:])
    with torch.no_grad():
        vector, logits = shipped(torch.from_numpy(picture)[None, None])
    found = pieces.vectors(weights.astype(np.float64), measures[None])[0]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(
            {
                "what": "timbre@7: see tools/train/timbre/export.py, `signal`",
                "rate": image.RATE,
                "attack": int(start),
                "shape": [image.BANDS, image.COLUMNS],
                "picture": [round(float(v), 6) for v in picture.ravel()],
                "spectrum": [round(float(v), 6) for v in pieces.spectrum_of(picture[None, :, : image.FINE])],
                "vector": [round(float(v), 7) for v in vector[0]],
                "logits": [round(float(v), 5) for v in logits[0]],
                "measures": [float(v) for v in measures],
                "piece": [round(float(v), 7) for v in found],
            },
            file,
        )
        file.write("\n")


def run(network, weights, temperature, folder):
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(2)
    example = torch.from_numpy(
        np.stack([image.picture(dsp.noise(random, 40_000) * dsp.decay(0.1 * (i + 1), 40_000)) for i in range(4)])
    )[:, None]
    shipped = Shipped(network, temperature)
    write(shipped, example, os.path.join(folder, "timbre.onnx"), "mel", ("vector", "logits"))
    weights.astype("<f4").tofile(os.path.join(folder, "timbre-piece.f32"))
    with open(os.path.join(folder, "timbre-classes.json"), "w", encoding="utf-8") as file:
        json.dump({"classes": classes.CLASSES, "temperature": temperature}, file, indent=1)
    fixtures(shipped, weights, os.path.join(folder, "timbre-fixture.json"))
