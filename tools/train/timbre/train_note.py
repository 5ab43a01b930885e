"""Trains the network on single sounds: sounds of one instrument but of different makers are to be near.

The loss is supervised contrastive (Khosla et al. 2020) whose positives must be of another maker, which
is the task itself: find this instrument in a kit nobody has heard. Beside it stands a softmax over the
classes, which is what the guess of the class comes from, and one over General MIDI's programs.
"""

import glob
import math
import os
import time

import numpy as np
import torch
from torch.nn import functional

from . import classes, sources, validate
from .network import Network, as_input
from .store import log

TEMPERATURE = 0.1
PER_CLASS = 8  # sounds of one class in a batch
CORE = {"kick", "snare", "hat-closed", "hat-open", "tom", "crash", "ride", "clap", "cowbell", "tambourine", "sidestick"}
TAUGHT = 2.0  # how much teachers count
CORE_WEIGHT = 2.0  # these classes come into a batch twice as often


class Sounds:
    """All training pictures, drawn from by class, then source, then maker or preset, then sound."""

    def __init__(self, work, leave_out=(), whole=False):
        listed = {s["name"]: s for s in sources.listed("train") if s["name"] not in leave_out}
        paths = [os.path.join(work, "pictures", name + ".npz") for name in listed]
        if "synthesis" not in leave_out:
            paths += sorted(glob.glob(os.path.join(work, "pictures", "synthesis-*.npz")))
        self.picture, self.label, self.maker, self.program, self.sound = [], [], [], [], []
        makers, first_sound, self.cells = {}, 0, {}
        same = {name: s["same_maker_as"] for name, s in listed.items() if "same_maker_as" in s}
        offset = 0
        for path in paths:
            if not os.path.exists(path):
                continue
            data = dict(np.load(path))
            name = os.path.basename(path).removesuffix(".npz")
            if name in listed and not whole:
                used = sources.taken(listed[name], data["label"])
                data = {key: values[used] for key, values in data.items()}
            label = np.array([classes.CLASSES.index(name) for name in data["label"]])
            kind = name.split("-")[0]
            kind = same.get(kind, kind)
            # Presets of pitched instruments are drawn from alike, but one soundfont is one maker of them:
            # its presets have a sound in common, and to find them beside each other is not what is wanted.
            pitched = data["program"] >= 0
            maker = np.array([makers.setdefault(who, len(makers)) for who in np.where(pitched, kind, data["maker"])])
            drawn = np.where(pitched, data["kit"], data["maker"])
            _, sound = np.unique(data["source"], return_inverse=True)
            for index in range(len(label)):
                cell = self.cells.setdefault(int(label[index]), {}).setdefault(kind, {})
                cell.setdefault(str(drawn[index]), []).append(offset + index)
            self.picture.append(data["picture"])
            self.label.append(label)
            self.maker.append(maker)
            self.program.append(data["program"])
            self.sound.append(sound + first_sound)
            first_sound += sound.max() + 1
            offset += len(label)
        for name in ("picture", "label", "maker", "program", "sound"):
            setattr(self, name, np.concatenate(getattr(self, name)))
        weight = np.array([CORE_WEIGHT if classes.CLASSES[c] in CORE else 1.0 for c in self.cells])
        self.present, self.weight = np.array(list(self.cells)), weight / weight.sum()
        # A source with few sounds would be learnt by heart if it came as often
        # as a large one, and be drowned if every sound came as often.
        self.kinds = {label: (list(kinds.values()), self.shares(kinds.values())) for label, kinds in self.cells.items()}
        log(len(self.label), "pictures of", first_sound, "sounds,", len(makers), "makers,", len(self.cells), "classes")

    @staticmethod
    def shares(kinds):
        counts = np.array([sum(len(rows) for rows in makers.values()) for makers in kinds]) ** 0.35
        return counts / counts.sum()

    def batch(self, random, size):
        chosen = random.choice(self.present, size // PER_CLASS, p=self.weight, replace=False)
        rows = []
        for label in chosen:
            kinds, shares = self.kinds[int(label)]
            for kind in random.choice(len(kinds), PER_CLASS, p=shares):
                makers = kinds[kind]
                keys = list(makers)
                rows.append(random.choice(makers[keys[random.integers(len(keys))]]))
        rows = np.array(rows)
        return (
            as_input(self.picture[rows]),
            torch.from_numpy(self.label[rows]),
            torch.from_numpy(self.maker[rows]),
            torch.from_numpy(self.program[rows]).long(),
        )


def image_changes(x):
    """Changes in the picture, which cost next to nothing: tone, pitch, stretch, floor, masks, a cut."""
    count = len(x)
    curve = functional.interpolate(torch.randn(count, 1, 5) * 0.06, 64, mode="linear", align_corners=True)[
        :, 0, :, None
    ]
    tilt = torch.linspace(-1, 1, 64)[None, :, None] * torch.randn(count, 1, 1) * 0.05
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = torch.exp(torch.rand(count) * 0.4 - 0.2)
    theta[:, 0, 2] = theta[:, 0, 0] - 1
    theta[:, 1, 1] = 1
    theta[:, 1, 2] = torch.rand(count) * 0.12 - 0.06
    grid = functional.affine_grid(theta, (count, 1, 64, 128), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="zeros", align_corners=False)[:, 0]
    x = torch.where(x > 0, x + curve + tilt, x)
    x = (x - x.amax((1, 2), keepdim=True) + 1.0).clamp(0, 1)
    floor = torch.rand(count, 1, 1) * 0.35 * (torch.rand(count, 1, 1) < 0.4)
    x = torch.maximum(x, floor) - floor * (torch.rand(count, 1, 1) < 0.5)
    for index in torch.nonzero(torch.rand(count) < 0.2)[:, 0].tolist():
        first = int(torch.randint(0, 58, (1,)))
        x[index, first : first + int(torch.randint(2, 8, (1,)))] = 0
    for index in torch.nonzero(torch.rand(count) < 0.12)[:, 0].tolist():
        x[index, :, int(torch.randint(48, 124, (1,))) :] = 0
    return x[:, None].clamp(0, 1)


def contrastive(vectors, label, maker):
    similar = vectors @ vectors.T / TEMPERATURE
    own = torch.eye(len(vectors), dtype=torch.bool)
    same_class, same_maker = label[:, None] == label[None], maker[:, None] == maker[None]
    # The same class of the same maker is neither near nor far: left out.
    similar = similar.masked_fill(own | (same_class & same_maker), -1e4)
    positive = same_class & ~same_maker
    logarithm = similar - torch.logsumexp(similar, 1, keepdim=True)
    count = positive.sum(1)
    return -((logarithm * positive).sum(1)[count > 0] / count[count > 0]).mean()


def heard(network, x):
    # Half precision more than halves the time; the losses need the whole.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors, guess, description = (part.float() for part in network(x))
    return functional.normalize(vectors, dim=1), guess, description


def loss_of(network, x, label, maker, program, teachers=()):
    vectors, guess, description = heard(network, x)
    loss = contrastive(vectors, label, maker)
    loss = loss + 0.5 * functional.cross_entropy(guess, label, label_smoothing=0.05)
    known = program >= 0
    if known.any():
        loss = loss + 0.25 * functional.cross_entropy(
            network.program(network.drop(description[known])), program[known], label_smoothing=0.05
        )
    return loss + taught(vectors, guess, x, teachers) if teachers else loss


def taught(vectors, guess, x, teachers):
    """How far a network is from several others: in what is near to what (Park et al. 2019, with a softmax as in
    Fang et al. 2021), and in the guesses (Hinton et al. 2015)."""
    with torch.no_grad():
        told = [heard(teacher, x)[:2] for teacher in teachers]
        theirs = torch.stack([vector @ vector.T for vector, _ in told]).mean(0)
        guesses = torch.stack([functional.log_softmax(logits, 1) for _, logits in told]).mean(0).softmax(1)
    own = torch.eye(len(vectors), dtype=torch.bool)
    near = lambda similar: functional.log_softmax((similar / TEMPERATURE).masked_fill(own, -1e4), 1)
    apart = functional.kl_div(near(vectors @ vectors.T), near(theirs), reduction="batchmean", log_target=True)
    return TAUGHT * (apart + 0.5 * functional.kl_div(guess.log_softmax(1), guesses, reduction="batchmean"))


def of_file(path):
    """A trained network."""
    saved = torch.load(path, weights_only=False)
    if saved["classes"] != classes.CLASSES:
        raise ValueError(f"{path} was trained with other classes")
    network = Network(saved["width"])
    network.load_state_dict(saved["network"])
    return network.eval().to(memory_format=torch.channels_last)


def train(
    work,
    out,
    steps,
    batch=160,
    seed=0,
    width=1.0,
    rate=2e-3,
    leave_out=(),
    whole=False,
    threads=2,
    every=200,
    no_tail=False,
    first=None,
    teachers=(),
):
    """Trains for `steps` and writes `out`; goes on from `out`.state if a run was stopped.

    `first` is a trained network to begin with, `teachers` are networks whose answers count as well.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    sounds = Sounds(work, leave_out, whole)
    network = (of_file(first).train() if first else Network(width)).to(memory_format=torch.channels_last)
    teachers = [of_file(path) for path in teachers]
    weights = sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in network.program.parameters())
    log(weights, "weights that ship")
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=2e-2)
    step, average, losses, begun = 0, None, [], time.time()
    if os.path.exists(out + ".state"):
        state = torch.load(out + ".state", weights_only=False)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, average = state["step"], state["average"]
        random = np.random.default_rng((seed, step))
        log("going on from step", step)
    while step < steps:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        x, label, maker, program = sounds.batch(random, batch)
        x = image_changes(x)
        if no_tail:
            x[..., 96:] = 0
        loss = loss_of(network, x.contiguous(memory_format=torch.channels_last), label, maker, program, teachers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        losses.append(float(loss.detach()))
        if step > 0.5 * steps:  # the mean of the last weights does better than the last weights
            now = {k: v.detach().clone() for k, v in network.state_dict().items()}
            average = (
                now
                if average is None
                else {k: average[k] * 0.995 + v * 0.005 if v.is_floating_point() else v for k, v in now.items()}
            )
        if step % every == 0 or step == steps:
            shown = Network(width)
            shown.load_state_dict(average or network.state_dict())
            shown.eval()
            log(
                f"step {step} of {steps}, {(time.time() - begun) / 60:.1f} min, loss {np.mean(losses[-every:]):.3f}",
                validate.short(shown, work, no_tail),
            )
            torch.save(
                {
                    "network": network.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step,
                    "average": average,
                },
                out + ".state.part",
            )
            os.replace(out + ".state.part", out + ".state")
    torch.save(
        {
            "network": average or network.state_dict(),
            "classes": classes.CLASSES,
            "width": width,
            "steps": steps,
            "seed": seed,
        },
        out + ".part",
    )
    os.replace(out + ".part", out)
