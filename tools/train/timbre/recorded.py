"""Clips out of folders of sound files whose names say what they are, and out of GUS patches."""

import glob
import os
import re
import struct

import numpy as np
import soundfile
import soxr

from . import classes, image
from .store import Collector, log

FULL = 30_000  # of 32,767: the peak that clips are brought to

# For each source: (class, pattern of the file's name). The
# first that fits counts; a file that none fits is not used.
SONIC_PI = [
    ("cowbell", "cowbell"),
    ("hat-closed", "cymbal_(closed|pedal)"),
    ("hat-open", "cymbal_open"),
    ("crash", "drum_(splash|cymbal)|elec_cymbal"),
    ("snare", "^drum_snare|^sn_|elec_.*snare"),
    ("kick", "^bd_|elec_.*kick|drum_(bass|heavy_kick)"),
    ("tom", "^drum_tom|elec_fuzz_tom"),
]
LMMS = [
    ("kick", "^(bassdrum|kick)"),
    ("clap", "^clap"),
    ("crash", "^crash"),
    ("hat-closed", "^hihat_(closed|foot)"),
    ("hat-open", "^hihat_opened"),
    ("ride", "^ride"),
    ("shaker", "^shaker"),
    ("sidestick", "sidestick|^(nasty_)?rim"),
    ("snare", "snare"),
    ("tom", "^tom"),
    ("woodblock", "^wood"),
]
# For each source: (General MIDI program, pattern of the file's path) of its single notes.
NOTES = {
    "tonejs": [
        (33, "bass-electric"),
        (70, "bassoon"),
        (43, "contrabass"),
        (73, "flute"),
        (60, "french-horn"),
        (25, "guitar-acoustic"),
        (27, "guitar-electric"),
        (46, "harp-"),
        (19, "organ"),
        (0, "piano"),
        (65, "saxophone"),
        (57, "trombone"),
        (56, "trumpet"),
        (58, "tuba"),
        (40, "violin"),
        (13, "xylophone"),
    ],
    "splendid": [(0, "^(FF|MF|Mf|Mp|PP) ")],
    "epianos": [(2, "^CP80/"), (4, "^Pianet T/.*_(F|FF|MF|MP|P|PP)[.]"), (5, "^Wurlitzer EP200/")],
    "growlybass": [(33, "^sustain/")],
    "meatbass": [(43, "^arco/"), (32, "^pizz/.*_vl")],
}
MOST_NOTES = 96  # of one program and source
# The class of a folder of hits, and the microphones that are nearest to that drum.
DRUMS = {
    "China": ("crash", ("OHR",)),
    "CrashL": ("crash", ("OHL",)),
    "CrashR": ("crash", ("OHR",)),
    "HihatClosed": ("hat-closed", ("Hihat",)),
    "HihatOpen": ("hat-open", ("Hihat",)),
    "KdrumL": ("kick", ("KdrumL",)),
    "KdrumR": ("kick", ("KdrumR",)),
    "RideL": ("ride", ("RideL",)),
    "RideLBell": ("ride", ("RideL",)),
    "RideR": ("ride", ("RideR",)),
    "RideRBell": ("ride", ("RideR",)),
    "Snare": ("snare", ("Snare_top", "Snare_bottom")),
    "Tom1": ("tom", ("Tom1",)),
    "Tom2": ("tom", ("Tom2",)),
    "Tom3": ("tom", ("Tom3",)),
    "Tom4": ("tom", ("Tom4",)),
}
HITS = 10  # of each drum, from the softest to the loudest
RULES = {"sonicpi": SONIC_PI, "lmms": LMMS}
# Drum machines, by the path of a file.
MACHINES = [
    ("clap", "clap"),
    ("woodblock", "clave|block"),
    ("handdrum", "conga|bongo"),
    ("timbale", "timbal"),
    ("cowbell", "cowb"),
    ("tambourine", "tamb"),
    ("shaker", "maraca|cabasa|shaker"),
    ("guiro", "guiro"),
    ("ride", "ride"),
    ("hat-open", "open|ohihat|univox-oh|-oh/|hat-metal"),
    ("hat-closed", "closed?[.-]|closedhat|chihat|shorthi|univox-ch|hithat|hhclosed|hihat"),
    ("crash", "cymbal|crash|cymball|splash"),
    ("sidestick", "rim|stick"),
    ("snare", "snare|univox-sd|shortsn"),
    ("kick", "kick"),
    ("tom", "tom"),
]
STARGATE = [
    ("clap", "clap"),
    ("handdrum", "bongo|conga|darbuka|frame_drum|medieval_drum"),
    ("cowbell", "cowbell"),
    ("woodblock", "claves"),
    ("shaker", "maracas"),
    ("triangle", "triangle"),
    ("ride", "ride"),
    ("hat-open", "hatopen|cymbal/open|hihat_BRD_open"),
    ("hat-closed", "hatclsd|cymbal/closed|hihat_BRD_(closed|tight)|Drums/Hihat|stargate/hats"),
    ("crash", "crash"),
    ("sidestick", "(x0xproc[12]|fd808a)-rimshot|rimshot-sweet|se1-rim|Xstick"),
    ("snare", "snare(?!.*(roll|rimshot))"),
    ("tom", "tom"),
    ("kick", "kick|BDrumNew_?hit"),
]
BERKLEE = [("vocal", "/(fe)?malevoices?_"), ("handdrum", "/(hand_drum|conga|tabla)_[0-9]"), ("cowbell", "/cowbell[12]")]
CHROME = [
    ("kick", "kick|-kd-"),
    ("snare", "snare|-sd-"),
    ("hat-open", "-oh-"),
    ("hat-closed", "hihat|-hh-"),
    ("handdrum", "CR78/tom"),
    ("tom", "tom"),
]
# For each source of kits whose files lie in folders: which files, with the maker as a group, and their classes.
KITS = {
    "machines": (r"^([^/]+)/.*\.ogg$", MACHINES),
    "sampled": (r"^(?:DM|DRUMS)/(CR-78|MRK-2|TR-505|pearl-master-studio)/samples/", MACHINES),
    "gogodze2": (
        r"^Samples/()(?:front|oh|retro|kick|snare)_mic/.*_rr[13]\.wav$",
        [
            ("kick", "(front|oh|retro|kick)_mic/ks_"),
            ("snare", "(front|oh|retro|snare)_mic/s[ce]_"),
            ("hat-closed", "(front|oh|retro)_mic/h[ct]_"),
            ("hat-open", "(front|oh|retro)_mic/ho_"),
            ("tom", "(front|oh|retro)_mic/t[hlm]_"),
        ],
    ),
    "gogodze1": (r"^Samples/()bobobo/.*_rr[13]\.wav$", [("handdrum", "bobobo")]),
    "frankensnare": (r"^Samples/()[0-9a-z]+_(?:basic|rimshot|muted)/(?:top|oh)/.*_rr1\.flac$", [("snare", "sn_")]),
    "stargate": (
        r"^[^/]+/(?:freesound/.*/[0-9]+__(?!menegass)(.+?)__|fugue.*/drums/[a-z]+/([a-z0-9]+)-|(karoryfer|microlag|sgossner|stargate)/(?!Loops))",
        STARGATE,
    ),
    "berklee": (r"^berklee/", BERKLEE),
    "chrome": (r"^src/(?:sounds/drum-samples|demos)/(?!breakbeat|TheCheebacabra)([^/]+)/", CHROME),
    "bodypercussion": (r"^Samples/()body/", [("clap", "handclap|fingerclap"), ("snap", "snap")]),
}
MOST_HITS = 60  # of one class and maker
SUFFIXES = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".mp3")


def to_clip(samples, rate):
    """An int16 clip of SAMPLES at 32 kHz, from just before the attack, at a common level."""
    mono = np.asarray(samples, np.float32)
    if mono.ndim == 2:
        mono = mono.mean(1)
    peak = np.abs(mono).max(initial=0.0)
    if peak < image.SILENCE:
        return None
    start = max(0, int(np.argmax(np.abs(mono) > 0.02 * peak)) - int(0.02 * rate))
    mono = mono[start : start + int(rate * (image.SAMPLES / image.RATE + 0.1))]
    mono = soxr.resample(mono, rate, image.RATE)[: image.SAMPLES]
    clip = np.zeros(image.SAMPLES, np.int16)
    clip[: len(mono)] = np.clip(mono / np.abs(mono).max() * FULL, -32_768, 32_767)
    return clip


def label_of(path, rules):
    return next((label for label, pattern in rules if re.search(pattern, path, re.IGNORECASE)), None)


def clips(folder, name):
    """A Collector of the named files of a source."""
    found = Collector()
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*"))):
        file = os.path.basename(path)
        label = label_of(file, RULES[name])
        if not label or not path.lower().endswith(SUFFIXES):
            continue
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            log("skipped:", error)
            continue
        clip = to_clip(samples, rate)
        if clip is not None:
            found.add(clip, label, name, name, f"{name}:{file}")
    return found


def kit_files(folder, name):
    """(path, class, maker) of the named files of kits, evenly chosen where a class of a maker has many."""
    fitting, rules = KITS[name]
    found = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "**"), recursive=True)):
        inside = os.path.relpath(path, folder)
        match = re.search(fitting, inside)
        label = label_of(inside, rules) if match and path.lower().endswith(SUFFIXES) else None
        if label:
            maker = ":".join([name, *filter(None, match.groups())])
            found.setdefault((label, maker), []).append(path)
    if not found:
        raise FileNotFoundError(f"{folder} has no files that fit `{fitting}`")
    for (label, maker), paths in found.items():
        for at in np.linspace(0, len(paths) - 1, min(MOST_HITS, len(paths))):
            yield paths[round(at)], label, maker


def folder_clips(folder, name):
    """A Collector of drum kits whose files lie in folders."""
    found = Collector()
    for path, label, maker in kit_files(folder, name):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clip = to_clip(samples, rate)
        if clip is not None:
            found.add(clip, label, maker, maker, f"{name}:{os.path.relpath(path, folder)}")
    return found


def patch_samples(path):
    """(samples, rate, loop start, loop end or None) of the first sample of a GUS patch."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:12] != b"GF1PATCH110\0":
        raise ValueError(f"{path} is not a GUS patch")
    head = 129 + 63 + 47  # file header, instrument header, layer header
    size, loop_start, loop_end = struct.unpack("<III", data[head + 8 : head + 20])
    (rate,) = struct.unpack("<H", data[head + 20 : head + 22])
    mode = data[head + 55]
    raw = data[head + 96 : head + 96 + size]
    if mode & 1:
        samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.float32)
        samples -= 32_768.0 * np.sign(samples) if mode & 2 else 0.0
        loop_start, loop_end = loop_start // 2, loop_end // 2
    else:
        samples = (
            np.frombuffer(raw, np.int8).astype(np.float32)
            if not mode & 2
            else (np.frombuffer(raw, np.uint8).astype(np.float32) - 128.0)
        )
    return samples, rate, (loop_start, loop_end) if mode & 4 and loop_end - loop_start > 16 else None


def patch_clips(folder, name):
    """A Collector of a folder of GUS patches: each at three rates, a loop held for a second."""
    found = Collector()
    for path in sorted(glob.glob(os.path.join(folder, "*", "*.pat"))):
        number = int(os.path.basename(path)[:3])
        drum = os.path.basename(os.path.dirname(path)).startswith("Drum")
        label = classes.drum_label(0, number) if drum else classes.program_label(number)
        if not label:
            continue
        samples, rate, loop = patch_samples(path)
        if loop and not drum:
            start, end = loop
            times = int(np.ceil(rate / (end - start)))
            samples = np.concatenate([samples[:end]] + [samples[start:end]] * times)
            samples[-(rate // 20) :] *= np.linspace(1.0, 0.0, rate // 20)
        for shift in (1.0,) if drum else (0.75, 1.0, 1.4):
            clip = to_clip(samples, int(rate * shift))
            if clip is not None:
                kit = f"{name}:drum" if drum else f"{name}:note0-{number}"
                found.add(clip, label, name, kit, f"{kit}:{number}:{shift}", -1 if drum else number)
    return found


def note_files(folder, name):
    """The files of single notes by General MIDI program, evenly chosen where there are many."""
    paths = sorted(p for p in glob.glob(os.path.join(folder, "**"), recursive=True) if p.lower().endswith(SUFFIXES))
    for program, pattern in NOTES[name]:
        fitting = [path for path in paths if re.search(pattern, os.path.relpath(path, folder))]
        if not fitting:
            raise FileNotFoundError(f"{folder} has no notes that fit `{pattern}`")
        chosen = np.linspace(0, len(fitting) - 1, min(MOST_NOTES, len(fitting)))
        yield program, [fitting[round(at)] for at in chosen]


def note_clips(folder, name):
    """A Collector of files of single notes: each as it is, and twice shorter at another pitch."""
    found = Collector()
    random = np.random.default_rng(2)
    for program, paths in note_files(folder, name):
        label, kit = classes.program_label(program), f"{name}:note0-{program}"
        for path in paths:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            for seconds, shift in ((None, 1.0), (0.6, random.uniform(0.84, 0.96)), (1.4, random.uniform(1.04, 1.19))):
                part = samples
                if seconds:
                    start = max(0, int(np.argmax(np.abs(part).max(1) > 0.02 * np.abs(part).max())))
                    part = part[start : start + int(seconds * rate)].copy()
                    fade = min(rate // 20, len(part))
                    part[-fade:] *= np.linspace(1.0, 0.0, fade)[:, None]
                clip = to_clip(part, int(rate * shift))
                if clip is not None:
                    found.add(clip, label, name, kit, f"{kit}:{os.path.basename(path)}:{seconds}", program)
    return found


def microphone_clips(folder, name):
    """A Collector of a drum kit with a file for each hit and microphone: near, above and in the room."""
    found = Collector()
    for drum, (label, nearest) in DRUMS.items():
        files = glob.glob(os.path.join(folder, drum, "*-OHL.flac"))
        hits = sorted(int(os.path.basename(path).split("-")[0]) for path in files)
        if not hits:
            raise FileNotFoundError(f"{folder} has no hits of {drum}")
        for hit in sorted({hits[round(at)] for at in np.linspace(0, len(hits) - 1, HITS)}):
            heard = {
                microphone: soundfile.read(
                    os.path.join(folder, drum, f"{hit}-{drum}-{microphone}.flac"), dtype="float32", always_2d=True
                )
                for microphone in {"OHL", "OHR", "AmbL", "AmbR", *nearest}
            }
            rate = heard["OHL"][1]
            length = min(len(samples) for samples, _ in heard.values())
            level = {
                microphone: samples[:length].mean(1) / (np.abs(samples).max() + 1e-9)
                for microphone, (samples, _) in heard.items()
            }
            near = sum(level[microphone] for microphone in nearest)
            above = level["OHL"] + level["OHR"]
            room = level["AmbL"] + level["AmbR"]
            for place, mix in (("near", near + 0.25 * above), ("above", above), ("room", near + above + room)):
                clip = to_clip(mix, rate)
                if clip is not None:
                    found.add(clip, label, name, f"{name}:{place}", f"{name}:{drum}:{hit}:{place}")
    return found
