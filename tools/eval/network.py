"""The class of sounds as the shipped network says it, which the program rounds to words of instruments."""

import os
import sys

import numpy as np
import onnxruntime
import soundfile
import soxr

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))

from timbre import classes, image  # noqa: E402

STEP = image.RATE  # from one window to the next, as in crates/models/src/timbre/windows.rs


def windows(file):
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(1), rate, image.RATE)
    mono = mono[image.attack(mono) :]
    starts = range(0, max(1, len(mono) - image.SAMPLES + 1), STEP)
    return np.array([image.picture(mono[start:]) for start in starts])


def logits_of(files, root):
    path = os.path.join(root, "crates", "models", "models", "timbre.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    heard = lambda file: session.run(["logits"], {"mel": windows(file)[:, None]})[0].mean(0)
    return np.array([heard(file) for file in files])


def classes_of(files, root):
    """Of each file the best of the nine classes, the best of all, and the probability of that one."""
    logits = logits_of(files, root)
    raised = np.exp(logits - logits.max(1, keepdims=True))
    shares = raised / raised.sum(1, keepdims=True)
    names = [classes.coarse(name) for name in classes.CLASSES]
    coarse = sorted(set(names))
    added = np.stack([shares[:, [name == label for name in names]].sum(1) for label in coarse], 1)
    nine = np.array([label in classes.NINE for label in coarse])
    best = added.argmax(1)
    return np.array(coarse)[np.where(nine, added, -1).argmax(1)], np.array(coarse)[best], added.max(1)
