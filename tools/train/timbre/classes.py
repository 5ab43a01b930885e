"""The classes of sound, and which of them General MIDI's keys and programs belong to."""

DRUMS = [
    "kick",
    "snare",
    "sidestick",
    "clap",
    "hat-closed",
    "hat-open",
    "tom",
    "crash",
    "ride",
    "cowbell",
    "tambourine",
    "shaker",
    "handdrum",
    "timbale",
    "woodblock",
    "triangle",
    "agogo",
    "guiro",
    "vibraslap",
    "bell",
    "timpani",
    "snap",
]
FAMILIES = [
    "piano",
    "chromatic",
    "organ",
    "guitar",
    "bass",
    "strings",
    "ensemble",
    "brass",
    "reed",
    "pipe",
    "lead",
    "pad",
    "synthfx",
    "ethnic",
]
OTHERS = ["vocal", "fx"]
CLASSES = DRUMS + FAMILIES + OTHERS

# The classes that are told apart when drum kits are compared. An open and a
# closed hat are one instrument, and so are a snare and its rim.
NINE = ["kick", "snare", "hat", "tom", "crash", "ride", "clap", "cowbell", "tambourine"]
COARSE = {"hat-open": "hat", "hat-closed": "hat", "sidestick": "snare"}

DRUM_KEYS = {
    35: "kick",
    36: "kick",
    37: "sidestick",
    38: "snare",
    39: "clap",
    40: "snare",
    42: "hat-closed",
    44: "hat-closed",
    46: "hat-open",
    49: "crash",
    52: "crash",
    55: "crash",
    57: "crash",
    51: "ride",
    53: "ride",
    59: "ride",
    54: "tambourine",
    56: "cowbell",
    58: "vibraslap",
    67: "agogo",
    68: "agogo",
    69: "shaker",
    70: "shaker",
    73: "guiro",
    74: "guiro",
    75: "woodblock",
    76: "woodblock",
    77: "woodblock",
    80: "triangle",
    81: "triangle",
    82: "shaker",
    83: "bell",
    65: "timbale",
    66: "timbale",
    **{key: "tom" for key in (41, 43, 45, 47, 48, 50)},
    **{key: "handdrum" for key in (60, 61, 62, 63, 64)},
}
ORCHESTRA_KEYS = {
    27: "hat-closed",
    28: "hat-closed",
    29: "hat-open",
    30: "ride",
    35: "kick",
    36: "kick",
    37: "sidestick",
    38: "snare",
    40: "snare",
    54: "tambourine",
    57: "crash",
    59: "crash",
    **{key: "timpani" for key in range(41, 54, 3)},
}
ORCHESTRA_KIT, BRUSH_KIT, EFFECTS_KIT = 48, 40, 56


def drum_label(kit, key):
    """The class of a key of a General MIDI drum kit, or None."""
    if kit >= EFFECTS_KIT:
        return None
    if kit == ORCHESTRA_KIT:
        return ORCHESTRA_KEYS.get(key)
    if kit == BRUSH_KIT and key in (39, 40):  # a slap, and a stirred snare
        return "snare" if key == 39 else None
    return DRUM_KEYS.get(key)


def program_label(program):
    """The class of a General MIDI program from 0 to 127, or None."""
    special = {
        47: "timpani",
        52: "vocal",
        53: "vocal",
        54: "vocal",
        91: "vocal",
        113: "agogo",
        115: "woodblock",
        116: "tom",
        117: "tom",
        118: "tom",
        112: "bell",
    }
    if program in special:
        return special[program]
    if program < 112:
        return FAMILIES[program // 8]
    return "fx" if program >= 120 else None


def coarse(label):
    """The class as drum kits are compared."""
    return COARSE.get(label, label)
