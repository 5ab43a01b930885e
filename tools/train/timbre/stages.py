"""The stages of `make.py`, by name."""

import os

from . import music_data, pictures, piece, sources, synthesis
from .store import log


def model(options, end, name=None):
    folder = os.path.join(options.work, "models")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, (name or options.name) + end)


def train(options):
    from . import train_note

    if not os.path.exists(model(options, ".pt")):
        train_note.train(
            options.work,
            model(options, ".pt"),
            options.steps,
            seed=options.seed,
            width=options.width,
            leave_out=options.leave_out,
            whole=options.whole,
            threads=options.threads,
            no_tail=options.no_tail,
            rate=options.rate,
            first=model(options, ".pt", options.first) if options.first else None,
            teachers=[model(options, ".pt", name) for name in options.teachers],
        )


def whitening(options):
    from . import train_note, whiten

    if not os.path.exists(model(options, ".whitening.npz")):
        network = train_note.of_file(model(options, ".pt"))
        sounds = train_note.Sounds(options.work, options.leave_out)
        whiten.run(network, sounds, model(options, ".whitening.npz"))


def values(options):
    from . import values45

    values45.run(options.work)


def music(options):
    music_data.run(options.work, options.composers)
    piece.measure(options.work, options.songrec)


def network_of(options):
    from . import train_note, whiten

    return whiten.Whitened(train_note.of_file(model(options, ".pt")), model(options, ".whitening.npz")).eval()


def figures(options):
    """Validation figures, beside the 45 values, into models/NAME.figures.json."""
    import json

    import numpy as np

    from . import classes, validate, values45

    network = network_of(options)
    sounds = validate.loaded(options.work)
    vectors, logits, _ = validate.heard(network, sounds["picture"], options.no_tail)
    known = values45.standardised(options.work, sounds)
    found = {"network": validate.figures(vectors, logits, sounds)}
    for name, side in (("values", validate.unit(known)), ("joined", validate.joined(vectors, known))):
        found[name] = {
            "drums": validate.retrieval(side, sounds, sounds["is_drum"], sounds["nine"]),
            "families": validate.retrieval(side, sounds, sounds["is_note"], sounds["family"]),
        }
    rows = np.flatnonzero(sounds["is_drum"])
    found["drums by class"] = {
        kind: {
            name: round(
                float(
                    validate.nearest_is_same(side[rows], sounds["nine"][rows], sounds["maker"][rows])[
                        sounds["nine"][rows] == kind
                    ].mean()
                ),
                3,
            )
            for name, side in (
                ("values", validate.unit(known)),
                ("network", vectors),
                ("joined", validate.joined(vectors, known)),
            )
        }
        for kind in classes.NINE
        if (sounds["nine"][rows] == kind).any()
    }
    with open(model(options, ".figures.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    log_figures(found)


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [round(item, 3) for item in value] if isinstance(value, (list, tuple)) else value


def log_figures(found):
    for name, part in found.items():
        for key, value in part.items():
            log(name, key, rounded(value))


def calibrated(options):
    from . import calibrate

    found = calibrate.run(network_of(options), options.work, model(options, ".calibration.json"))
    log({key: value for key, value in found.items() if key != "table"})
    return found


def pieces(options):
    """Fits what tells pieces apart, and judges it by music that trained nothing."""
    piece.run(options.work, model(options, ".piece"))


def exported(options):
    import json

    import numpy as np

    from . import export

    with open(model(options, ".calibration.json"), encoding="utf-8") as file:
        temperature = json.load(file)["temperature"]
    weights = np.fromfile(model(options, ".piece.f32"), "<f4").reshape(piece.KEPT, -1)
    export.run(network_of(options), weights, temperature, model(options, ".onnx.d"))


SHIPPED = os.path.join(os.path.dirname(__file__), "..", "..", "..", "crates", "models", "models")


def shipped(options):
    """Copies what `export` wrote to where songrec reads it when it is built. Only when asked for."""
    import shutil

    folder = model(options, ".onnx.d")
    for name in sorted(os.listdir(folder)):
        shutil.copyfile(os.path.join(folder, name), os.path.join(SHIPPED, name))


STAGES = {
    "fetch": lambda options: sources.fetch(options.work),
    "clips": lambda options: sources.clips(options.work),
    "synthesis": lambda options: synthesis.run(options.work, options.kits),
    "pictures": lambda options: pictures.run(options.work),
    "values": values,
    "music": music,
    "train": train,
    "whiten": whitening,
    "figures": figures,
    "calibrate": calibrated,
    "piece": pieces,
    "export": exported,
    "ship": shipped,
}
NOT_BY_THEMSELVES = ("ship",)  # change the repository
