"""Single notes out of a General MIDI soundfont, through fluidsynth, cut to clips at 32 kHz."""

import os
import struct
import subprocess
import tempfile

import numpy as np

from . import classes, image
from .store import Collector

GAP_SECONDS = 3.1  # from one note to the next; a clip is 2.9 s
LEAD_SECONDS = 0.02  # kept before the note, so that no attack is cut
NOTES_A_RUN = 700  # bounds the rendered file to about 280 MB
QUIET = 150  # of 32,767: a note below this was not there
DRUM_CHANNEL = 9
DRUM_BANK = 128
KEYS = {"bass": (28, 55), "tom": (36, 60), "timpani": (36, 58), None: (40, 86)}  # of a class, and of all others
OTHER_MAPS = 120  # banks from here on are not General MIDI's programs (MT-32, effects)


def presets(path):
    """Sorted (bank, program) of a soundfont: the headers of its `phdr` chunk, 38 bytes each."""
    with open(path, "rb") as file:
        data = file.read()
    at = data.index(b"phdr", data.rfind(b"pdta"))
    size = struct.unpack("<I", data[at + 4 : at + 8])[0]
    found = set()
    for offset in range(at + 8, at + 8 + size - 38, 38):
        program, bank = struct.unpack("<HH", data[offset + 20 : offset + 24])
        found.add((bank, program))
    return sorted(found)


def variable_length(number):
    """A number as MIDI files write times."""
    out = [number & 127]
    while number := number >> 7:
        out.insert(0, 128 | number & 127)
    return bytes(out)


def midi(notes, channel):
    """A MIDI file of notes (bank, program, key, velocity, seconds) one after the other, 1 tick = 1 ms."""
    events, now = b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big"), 0
    body = [events]
    for index, (bank, program, key, velocity, seconds) in enumerate(notes):
        start = int((0.5 + index * GAP_SECONDS) * 1000)
        # What still rings of the note before would be heard in this clip.
        for message in (
            bytes([0xB0 | channel, 120, 0]),
            bytes([0xB0 | channel, 0, bank & 127]),
            bytes([0xC0 | channel, program]),
        ):
            body.append(variable_length(max(0, start - 60 - now)) + message)
            now = max(now, start - 60)
        stop = start + int(seconds * 1000)
        body.append(variable_length(start - now) + bytes([0x90 | channel, key, velocity]))
        body.append(variable_length(stop - start) + bytes([0x80 | channel, key, 0]))
        now = stop
    body.append(variable_length(3500) + b"\xff\x2f\x00")
    track = b"".join(body)
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 1000) + b"MTrk" + struct.pack(">I", len(track)) + track


def render(soundfont, notes, channel, folder):
    """Clips of `notes`: int16 (len(notes), SAMPLES), dry and mono."""
    clips = np.zeros((len(notes), image.SAMPLES), np.int16)
    for first in range(0, len(notes), NOTES_A_RUN):
        part = notes[first : first + NOTES_A_RUN]
        with tempfile.TemporaryDirectory(dir=folder) as work:
            score, raw = os.path.join(work, "notes.mid"), os.path.join(work, "notes.raw")
            with open(score, "wb") as file:
                file.write(midi(part, channel))
            done = subprocess.run(
                [
                    "fluidsynth",
                    "-ni",
                    "-q",
                    "-R",
                    "0",
                    "-C",
                    "0",
                    "-g",
                    "0.5",
                    "-r",
                    str(image.RATE),
                    "-o",
                    "synth.midi-bank-select=gs",
                    "-T",
                    "raw",
                    "-O",
                    "s16",
                    "-F",
                    raw,
                    soundfont,
                    score,
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0 or not os.path.exists(raw):
                raise RuntimeError(
                    f"fluidsynth could not render {soundfont}: {done.stderr.strip()}; "
                    "install Debian's package fluidsynth"
                )
            sound = np.fromfile(raw, "<i2").reshape(-1, 2)
        for index in range(len(part)):
            start = int((0.5 + index * GAP_SECONDS - LEAD_SECONDS) * image.RATE)
            clip = sound[start : start + image.SAMPLES].astype(np.int32).sum(1) // 2
            clips[first + index, : len(clip)] = clip
    return clips


def drum_notes(path, velocities):
    for bank, kit in presets(path):
        if bank != DRUM_BANK:
            continue
        for key in range(27, 88):
            label = classes.drum_label(kit, key)
            if label:
                for velocity in velocities:
                    yield (0, kit, key, velocity, 2.0), label


def pitched_notes(path, count, random):
    for bank, program in presets(path):
        label = classes.program_label(program) if bank < OTHER_MAPS else None
        if not label:
            continue
        low, high = KEYS.get(label, KEYS[None])
        # Variations in other banks are often the same recordings: fewer of them.
        for _ in range(count if bank == 0 else count // 4):
            key, velocity = int(random.integers(low, high)), int(random.integers(50, 126))
            yield (bank, program, key, velocity, float(random.choice([0.25, 0.6, 1.2, 2.4]))), label


def kit_clips(path, maker, velocities=(45, 85, 120), folder=None):
    """A Collector of the notes of a soundfont whose only preset is a drum kit."""
    found = Collector()
    keys = (36, 37, 38, 40, 41, 43, 45, 47, 42, 44, 46, 49, 57, 51, 53)
    notes = [(0, 0, key, velocity, 2.0) for key in keys for velocity in velocities]
    for sound, (_, _, key, velocity, _) in zip(render(path, notes, 0, folder), notes):
        if np.abs(sound).max() > QUIET:
            found.add(sound, classes.DRUM_KEYS[key], maker, maker, f"{maker}:{key}:{velocity}")
    return found


def clips(path, maker, velocities=(45, 85, 120), pitched=24, folder=None):
    """A Collector of all single notes of a soundfont."""
    random = np.random.default_rng(1)
    found = Collector()
    for kind, notes, channel in (
        ("drum", list(drum_notes(path, velocities)), DRUM_CHANNEL),
        ("note", list(pitched_notes(path, pitched, random)), 0),
    ):
        sounds = render(path, [note for note, _ in notes], channel, folder)
        for sound, ((bank, program, key, velocity, seconds), label) in zip(sounds, notes):
            if np.abs(sound).max() > QUIET:
                source = f"{maker}:{kind}{bank}-{program}:{key}:{velocity}:{seconds}"
                found.add(
                    sound, label, maker, f"{maker}:{kind}{bank}-{program}", source, program if kind == "note" else -1
                )
    return found
