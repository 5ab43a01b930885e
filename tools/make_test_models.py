#!/usr/bin/env python3
"""Makes the models that crates/models is tested with, and what PyTorch and
transformers say they hear: crates/models/tests/fixtures/models.

    make_test_models.py [--out DIR]
    make_test_models.py --real-outlines

Needs what export_models.py needs. The models are CLAP, fused CLAP, Wav2Vec2 and
MERT of a tiny size with random weights; their inputs, outputs and operators are
those of the real ones. The weights come from a seed, but not the same ones from
every version of torch.

What the real ones have is in real_outlines.json beside them, which a test in
Rust compares with the models. `--real-outlines` writes it anew from exports of
the real sizes; that takes 4 GB of memory and a few minutes, and is only needed
after a change to export_models.py or another version of torch.
"""

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import tempfile

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from tokenizers import Tokenizer
from transformers import ClapFeatureExtractor, Wav2Vec2FeatureExtractor

import export_models

HERE = os.path.dirname(os.path.abspath(__file__))
KNOWN = os.path.join(HERE, "../crates/models/src/known")
OUT = os.path.join(HERE, "../crates/models/tests/fixtures/models")

TEXTS = [
    "calm piano",
    "a 90s hip-hop beat, lo-fi and dusty",
    "naïve café 東京 🎵",
    "  leading  spaces",
    "",
    "warm analogue pad " * 200,
]


def noise(count, seed):
    """Uniform in [-0.5, 0.5); `tests/it/embedding/signal.rs` has the same."""
    values, state = np.empty(count, dtype=np.float64), seed
    for n in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values[n] = (state >> 8) / 2**24 - 0.5
    return values


def signal(kind, rate, seconds):
    """16-bit samples of a signal; `tests/it/embedding/signal.rs` has the same."""
    count = round(rate * seconds)
    t = np.arange(count) / rate
    if kind == "noise":
        x = 0.4 * noise(count, 1)
    elif kind == "sine":
        x = 0.5 * np.sin(2 * math.pi * 440 * t)
    elif kind == "quiet":
        x = 0.001 * noise(count, 2)
    elif kind == "silence":
        x = 0 * t
    elif kind == "chirp":
        x = 0.3 * np.sin(2 * math.pi * (100 + 300 * t) * t)
    elif kind == "music":
        # Four chords of two seconds each, over and over, with a beat.
        chords = [(220.0, 277.2, 329.6), (174.6, 220.0, 261.6), (261.6, 329.6, 392.0), (196.0, 246.9, 293.7)]
        bar = np.floor(t / 2).astype(int) % 4
        x = np.zeros(count)
        for index, chord in enumerate(chords):
            for voice, hz in enumerate(chord):
                x += np.where(bar == index, 0.1 * np.sin(2 * math.pi * hz * (voice + 1) * t), 0)
        x += 0.5 * noise(count, 3) * np.exp(-(t % 0.5) * 30)
    else:
        raise ValueError(kind)
    return np.round(x * 32767).astype(np.int16)


def floats(samples):
    return samples.astype(np.float32) / np.float32(32768)


def windows(x, length):
    """songrec's windows with their weights."""
    if len(x) <= length:
        return [(x, 1.0)]
    starts = list(range(0, len(x) - length + 1, length))
    cut = [(x[start:start + length], float(length)) for start in starts]
    rest = len(x) - (starts[-1] + length)
    if rest:
        cut.append((x[len(x) - length:], float(rest)))
    return cut


def pooled(vectors, weights):
    mean = np.average(np.asarray(vectors, dtype=np.float64), axis=0, weights=weights)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def numbers(array):
    return [float(f"{value:.9g}") for value in np.asarray(array, dtype=np.float32).ravel()]


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def operators(graph):
    found = set()
    for node in graph.node:
        found.add(node.op_type)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found |= operators(attribute.g)
    return found


def describe(folder, known, name, replace=(), reads=True):
    """Writes model.toml: the built-in description with digests and a name."""
    with open(f"{KNOWN}/{known}.toml") as file:
        text = file.read()
    if not reads:
        text = text[:text.index("[text]")].rstrip() + "\n"
        replace = ()
        os.remove(f"{folder}/clap_text.onnx")
        os.remove(f"{folder}/tokenizer.json")
    text = re.sub(r'description = ".*"', 'description = "tiny, of random weights, for tests"', text)
    text = text.replace(f'name = "{known}@0"', f'name = "{name}"')
    for old, new in replace:
        assert old in text, old
        text = text.replace(old, new)
    lines = []
    for line in text.splitlines():
        lines.append(line)
        if line.startswith("file = "):
            lines.append(f'sha256 = "{digest(os.path.join(folder, line.split(chr(34))[1]))}"')
    with open(f"{folder}/model.toml", "w") as file:
        file.write("\n".join(lines) + "\n")


def hear_clap(audio, extractor, samples, channels):
    vectors, weights = [], []
    for window, weight in windows(floats(samples), 480_000):
        features = extractor(window, sampling_rate=48_000, return_tensors="pt")["input_features"]
        assert features.shape[1] == channels, features.shape
        with torch.inference_mode():
            vectors.append(audio(features)[0].numpy())
        weights.append(weight)
    return pooled(vectors, weights)


def clap(out, name, extractor):
    folder = f"{out}/{name}-tiny@1"
    os.makedirs(folder)
    model = export_models.random_clap(name, "tiny")
    audio, text = export_models.export_clap(name, model, folder)
    fused = name == "clap-fused"
    describe(folder, name, f"{name}-tiny@1", [("max_length = 512", "max_length = 40")], reads=not fused)
    channels = 4 if fused else 1
    songs = {}
    for kind, seconds in (("music", 23.0), ("music", 2.5), ("noise", 10.0), ("sine", 4.0)):
        songs[f"{kind} {seconds}"] = numbers(
            hear_clap(audio, extractor, signal(kind, 48_000, seconds), channels))
    if fused:  # It reads as the other one does.
        return {"songs": songs}
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_truncation(40)
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    encoded = tokenizer.encode_batch(TEXTS)
    ids = torch.tensor([e.ids for e in encoded])
    mask = torch.tensor([e.attention_mask for e in encoded])
    with torch.inference_mode():
        read = text(ids, mask).numpy()
    return {
        "songs": songs,
        "texts": [
            {"text": t, "ids": e.ids, "mask": e.attention_mask, "vector": numbers(vector)}
            for t, e, vector in zip(TEXTS, encoded, read)
        ],
    }


def waveform(out, name, rate):
    folder = f"{out}/{name}-tiny@1"
    os.makedirs(folder)
    model, head = export_models.random_waveform(name, "tiny")
    wrapped = export_models.export_waveform(name, model, head, folder)
    describe(folder, name, f"{name}-tiny@1")
    songs = {}
    for kind, seconds in (("music", 23.0), ("music", 2.5), ("chirp", 10.0)):
        vectors, weights = [], []
        for window, weight in windows(floats(signal(kind, rate, seconds)), 10 * rate):
            with torch.inference_mode():
                vectors.append(wrapped(torch.from_numpy(window)[None])[0].numpy())
            weights.append(weight)
        songs[f"{kind} {seconds}"] = numbers(pooled(vectors, weights))
    return {"songs": songs}


def front_ends(out):
    """What transformers' extractors make of signals: every 40th frame."""
    slaney = ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation="rand_trunc")
    fusion = ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation="fusion")
    for scale, extractor in (("slaney", slaney), ("htk", fusion)):
        for kind, seconds in (("noise", 10), ("sine", 10), ("quiet", 10), ("silence", 10), ("chirp", 10), ("music", 3)):
            x = floats(signal(kind, 48_000, seconds))
            features = extractor(x, sampling_rate=48_000, return_tensors="np")["input_features"][0]
            for channel in features:
                assert np.array_equal(channel, features[0])
            np.save(f"{out}/front-end/{scale}-{kind}.npy", features[0][::40].astype("<f4"))
    wav2vec2 = Wav2Vec2FeatureExtractor(do_normalize=True)
    x = floats(signal("music", 16_000, 2)) * np.float32(0.1) + np.float32(0.2)
    values = wav2vec2(x, sampling_rate=16_000, return_tensors="np")["input_values"][0]
    np.save(f"{out}/front-end/normalized-music.npy", values[::97].astype("<f4"))
    return slaney, fusion


def odd_files(out):
    """Files that a model may have and that need care."""
    size = helper.make_tensor("size", TensorProto.INT64, [4], [1, 1, 8, 8])
    resize = helper.make_node("Resize", ["x", "", "", "size"], ["y"], name="stretch", mode="cubic")
    # Inside a branch, where it is easily overlooked.
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    then = helper.make_graph([resize], "then", [], [value("y", [1, 1, 8, 8])], [size])
    other = helper.make_graph([helper.make_node("Concat", ["x", "x"], ["z1"], axis=2),
                               helper.make_node("Concat", ["z1", "z1"], ["z"], axis=3)],
                              "else", [], [value("z", [1, 1, 16, 16])])
    graph = helper.make_graph(
        [helper.make_node("If", ["condition"], ["out"], then_branch=then, else_branch=other)], "cubic",
        [helper.make_tensor_value_info("condition", TensorProto.BOOL, []), value("x", [1, 1, 4, 4])],
        [value("out", [1, 1, "height", "width"])])
    write(graph, f"{out}/odd/cubic.onnx")

    # As transformers exports Wav2Vec2: `input_values` to a vector each frame.
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [0, -1, 8])
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["input_values", "shape"], ["last_hidden_state"])], "frames",
        [value("input_values", ["batch", "samples"])], [value("last_hidden_state", ["batch", "frames", 8])], [shape])
    write(graph, f"{out}/odd/frames.onnx")


def write(graph, path):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def outline(path):
    """Inputs, outputs and operators of an ONNX file; None where any size does."""
    graph = onnx.load(path).graph

    def ports(values):
        return {
            value.name: [size.dim_value or None for size in value.type.tensor_type.shape.dim] for value in values
        }

    return {"inputs": ports(graph.input), "outputs": ports(graph.output), "operators": sorted(operators(graph))}


def real_outlines():
    """Outlines of the real models, by the test model's name and by file."""
    found = {}
    for name in ("clap", "clap-fused", "wav2vec2", "mert"):
        with tempfile.TemporaryDirectory() as folder:
            if name.startswith("clap"):
                export_models.export_clap(name, export_models.random_clap(name, "real"), folder)
            else:
                export_models.export_waveform(name, *export_models.random_waveform(name, "real"), folder)
            files = sorted(file for file in os.listdir(folder) if file.endswith(".onnx"))
            found[f"{name}-tiny@1"] = {file: outline(f"{folder}/{file}") for file in files}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=OUT)
    parser.add_argument("--real-outlines", action="store_true", help="write real_outlines.json and nothing else")
    args = parser.parse_args()
    outlines = f"{args.out}/real_outlines.json"
    if args.real_outlines:
        with open(outlines, "w") as file:
            json.dump(real_outlines(), file, indent=1)
            file.write("\n")
        return
    for folder in ("front-end", "odd", "clap-tiny@1", "clap-fused-tiny@1", "wav2vec2-tiny@1", "mert-tiny@1"):
        shutil.rmtree(f"{args.out}/{folder}", ignore_errors=True)
    os.makedirs(f"{args.out}/front-end")
    os.makedirs(f"{args.out}/odd")
    slaney, fusion = front_ends(args.out)
    expected = {
        "clap-tiny@1": clap(args.out, "clap", slaney),
        "clap-fused-tiny@1": clap(args.out, "clap-fused", fusion),
        "wav2vec2-tiny@1": waveform(args.out, "wav2vec2", 16_000),
        "mert-tiny@1": waveform(args.out, "mert", 24_000),
    }
    odd_files(args.out)
    for name, model in expected.items():
        vectors = np.array(list(model["songs"].values()))
        print(name, "cosines between songs:", np.round((vectors @ vectors.T)[0, 1:], 3))
    with open(f"{args.out}/expected.json", "w") as file:
        json.dump(expected, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
