"""Pieces of music that nobody wrote: invented composers, each with habits, and pieces they write.

What varies between two excerpts of one piece is what `piece.py` learns from. So the parts of a piece
share key, tempo, instruments, harmony and motif, while melody, density and who plays change; and
pieces of one composer share instruments, modes, tempi and rhythms, but not the tune.

A piece is a list of events for a MIDI file and says with which soundfont and room it is rendered.
"""

import struct

import numpy as np

from .soundfont import variable_length

TICKS = 480  # a quarter
PIECE_SECONDS = 84.0
MODES = {
    "major": [0, 2, 4, 5, 7, 9, 11],
    "minor": [0, 2, 3, 5, 7, 8, 10],
    "dorian": [0, 2, 3, 5, 7, 9, 10],
    "phrygian": [0, 1, 3, 5, 7, 8, 10],
    "lydian": [0, 2, 4, 6, 7, 9, 11],
    "mixolydian": [0, 2, 4, 5, 7, 9, 10],
    "harmonic": [0, 2, 3, 5, 7, 8, 11],
    "pentatonic": [0, 2, 4, 7, 9],
    "blues": [0, 3, 5, 6, 7, 10],
}
# General MIDI programs by the role that they play in a kind of ensemble.
ENSEMBLES = {
    "orchestra": {
        "lead": [40, 41, 42, 56, 57, 60, 68, 69, 70, 71, 73, 72],
        "chords": [48, 49, 44, 61, 52, 46],
        "bass": [43, 58, 32, 42],
        "colour": [14, 9, 11, 46, 45, 47, 52],
        "drums": [48],
    },
    "chamber": {
        "lead": [40, 42, 73, 71, 68, 74],
        "chords": [0, 6, 46, 24, 45],
        "bass": [42, 43, 32, 0],
        "colour": [8, 9, 11, 75],
        "drums": [],
    },
    "rock": {
        "lead": [29, 30, 27, 18, 81],
        "chords": [29, 30, 27, 25, 16, 0],
        "bass": [33, 34, 36],
        "colour": [18, 48, 62, 28],
        "drums": [0, 8, 16],
    },
    "electronic": {
        "lead": [80, 81, 84, 87, 86, 83],
        "chords": [88, 90, 89, 94, 95, 50, 62],
        "bass": [38, 39, 87],
        "colour": [98, 99, 92, 103, 10, 102],
        "drums": [24, 25],
    },
    "folk": {
        "lead": [22, 74, 110, 21, 72, 105, 107],
        "chords": [25, 24, 21, 46, 15],
        "bass": [32, 33, 35],
        "colour": [13, 104, 108, 75, 77],
        "drums": [0, 40],
    },
    "jazz": {
        "lead": [65, 66, 56, 59, 11, 26, 71],
        "chords": [0, 4, 26, 16, 17],
        "bass": [32, 35, 33],
        "colour": [57, 11, 4, 61],
        "drums": [32, 40],
    },
    "ambient": {
        "lead": [73, 75, 79, 98, 11, 14],
        "chords": [88, 89, 91, 92, 95, 49, 52],
        "bass": [89, 38, 43, 35],
        "colour": [99, 100, 101, 97, 46, 10],
        "drums": [],
    },
    "chip": {
        "lead": [80, 81, 82, 79],
        "chords": [80, 81, 62, 16],
        "bass": [80, 81, 38, 39],
        "colour": [80, 112, 13, 9],
        "drums": [25, 24],
    },
}
PROGRESSIONS = [
    [0, 3, 4, 0],
    [0, 5, 3, 4],
    [0, 4, 5, 3],
    [5, 3, 0, 4],
    [0, 6, 5, 4],
    [0, 3, 0, 4],
    [0, 2, 3, 4],
    [0, 5, 1, 4],
    [0, 0, 3, 3],
    [0, 6, 3, 0],
    [0, 1, 0, 6],
    [0, 3, 6, 2, 5, 1, 4, 0],
    [0, 4, 0, 4],
]
# Sixteen steps of a bar: kick, snare, hat; x is a hit, o a soft one.
BEATS = {
    "rock": ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "dance": ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    "half": ("x.........x.....", "........x.......", "x...x...x...x..."),
    "break": ("x..x......x..x..", "....x..o.o..x..o", "x.x.x.x.x.x.x.x."),
    "march": ("x.......x.......", "x.ooxooox.ooxoxo", "................"),
    "swing": ("x.......o.......", "....o.......o...", "x...x..xx...x..x"),
    "latin": ("x..x..x...x..x..", "...x.....o..x...", "x.xxx.xxx.xxx.xx"),
    "slow": ("x...............", "........o.......", "x.......x......."),
}
BEAT_OF = {
    "orchestra": ["march", "slow"],
    "rock": ["rock", "half", "break"],
    "electronic": ["dance", "break", "half"],
    "folk": ["slow", "rock", "latin"],
    "jazz": ["swing", "latin"],
    "chip": ["dance", "rock", "break"],
}


class Composer:
    """Habits: an ensemble and the few of its instruments that are liked, modes, tempi, rhythms, a room."""

    def __init__(self, random):
        self.ensemble = str(random.choice(list(ENSEMBLES)))
        roles = ENSEMBLES[self.ensemble]
        liked = lambda role, most: list(random.permutation(roles[role])[:most])
        self.leads, self.chords = liked("lead", 4), liked("chords", 3)
        self.basses, self.colours = liked("bass", 2), liked("colour", 3)
        self.kits = liked("drums", 2)
        self.modes = [str(m) for m in random.permutation(list(MODES))[:3]]
        self.tempo = float(np.exp(random.uniform(np.log(62), np.log(168))))
        self.beats = [str(b) for b in random.permutation(BEAT_OF.get(self.ensemble, ["slow"]))[:2]]
        self.drum_chance = random.uniform(0.0, 1.0) if self.kits else 0.0
        self.triple = random.uniform(0, 0.4)
        self.density = random.uniform(0.25, 0.95)
        self.legato = random.uniform(0.4, 1.1)
        self.range = int(random.integers(-6, 8))
        self.room = (random.uniform(0.2, 0.95), random.uniform(0.1, 0.9))  # fluidsynth's room size and level
        self.soundfont = str(random.choice(["fluid", "musescore"]))
        self.figures = [int(x) for x in random.integers(0, 5, 2)]


class Piece:
    """One piece: `events` are (tick, order, bytes) and `tempo` is in quarters a minute."""

    def __init__(self, composer, random):
        self.random, self.composer = random, composer
        self.tempo = composer.tempo * float(np.exp(random.uniform(-0.18, 0.18)))
        self.key = int(random.integers(0, 12))
        self.scale = MODES[str(random.choice(composer.modes))]
        self.steps = 12 if random.random() < composer.triple else 16  # sixteenths of a bar
        pick = lambda liked: int(random.choice(liked))
        self.lead, self.second = pick(composer.leads), pick(composer.leads)
        self.chord, self.low, self.colour = pick(composer.chords), pick(composer.basses), pick(composer.colours)
        self.kit = pick(composer.kits) if composer.kits and random.random() < composer.drum_chance else None
        self.beat = BEATS[str(random.choice(composer.beats))]
        self.progressions = [PROGRESSIONS[i] for i in random.integers(0, len(PROGRESSIONS), 2)]
        self.figure = int(random.choice(composer.figures))
        self.motif = self.new_motif()
        self.events = []
        for channel, program, pan in (
            (0, self.lead, 64),
            (1, self.second, 84),
            (2, self.chord, 44),
            (3, self.low, 64),
            (4, self.colour, 30),
        ):
            self.events += [
                (0, 0, bytes([0xC0 | channel, program])),
                (0, 0, bytes([0xB0 | channel, 10, int(pan)])),
                (0, 0, bytes([0xB0 | channel, 7, int(random.integers(70, 120))])),
            ]
        if self.kit is not None:
            self.events += [(0, 0, bytes([0xC9, self.kit])), (0, 0, bytes([0xB9, 7, int(random.integers(70, 115))]))]
        self.write()

    def new_motif(self):
        """A bar's rhythm and steps of the scale."""
        random = self.random
        at, notes, pitch = 0, [], int(random.integers(0, 5))
        while at < self.steps:
            length = (
                int(random.choice([1, 2, 2, 3, 4, 4, 6, 8], p=[0.08, 0.2, 0.2, 0.1, 0.2, 0.1, 0.07, 0.05]))
                if self.composer.density > 0.5
                else int(random.choice([2, 4, 4, 6, 8, 12]))
            )
            if random.random() < 0.5 + self.composer.density * 0.5:
                notes.append((at, min(length, self.steps - at), pitch))
            pitch += int(random.choice([-3, -2, -1, -1, 0, 1, 1, 2, 4]))
            pitch = max(-4, min(9, pitch))
            at += length
        return notes

    def pitch(self, degree, octave):
        size = len(self.scale)
        return max(20, min(108, 12 * (octave + degree // size) + self.key + self.scale[degree % size]))

    def note(self, channel, at, length, pitch, velocity):
        jitter = int(self.random.integers(-6, 7))
        first = max(0, int(at * TICKS / 4) + jitter)
        last = max(first + 20, first + int(length * TICKS / 4))
        velocity = int(np.clip(velocity + self.random.integers(-9, 10), 15, 127))
        self.events += [
            (first, 2, bytes([0x90 | channel, pitch, velocity])),
            (last, 1, bytes([0x80 | channel, pitch, 0])),
        ]

    def write(self):
        random, composer = self.random, self.composer
        bars = int(PIECE_SECONDS * self.tempo / 60 * 4 / self.steps) + 1
        section_bars = int(random.choice([4, 8, 8, 16]))
        section = None
        motif, playing = self.motif, {}
        for bar in range(bars):
            if bar % section_bars == 0:
                section = 0 if section is None else int(random.integers(0, 2))
                playing = {
                    "lead": random.random() < 0.85,
                    "second": random.random() < 0.35,
                    "chord": random.random() < 0.9,
                    "low": random.random() < 0.85,
                    "colour": random.random() < 0.4,
                    "drums": random.random() < 0.85,
                }
                if not (playing["lead"] or playing["chord"] or playing["second"]):
                    playing["lead"] = True
                loud = int(random.integers(58, 104))
            if random.random() < 0.25:
                motif = self.new_motif() if random.random() < 0.4 else self.motif
            progression = self.progressions[section]
            root = progression[bar % len(progression)] % len(self.scale)
            start = bar * self.steps
            if playing["lead"]:
                for at, length, degree in motif:
                    self.note(
                        0, start + at, length * composer.legato, self.pitch(degree + root, 5) + composer.range, loud + 8
                    )
            if playing["second"]:
                for at, length, degree in self.motif[::2]:
                    self.note(
                        1,
                        start + at,
                        length * composer.legato,
                        self.pitch(degree + root + 2, 4) + composer.range,
                        loud - 6,
                    )
            chord = [self.pitch(root + step, 4) for step in (0, 2, 4)]
            if playing["chord"]:
                self.write_chord(start, chord, loud)
            if playing["low"]:
                self.write_bass(start, self.pitch(root, 2 if self.key < 6 else 1), loud)
            if playing["colour"] and random.random() < 0.7:
                for index in range(int(random.integers(1, 4))):
                    self.note(4, start + index * self.steps // 4, self.steps / 4, chord[index % 3] + 12, loud - 10)
            if self.kit is not None and playing["drums"]:
                self.write_drums(start, bar, section_bars, loud)

    def write_chord(self, start, chord, loud):
        if self.figure == 0:  # held
            for pitch in chord:
                self.note(2, start, self.steps, pitch, loud - 14)
        elif self.figure == 1:  # broken
            for index, at in enumerate(range(0, self.steps, 2)):
                self.note(2, start + at, 2, chord[index % 3] + 12 * (index % 6 > 2), loud - 12)
        elif self.figure == 2:  # off the beat
            for at in range(2, self.steps, 4):
                for pitch in chord:
                    self.note(2, start + at, 1.5, pitch, loud - 12)
        elif self.figure == 3:  # on the beat
            for at in range(0, self.steps, 4):
                for pitch in chord:
                    self.note(2, start + at, 3.5, pitch, loud - 12)
        else:  # driven in eighths
            for at in range(0, self.steps, 2):
                for pitch in (chord[0], chord[2]):
                    self.note(2, start + at, 1.6, pitch - 12, loud - 10)

    def write_bass(self, start, pitch, loud):
        if self.figure in (0, 3):
            self.note(3, start, self.steps * 0.9, pitch + 12, loud)
        elif self.figure == 4:
            for at in range(0, self.steps, 2):
                self.note(3, start + at, 1.7, pitch + 12, loud)
        else:
            for at in range(0, self.steps, 4):
                self.note(3, start + at, 3, pitch + 12 + (7 if at == self.steps - 4 else 0), loud)

    def write_drums(self, start, bar, section_bars, loud):
        orchestral = self.kit == 48
        keys = (36, 38, 59 if orchestral else 42)
        for key, line in zip(keys, self.beat):
            for at, sign in enumerate(line[: self.steps]):
                if sign != ".":
                    self.note(
                        9, start + at, 1, key, loud + (10 if sign == "x" else -25) - (15 if key in (42, 59) else 0)
                    )
        if bar % section_bars == 0:
            self.note(9, start, 4, 57 if orchestral else 49, loud)
        if bar % section_bars == section_bars - 1 and self.random.random() < 0.6:
            for at in range(self.steps - 4, self.steps):
                self.note(9, start + at, 1, int(self.random.choice([45, 47, 50, 38])), loud)

    def midi(self):
        """The bytes of a MIDI file."""
        body = [b"\x00\xff\x51\x03" + int(60_000_000 / self.tempo).to_bytes(3, "big")]
        now = 0
        for at, _, message in sorted(self.events, key=lambda event: event[:2]):
            body.append(variable_length(at - now) + message)
            now = at
        body.append(variable_length(TICKS) + b"\xff\x2f\x00")
        track = b"".join(body)
        return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track
