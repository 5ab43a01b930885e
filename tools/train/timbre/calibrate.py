"""Makes the guess of the class say how often it is right: one temperature, and where "unsure" begins.

The temperature is the one under which the right classes of validation sounds are likeliest, each maker
weighing the same. It is judged on makers that it was not fitted on, half of them in turn.
"""

import json

import numpy as np

from . import classes, validate

BINS = 10
SURE = 0.5  # below this probability the product says "unsure"
HALVES = 200


def softmax(logits):
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def weights_of(makers):
    """Weights under which every maker counts the same, of sum 1."""
    names, count = np.unique(makers, return_counts=True)
    size = dict(zip(names, count))
    return np.array([1 / size[maker] for maker in makers]) / len(names)


def surprise(logits, answers, weights, temperature):
    chosen = softmax(logits / temperature)[np.arange(len(answers)), answers]
    return -(weights * np.log(chosen + 1e-12)).sum()


def fit(logits, answers, makers):
    """The temperature of the least surprise, of 80 between 0.25 and 8."""
    weights = weights_of(makers)
    choices = np.exp(np.linspace(np.log(0.25), np.log(8), 80))
    return float(min(choices, key=lambda t: surprise(logits, answers, weights, t)))


def error(probabilities, right, weights):
    """Expected calibration error: how far confidence and success lie apart, over BINS of confidence."""
    confidence = probabilities.max(1)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs((weights * (right - confidence))[bins == b].sum()) for b in range(BINS)))


def known(sounds):
    return np.flatnonzero(np.isin(sounds["label"], classes.CLASSES) & (sounds["is_drum"] | sounds["is_note"]))


def run(network, work, out):
    """Writes temperature, errors and a table of confidence against success."""
    sounds = validate.loaded(work)
    _, logits, _ = validate.heard(network, sounds["picture"])
    rows = known(sounds)
    logits, makers = logits[rows], sounds["maker"][rows]
    answers = np.array([classes.CLASSES.index(name) for name in sounds["label"][rows]])
    # An open hat taken for a closed one is a hat.
    coarse = np.array([classes.coarse(name) for name in classes.CLASSES])
    right = lambda p, a: coarse[p.argmax(1)] == coarse[a]
    weights = weights_of(makers)
    temperature = fit(logits, answers, makers)
    random, errors, names = np.random.default_rng(5), [], sorted(set(makers))
    for _ in range(HALVES):
        half = set(random.permutation(names)[: len(names) // 2])
        mine = np.array([maker in half for maker in makers])
        t = fit(logits[mine], answers[mine], makers[mine])
        p = softmax(logits[~mine] / t)
        errors.append(error(p, right(p, answers[~mine]), weights_of(makers[~mine])))
    p = softmax(logits / temperature)
    confidence, hit = p.max(1), right(p, answers)
    table = []
    for low in np.arange(0, 1, 0.1):
        inside = (confidence >= low) & (confidence < low + 0.1 + (low > 0.85))
        if inside.any():
            share = weights[inside] / weights[inside].sum()
            table.append(
                {
                    "from": round(float(low), 1),
                    "sounds": int(inside.sum()),
                    "confidence": round(float((share * confidence[inside]).sum()), 3),
                    "right": round(float((share * hit[inside]).sum()), 3),
                }
            )
    sure = confidence >= SURE
    found = {
        "temperature": temperature,
        "sure_from": SURE,
        "sure_share": float(weights[sure].sum()),
        "right_when_sure": float((weights[sure] * hit[sure]).sum() / weights[sure].sum()),
        "right": float((weights * hit).sum()),
        "error_fitted": error(p, hit, weights),
        "error_other_makers": [float(x) for x in (np.mean(errors), *np.quantile(errors, [0.025, 0.975]))],
        "table": table,
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    return found
