"""Single notes of the physical models of the Synthesis ToolKit, through its `stk-demo`, cut to clips at 32 kHz."""

import os
import subprocess
import tempfile

import numpy as np
import soundfile

from . import classes, image
from .recorded import to_clip
from .soundfont import GAP_SECONDS, LEAD_SECONDS
from .store import Collector

# Its name, its preset if it has some, the General MIDI program that it is, and its keys.
MODELS = [
    ("Rhodey", None, 4, (40, 86)),
    ("Wurley", None, 5, (40, 86)),
    ("ModalBar", 1, 11, (53, 86)),
    ("ModalBar", 0, 12, (45, 86)),
    ("TubeBell", None, 14, (50, 80)),
    ("BeeThree", None, 16, (40, 86)),
    ("Plucked", None, 25, (40, 80)),
    ("Mandolin", None, 25, (50, 86)),
    ("HevyMetl", None, 30, (40, 76)),
    ("Moog", None, 38, (28, 50)),
    ("Bowed", None, 40, (48, 86)),
    ("Brass", None, 56, (46, 80)),
    ("Saxofony", None, 65, (46, 78)),
    ("Clarinet", None, 71, (48, 84)),
    ("BlowHole", None, 71, (48, 84)),
    ("Flute", None, 73, (58, 86)),
    ("Recorder", None, 74, (58, 86)),
    ("BlowBotl", None, 76, (48, 84)),
    ("Sitar", None, 104, (45, 76)),
    ("VoicForm", None, 53, (45, 76)),
    ("FMVoices", None, 53, (45, 76)),
]
NOTES = 36
PRESET = 16  # the controller that chooses it
LEAST = 3e-3  # a note whose peak is below this was not there


def score(notes, preset):
    """A SKINI file of notes (key, velocity, seconds), whose times count from the line before."""
    lines = [] if preset is None else [f"ControlChange 0.0 1 {PRESET} {preset}"]
    rest = 0.5
    for key, velocity, seconds in notes:
        lines += [f"NoteOn {rest:.3f} 1 {key} {velocity}", f"NoteOff {seconds:.3f} 1 {key} 64"]
        rest = GAP_SECONDS - seconds
    return "\n".join([*lines, ""])


def render(program, model, preset, notes, folder):
    with tempfile.TemporaryDirectory(dir=folder) as work:
        text, sound = os.path.join(work, "notes.ski"), os.path.join(work, "notes.wav")
        with open(text, "w", encoding="ascii") as file:
            file.write(score(notes, preset))
        done = subprocess.run(
            [program, model, "-ow", sound, "-n", "1", "-s", str(image.RATE), "-if", text],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0 or not os.path.exists(sound):
            raise RuntimeError(f"stk-demo could not play {model}: {done.stderr.strip()}; install Debian's package stk")
        return soundfile.read(sound, dtype="float32", always_2d=True)[0].mean(1)


def clips(program, name, folder):
    """A Collector of notes of all models, loud and soft, long and short."""
    found = Collector()
    random = np.random.default_rng(3)
    for model, preset, number, keys in MODELS:
        notes = [
            (int(random.integers(*keys)), int(random.integers(45, 126)), float(random.choice([0.25, 0.6, 1.2, 2.4])))
            for _ in range(NOTES)
        ]
        sound = render(program, model, preset, notes, folder)
        for index, (key, velocity, seconds) in enumerate(notes):
            start = int((0.5 + index * GAP_SECONDS - LEAD_SECONDS) * image.RATE)
            part = sound[start : start + image.SAMPLES]
            if np.abs(part).max(initial=0.0) < LEAST:
                continue
            kit = f"{name}:{model}{'' if preset is None else preset}"
            clip = to_clip(part[:, None], image.RATE)
            if clip is not None:
                source = f"{kit}:{index}:{key}:{velocity}:{seconds}"
                found.add(clip, classes.program_label(number), name, kit, source, number)
    return found
