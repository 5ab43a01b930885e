"""Music whose tempo and key are known, because it is made here: written, rendered and put into folders.

What is written comes from the composer of `tools/train/timbre/compose.py`. Three things are changed, because
they would make tempo or key easier, or wrong, than in music:

* its melody may be moved by any number of semitones against the chords: here by octaves only;
* its eight drum patterns are few: here patterns are put together from parts, with swing, ghosts and fills;
* its tempo is a habit of the composer: here it is spread evenly from 60 to 200.
"""

import os
import struct
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "train"))

from timbre import compose  # noqa: E402
from timbre.soundfont import variable_length  # noqa: E402

RATE = 32_000  # that of the effects in `timbre.dsp`
TICKS = compose.TICKS
STYLES = ["rock", "electronic", "folk", "jazz", "chip", "orchestra", "chamber", "ambient"]
# Modes that have a name of their own are major or minor by their third.
PLAIN = {"major": ["major"], "minor": ["minor", "harmonic"]}
OTHER = {"major": ["mixolydian", "lydian"], "minor": ["dorian", "phrygian"]}
FONTS = {
    "fluid": "fluid-soundfont-gm/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "musescore": "musescore-general-soundfont/usr/share/sounds/sf3/MuseScore_General_Full.sf3",
    "timgm": "timgm6mb-soundfont/usr/share/sounds/sf2/TimGM6mb.sf2",
}
NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]


def chance(random, share):
    return random.random() < share


class Drums:
    """A pattern: for each drum the sixteenths of a bar that it plays, with loudness 0 to 1."""

    def __init__(self, random, steps, kind=None):
        self.random, self.steps = random, steps
        kinds = ["backbeat", "four", "break", "march", "latin", "brushes"]
        self.kind = kind or str(random.choice(kinds, p=[0.42, 0.2, 0.14, 0.06, 0.1, 0.08]))
        self.hits = getattr(self, "waltz" if steps == 12 else self.kind)()
        self.hat = int(random.choice([42, 42, 42, 51, 44, 70, 54]))
        self.snare = int(random.choice([38, 38, 40, 39, 37]))
        self.kick = int(random.choice([36, 36, 35]))

    def hats(self, steps):
        """Quarters, eighths, sixteenths, what is off the beat, or none."""
        kind = self.random.choice(["quarters", "eighths", "sixteenths", "off", "none"], p=[0.16, 0.46, 0.2, 0.1, 0.08])
        accents = self.random.uniform(0.5, 1.0)
        every = {"quarters": 4, "eighths": 2, "sixteenths": 1}.get(str(kind))
        if kind == "none":
            return {}
        if kind == "off":
            return {at: 0.8 for at in range(2, steps, 4)}
        return {at: 0.8 if at % 4 == 0 else 0.8 * accents for at in range(0, steps, every)}

    def ghosts(self, hits, share=0.3):
        if chance(self.random, share):
            for at in self.random.choice(16, int(self.random.integers(1, 4)), replace=False):
                hits.setdefault(int(at), 0.3)
        return hits

    def backbeat(self):
        kick = {0: 1.0, 8: 0.9}
        for at, share in ((2, 0.1), (3, 0.08), (6, 0.2), (7, 0.12), (10, 0.45), (11, 0.08), (14, 0.15)):
            if chance(self.random, share):
                kick[at] = 0.8
        if chance(self.random, 0.2) and len(kick) > 2:
            del kick[8]
        return {"kick": kick, "snare": self.ghosts({4: 1.0, 12: 1.0}), "hat": self.hats(16)}

    def four(self):
        snare = {4: 0.9, 12: 0.9} if chance(self.random, 0.7) else {}
        hat = {at: 0.8 for at in range(2, 16, 4)} if chance(self.random, 0.5) else self.hats(16)
        return {"kick": {at: 1.0 for at in range(0, 16, 4)}, "snare": self.ghosts(snare, 0.15), "hat": hat}

    def break_(self):
        kick = {0: 1.0, int(self.random.choice([2, 3, 6])): 0.9, int(self.random.choice([9, 10, 11])): 0.9}
        if chance(self.random, 0.4):
            kick[int(self.random.choice([7, 13, 14]))] = 0.8
        return {"kick": kick, "snare": self.ghosts({4: 1.0, 12: 1.0}, 0.7), "hat": self.hats(16)}

    def march(self):
        snare = {at: 1.0 if at % 4 == 0 else 0.5 for at in (0, 2, 3, 4, 6, 8, 10, 11, 12, 14)}
        return {"kick": {0: 1.0, 8: 1.0}, "snare": snare, "hat": {}}

    def latin(self):
        clave = {at: 0.9 for at in ((0, 3, 6, 10, 12) if chance(self.random, 0.5) else (3, 6, 10, 12))}
        return {"kick": {0: 1.0, 6: 0.7, 8: 0.9, 14: 0.7}, "snare": clave, "hat": self.hats(16)}

    def brushes(self):
        return {
            "kick": {0: 0.6, 8: 0.5} if chance(self.random, 0.6) else {},
            "snare": {4: 0.6, 12: 0.6},
            "hat": {0: 0.8, 4: 0.9, 6: 0.6, 8: 0.8, 12: 0.9, 14: 0.6},
        }

    def waltz(self):
        snare = {4: 0.8, 8: 0.8} if chance(self.random, 0.7) else {8: 0.9}
        kick = {0: 1.0}
        if chance(self.random, 0.3):
            kick[6] = 0.7
        return {"kick": kick, "snare": snare, "hat": self.hats(12)}

    def half(self):
        """Drums that sound like half the tempo: only for pieces that are judged on their own."""
        return {"kick": {0: 1.0, 10: 0.8}, "snare": {8: 1.0}, "hat": {at: 0.8 for at in range(0, 16, 4)}}

    def write(self, piece, start, loud, fill, crash):
        keys = {"kick": self.kick, "snare": self.snare, "hat": self.hat}
        for drum, hits in self.hits.items():
            for at, level in hits.items():
                if not (fill and at >= self.steps - 4):
                    piece.note(9, start + at, 1, keys[drum], (loud + (0 if drum == "hat" else 12)) * level)
        if crash:
            piece.note(9, start, 4, 49, loud)
        if fill:
            for at in range(self.steps - 4, self.steps):
                piece.note(9, start + at, 1, int(self.random.choice([45, 47, 50, 38])), loud)


setattr(Drums, "break", Drums.break_)


class Piece(compose.Piece):
    """A piece of known tempo and key; `pattern` says what its drums play, None for a piece without.

    Its chords change once in a bar, or as `harmony` says: never ("held"), every two bars ("slow") or twice ("quick").
    """

    def __init__(self, random, style, tempo, tonic, mode, seconds, drums=True, half=False, modal=False, harmony=None):
        composer = compose.Composer(random)
        while composer.ensemble != style:
            composer = compose.Composer(random)
        composer.range = 12 * int(random.integers(-1, 2))
        scale = str(random.choice((OTHER if modal else PLAIN)[mode]))
        composer.modes = [scale]
        composer.triple = 0.15
        self.given = {"tempo": tempo, "tonic": tonic}
        self.seconds = seconds
        self.swing = float(random.uniform(0.54, 0.667)) if chance(random, 0.35 if style == "jazz" else 0.1) else 0.5
        self.sixteenths = chance(random, 0.3)  # swing of sixteenths, not of eighths
        self.human = float(random.choice([0, 4, 10, 18]))
        self.drift = float(random.uniform(0.004, 0.015)) if chance(random, 0.2) else 0.0
        self.cents = float(random.uniform(-45, 45)) if chance(random, 0.15) else 0.0
        self.wants_drums, self.half, self.harmony = drums, half, harmony
        self.mode = mode
        self.sparse = chance(random, 0.15)
        self.pattern = None
        super().__init__(composer, random)

    # The composer sets these by its habits, and writes with them: here they are given.
    @property
    def tempo(self):
        return self.given["tempo"]

    @tempo.setter
    def tempo(self, value):
        pass

    @property
    def key(self):
        return self.given["tonic"]

    @key.setter
    def key(self, value):
        pass

    def write(self):
        random = self.random
        kits = [0, 8, 16, 24, 25, 32, 40]
        self.kit = int(random.choice(kits)) if self.wants_drums else None
        if self.kit is not None:
            self.events += [(0, 0, bytes([0xC9, self.kit])), (0, 0, bytes([0xB9, 7, int(random.integers(75, 120))]))]
            if self.half:
                self.steps = 16
            self.pattern = Drums(random, self.steps, "half" if self.half else None)
        if self.harmony == "quick" and self.steps != 16:
            self.harmony = "slow"
        if self.harmony == "held":
            self.progressions = [roots[:1] for roots in self.progressions]
        elif self.harmony == "slow":
            self.progressions = [[root for root in roots for _ in range(2)] for roots in self.progressions]
        elif self.harmony == "quick":
            self.steps //= 2
            self.motif = self.new_motif()
        if self.cents:
            tune = int(8192 + 81.92 * self.cents)
            for channel in range(5):
                for control, value in ((101, 0), (100, 1), (6, tune >> 7), (38, tune & 127)):
                    self.events.append((0, 0, bytes([0xB0 | channel, control, value])))
        before = compose.PIECE_SECONDS
        compose.PIECE_SECONDS = self.seconds
        try:
            super().write()
        finally:
            compose.PIECE_SECONDS = before

    def write_drums(self, start, bar, section_bars, loud):
        if self.steps < self.pattern.steps:  # two chords in a bar of the drums
            if bar % 2:
                return
            bar, section_bars = bar // 2, max(1, section_bars // 2)
        last = bar % section_bars == section_bars - 1
        self.pattern.write(self, start, loud, last and chance(self.random, 0.5), bar % section_bars == 0)

    def write_chord(self, start, chord, loud):
        if not self.sparse or chance(self.random, 0.5):
            super().write_chord(start, chord, loud)

    def note(self, channel, at, length, pitch, velocity):
        unit, place = (2, at % 2) if self.sixteenths else (4, at % 4)
        # What is within the second half of the unit begins as late as the swing says.
        late = place / unit
        moved = late * 2 * self.swing if late < 0.5 else self.swing + (late - 0.5) * 2 * (1 - self.swing)
        at = at - place + moved * unit
        first = max(0, int(at * TICKS / 4 + self.random.normal(0, 1) * self.human))
        last = max(first + 20, first + int(length * TICKS / 4))
        velocity = int(np.clip(velocity + self.random.integers(-9, 10), 12, 127))
        pitch = int(np.clip(pitch, 0, 127))
        self.events += [
            (first, 2, bytes([0x90 | channel, pitch, velocity])),
            (last, 1, bytes([0x80 | channel, pitch, 0])),
        ]

    def tempi(self):
        """(tick, quarters a minute): one, or a slow swaying around the piece's tempo."""
        if not self.drift:
            return [(0, self.tempo)]
        quarters = int(self.seconds * self.tempo / 60) + 1
        phase = self.random.uniform(0, 2 * np.pi)
        turn = self.random.uniform(0.6, 1.6) * 2 * np.pi / quarters
        return [(at * TICKS, self.tempo * (1 + self.drift * np.sin(phase + turn * at))) for at in range(quarters)]

    def midi(self):
        return midi(self.events, self.tempi())


class Loop:
    """Drums alone, whole bars of them."""

    def __init__(self, random, tempo, bars):
        self.random, self.tempo, self.events = random, tempo, []
        self.human = float(random.choice([0, 4, 10]))
        self.swing = float(random.uniform(0.54, 0.667)) if chance(random, 0.15) else 0.5
        self.sixteenths = chance(random, 0.5)
        self.events.append((0, 0, bytes([0xC9, int(random.choice([0, 8, 16, 24, 25, 32, 40]))])))
        pattern = Drums(random, 16)
        loud = int(random.integers(70, 105))
        for bar in range(bars):
            pattern.write(self, 16 * bar, loud, bar == bars - 1 and chance(random, 0.4), False)
        self.seconds = bars * 4 * 60 / tempo

    note = Piece.note

    def midi(self):
        return midi(self.events, [(0, self.tempo)])


def midi(events, tempi):
    """The bytes of a MIDI file."""
    set_tempo = [(at, -1, b"\xff\x51\x03" + int(60_000_000 / bpm).to_bytes(3, "big")) for at, bpm in tempi]
    body, now = [], 0
    for at, _, message in sorted(set_tempo + events, key=lambda event: event[:2]):
        body.append(variable_length(at - now) + message)
        now = at
    body.append(variable_length(TICKS) + b"\xff\x2f\x00")
    track = b"".join(body)
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def rendered(score, font, folder, room=(0.5, 0.4)):
    """The sound of a MIDI file: float32, mono, at `RATE`."""
    name = os.path.join(folder, f"render-{os.getpid()}")
    with open(name + ".mid", "wb") as file:
        file.write(score)
    options = ["synth.dynamic-sample-loading=1", f"synth.reverb.room-size={room[0]:.2f}"]
    options.append(f"synth.reverb.level={room[1]:.2f}")
    command = ["fluidsynth", "-ni", "-q", "-R", "1", "-C", "0", "-g", "0.5", "-r", str(RATE), "-T", "raw", "-O", "s16"]
    for option in options:
        command += ["-o", option]
    done = subprocess.run(
        [*command, "-F", name + ".raw", font, name + ".mid"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"fluidsynth could not render with {font}: {done.stderr.strip()}")
    sound = np.fromfile(name + ".raw", "<i2").reshape(-1, 2).astype(np.float32).mean(1) / 32_768.0
    os.remove(name + ".raw")
    os.remove(name + ".mid")
    return sound


def single(random, seconds, drum):
    """One hit, or one note."""
    if drum:
        events = [(0, 0, bytes([0xC9, int(random.choice([0, 8, 16, 24, 25, 40]))]))]
        channel, pitch = 9, int(random.choice([35, 36, 37, 38, 39, 40, 41, 42, 43, 45, 46, 47, 49, 50, 51, 54, 56, 70]))
    else:
        events = [(0, 0, bytes([0xC0, int(random.integers(0, 104))]))]
        channel, pitch = 0, int(random.integers(36, 84))
    velocity = int(random.integers(60, 120))
    events += [
        (0, 2, bytes([0x90 | channel, pitch, velocity])),
        (int(seconds * 2 * TICKS), 1, bytes([0x80 | channel, pitch, 0])),
    ]
    return midi(events, [(0, 120)])


def beatless(random, seconds):
    """Held sounds, or notes at times that no beat explains."""
    kind = str(random.choice(["drone", "pad", "rain"]))
    events = [(0, 0, bytes([0xC0, int(random.choice([48, 49, 50, 52, 88, 89, 91, 94, 95] if kind != "rain" else [0, 11, 46, 98]))]))]
    ticks = lambda time: int(time * 2 * TICKS)
    if kind == "drone":
        root = int(random.integers(36, 60))
        for step in (0, 7, 12):
            events += [(0, 2, bytes([0x90, root + step, 80])), (ticks(seconds), 1, bytes([0x80, root + step, 0]))]
    else:
        at = 0.0
        while at < seconds:
            gap = float(random.uniform(4, 9) if kind == "pad" else random.exponential(0.4) + 0.03)
            pitches = [int(p) for p in random.choice(np.arange(45, 80), 3 if kind == "pad" else 1, replace=False)]
            for pitch in pitches:
                velocity = int(random.integers(40, 110))
                events += [
                    (ticks(at), 2, bytes([0x90, pitch, velocity])),
                    (ticks(at + gap * 1.05), 1, bytes([0x80, pitch, 0])),
                ]
            at += gap
    return midi(events, [(0, 120)])
