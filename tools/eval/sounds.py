"""The sounds that acceptance is judged by: Debian's drum kits, game music and soundfonts, cut into sets.

Each set is a list of `Sound`s: a file under a name that says nothing, and what is true of it. They are for
judging only. Nothing may be fitted, tuned or chosen by them.
"""

import dataclasses
import glob
import hashlib
import io
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree

import numpy as np
import soundfile
import soxr

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "train"))

from timbre import classes, image, recorded, soundfont  # noqa: E402

# Debian 12.
PACKAGES = {
    "hydrogen-drumkits": "2017.09.19~dfsg-1",
    "wesnoth-1.16-music": "1:1.16.9-1",
    "supertux-data": "0.6.3-2",
}
# Soundfonts on which no network was trained, and one on which it was, as a place to find in.
FONTS = ("timgm", "opl3", "freepats")
KNOWN_FONT = "fluid"

# The nine classes of drum kits by the instruments' names in drumkit.xml; the first that fits
# counts. What is no class, or could be two, is left out: sticks and rim clicks, splash and china, crash/ride.
OTHER = r"stick|rim ?click|splash|china|crash/ride|ride-crash|agogo|side hh.*choke|foot\)|drum \d|zap|fx|conga|empty"
NINE = [
    ("kick", r"kick|bass ?drum"),
    ("snare", r"snare"),
    ("clap", r"clap"),
    ("hat", r"hi-?hat|hi hat|\bhat\b|\bo?hh\b"),
    ("cowbell", r"cowbell"),
    ("tambourine", r"tambourine"),
    ("tom", r"\btom|\btom\d"),
    ("ride", r"\bride"),
    ("crash", r"crash"),
]

EXCERPT = 30.0  # seconds
EXCERPTS = 3  # of a piece, at most: its beginning, middle and end
DENSE = 12  # of a piece, at most, to compare with figures of neighbouring excerpts
SHIFT = 1.0  # seconds
NOTES = 3  # of a program of a soundfont
SAME_WAVE = 0.999  # correlation from which two files are one recording


@dataclasses.dataclass
class Sound:
    """`group` is what intervals draw again: a kit, a piece, a font. `label` is what has to be found."""

    file: str
    label: str
    group: str
    maker: str = ""
    of: int = -1  # of a copy: the number of its original


def unpack(work, name, version):
    """The folder of a Debian package, fetched if it is not there."""
    folder = os.path.join(work, "pkg", name)
    if not os.path.isdir(folder):
        debs = os.path.join(work, "debs")
        os.makedirs(debs, exist_ok=True)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        found = glob.glob(os.path.join(debs, name + "_*.deb"))
        if not found:
            print(f"fetching {name}", file=sys.stderr)
            subprocess.run(["apt-get", "download", f"{name}={version}"], cwd=debs, check=True)
            found = glob.glob(os.path.join(debs, name + "_*.deb"))
        subprocess.run(["dpkg-deb", "-x", found[0], folder + ".part"], check=True)
        os.rename(folder + ".part", folder)
    return folder


def drum_class(name):
    name = name.lower()
    if re.search(OTHER, name):
        return None
    return next((label for label, pattern in NINE if re.search(pattern, name)), None)


def drums(work):
    """Every file of the kits that is named as one of nine classes; of equal files the first."""
    folder = os.path.join(unpack(work, "hydrogen-drumkits", PACKAGES["hydrogen-drumkits"]))
    out = os.path.join(work, "sets", "drums")
    os.makedirs(out, exist_ok=True)
    sounds, seen = [], set()
    for path in sorted(glob.glob(folder + "/usr/share/hydrogen/data/drumkits/*/drumkit.xml")):
        kit = os.path.dirname(path)
        with open(path, encoding="utf-8", errors="replace") as file:
            tree = xml.etree.ElementTree.fromstring(re.sub(r'xmlns="[^"]*"', "", file.read()))
        author = (tree.findtext("author") or os.path.basename(kit)).strip()
        for instrument in tree.iter("instrument"):
            label = drum_class(instrument.findtext("name") or "")
            for name in [found.text for found in instrument.iter("filename")] if label else []:
                source = os.path.join(kit, name)
                if not os.path.exists(source) or "empty" in name.lower():
                    continue
                with open(source, "rb") as file:
                    digest = hashlib.sha256(file.read()).digest()
                if digest in seen:
                    continue
                seen.add(digest)
                link = os.path.join(out, f"a{len(sounds):04}{os.path.splitext(source)[1]}")
                if not os.path.lexists(link):
                    os.symlink(os.path.abspath(source), link)
                sounds.append(Sound(link, label, os.path.basename(kit), author))
    return sounds


def composer_of(path):
    """Who wrote a piece, by its tags; nothing if they do not say."""
    words = ["ffprobe", "-v", "error", "-show_entries", "stream_tags=artist", "-of", "csv=p=0", path]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split("\n")[0]
    said = said.strip().strip(",").strip('"')
    return "Zhaytee" if "zhay" in said.lower() else said


def music(work, most=EXCERPTS):
    """(excerpts, the same a second later) of 30 s of the pieces of two games that last a minute or more.

    At most `most` of a piece, as far apart as they can be. Of more than `EXCERPTS` none are made a second later.
    """
    files = []
    for name in ("wesnoth-1.16-music", "supertux-data"):
        folder = unpack(work, name, PACKAGES[name])
        files += sorted(glob.glob(folder + "/usr/share/games/**/music/**/*.ogg", recursive=True))
    out = os.path.join(work, "sets", "music" if most == EXCERPTS else "dense")
    os.makedirs(out, exist_ok=True)
    sounds, later = [], []
    for source in files:
        seconds = soundfile.info(source).duration
        count = min(most, int(seconds // (EXCERPT + SHIFT)))
        if count < 2:
            continue
        composer = composer_of(source)
        starts = np.linspace(0, seconds - EXCERPT - SHIFT, count)
        samples = rate = None
        for start in starts:
            number = len(sounds)
            letters = "ab" if most == EXCERPTS else "a"
            paths = [os.path.join(out, f"{letter}{number:04}.wav") for letter in letters]
            if not all(os.path.exists(path) for path in paths):
                if samples is None:
                    samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
                for path, at in zip(paths, (start, start + SHIFT)):
                    first = int(at * rate)
                    soundfile.write(path, samples[first : first + int(EXCERPT * rate)], rate, subtype="PCM_16")
            piece = os.path.basename(os.path.dirname(source)) + "/" + os.path.basename(source)
            sounds.append(Sound(paths[0], piece, piece, composer))
            later += [Sound(path, piece, piece, composer, number) for path in paths[1:]]
    return sounds, later


def copies(work, name, sounds, later=None):
    """Changed copies of each sound, by what was done to them. `later` is where a second's shift is there already."""
    out = os.path.join(work, "sets", name + "-copies")
    os.makedirs(out, exist_ok=True)
    made = {kind: [] for kind in ("1 s shift", "-6 dB", "MP3 128 kbit/s", "mono", "half the rate")}
    for number, sound in enumerate(sounds):
        stem = os.path.join(out, f"c{number:04}")
        paths = {kind: f"{stem}-{index}.{'mp3' if index == 2 else 'wav'}" for index, kind in enumerate(made)}
        if later:
            paths["1 s shift"] = later[number].file
        if not all(os.path.exists(path) for path in paths.values()):
            samples, rate = soundfile.read(sound.file, dtype="float32", always_2d=True)
            silence = np.zeros((int(SHIFT * rate), samples.shape[1]), np.float32)
            wave = lambda kind, values, rate=rate: soundfile.write(paths[kind], values, rate, subtype="PCM_16")
            if not later:
                wave("1 s shift", np.concatenate([silence, samples]))
            wave("-6 dB", samples * np.float32(10 ** (-6 / 20)))
            wave("mono", samples.mean(1))
            wave("half the rate", soxr.resample(samples, rate, rate // 2), rate // 2)
            encoded(sound.file, paths["MP3 128 kbit/s"])
        for kind, path in paths.items():
            made[kind].append(dataclasses.replace(sound, file=path, of=number))
    return made


def same_recording(files):
    """Whether each file is the same recording as each other one, at any level: bool (n, n), true for itself.

    A kit may have one hit several times, louder and softer. Which of them a copy at half the level is of, nobody can say.
    """
    waves = []
    for file in files:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        wave = samples.mean(1)
        waves.append((wave / (np.linalg.norm(wave) + 1e-12), rate))
    same = np.eye(len(files), dtype=bool)
    for first, (wave, rate) in enumerate(waves):
        for second, (other, other_rate) in enumerate(waves[:first]):
            if rate == other_rate and len(wave) == len(other):
                same[first, second] = same[second, first] = abs(wave @ other) > SAME_WAVE
    return same


def encoded(source, target):
    """MP3 at 128 kbit/s, by ffmpeg, or by libsndfile where that is not installed."""
    words = ["ffmpeg", "-v", "error", "-y", "-i", source, "-map", "0:a", "-b:a", "128k", target]
    try:
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        samples, rate = soundfile.read(source, dtype="float32")
        memory = io.BytesIO()
        setting = {"bitrate_mode": "CONSTANT", "compression_level": 0.65 if samples.ndim == 1 else 0.5}
        soundfile.write(memory, samples, rate, format="MP3", **setting)
        with open(target, "wb") as file:
            file.write(memory.getvalue())


def notes(work):
    """Notes of pitched instruments of soundfonts, their families as labels; of `KNOWN_FONT` last."""
    with open(os.path.join(HERE, "..", "train", "timbre", "sources.toml"), "rb") as file:
        sources = {source["name"]: source for source in tomllib.load(file)["source"]}
    out = os.path.join(work, "sets", "notes")
    os.makedirs(out, exist_ok=True)
    sounds = []
    for name in (*FONTS, KNOWN_FONT):
        done = os.path.join(out, name + ".txt")
        if not os.path.exists(done):
            source = sources[name]
            path = os.path.join(unpack(work, source["debian"], source["version"]), source["path"])
            lines = []
            for number, (clip, program) in enumerate(pitched(path, name, source["read"], out)):
                file = os.path.join(out, f"{name}-{number:04}.wav")
                soundfile.write(file, clip, image.RATE, subtype="PCM_16")
                lines.append(f"{file}\t{classes.FAMILIES[program // 8]}\n")
            with open(done, "w", encoding="utf-8") as file:
                file.writelines(lines)
        with open(done, encoding="utf-8") as file:
            sounds += [Sound(*line.strip().split("\t"), name, name) for line in file]
    return sounds


def pitched(path, name, kind, folder):
    """(clip, program) of notes of the 112 programs that have families."""
    if kind == "patches":
        found = recorded.patch_clips(path, name).arrays("clip")
        clips, programs = found["clip"], found["program"]
    else:
        listed = soundfont.pitched_notes(path, NOTES, np.random.default_rng(1))
        listed = [note for note, _ in listed if note[0] == 0]
        clips, programs = soundfont.render(path, listed, 0, folder), [note[1] for note in listed]
    for clip, program in zip(clips, programs):
        heard = np.flatnonzero(np.abs(clip.astype(np.int32)) > soundfont.QUIET)
        if 0 <= program < 112 and len(heard):
            yield clip[: heard[-1] + 1], int(program)
