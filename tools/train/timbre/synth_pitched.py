"""Pitched instruments by parametric synthesis, one function a family of General MIDI.

Each function draws a new instrument and one note of it. The means are the textbook ones: struck
and plucked strings as sums of decaying modes, bars as modes, organs as drawbars, blown and bowed
instruments as harmonic spectra with the formants, noise and onset of their kind, and synthesisers
as oscillators through a filter that moves.
"""

import numpy as np

from . import dsp
from .dsp import RATE, TIME, between, chance, decay, log_uniform, mix, modes, noise, saturated, section, sine, wave

COUNT = len(TIME)


def note_length(random):
    return float(random.choice([0.2, 0.45, 0.9, 1.6, 2.6]))


def harmonic(random, hz, amplitudes, count=COUNT, vibrato=0.0, drift=0.001):
    """A sum of harmonics of one moving pitch: amplitudes is one number or one curve for each."""
    base = hz * (1 + drift * (random.random() - 0.5) * np.exp(-TIME[:count] / 0.05))
    if vibrato:
        onset = np.minimum(TIME[:count] / np.float32(random.uniform(0.1, 0.8)), 1)
        base = base * (1 + vibrato * onset * sine(random.uniform(4.2, 7), count))
    turns = dsp.phase_of(base, count).astype(np.float32)
    total = np.zeros(count, np.float32)
    for number, amplitude in enumerate(amplitudes, 1):
        if number * hz > 15_200:
            break
        angle = turns * np.float32(number)
        total += amplitude * np.sin(dsp.TAU * (angle - np.floor(angle)) + np.float32(random.uniform(0, 6.28)))
    return total


def formants(sound, *peaks):
    return dsp.filtered(sound, *[section("peak", hz, q, gain) for hz, q, gain in peaks])


def moving_filter(random, sound, hz, depth=None):
    """A low-pass that closes: a cross-fade from a bright to a dark version."""
    bright = between(sound, None, min(hz * log_uniform(random, 5, 60), 15_000))
    dark = between(sound, None, min(hz * log_uniform(random, 1.5, 10), 15_000), 2)
    fade = np.exp(-TIME[: len(sound)] / np.float32(depth or log_uniform(random, 0.03, 0.9)))
    return bright * fade + dark * (1 - fade)


def piano(random):
    hz, hardness = log_uniform(random, 55, 1500), random.uniform(0.4, 1.3)
    kind = random.random()
    if kind < 0.3:  # an electric piano: a tine with a bell-like partial
        turns = sine(hz, COUNT)
        depth = log_uniform(random, 0.2, 3.0) * np.exp(-TIME / log_uniform(random, 0.15, 1.2))
        ratio = float(random.choice([1, 1, 2, 7, 14]))
        body = np.sin(dsp.TAU * (TIME * np.float32(hz) % 1.0) + depth * sine(hz * ratio, COUNT)) + 0.2 * turns
        sound = body * decay(log_uniform(random, 0.4, 2.5), COUNT, 0.002)
        if chance(random, 0.4):
            sound = sound * (1 + 0.4 * sine(random.uniform(3, 7), COUNT))
    else:
        number = np.arange(1, 33)
        stretch = log_uniform(random, 5e-5, 1.5e-3) * (hz / 260) ** 0.8
        partials = hz * number * np.sqrt(1 + stretch * number**2)
        hammer = np.abs(np.sin(np.pi * number / random.uniform(6.5, 9))) + 0.05
        amplitude = hammer * np.exp(-number / (hardness * log_uniform(random, 2, 14)))
        time = log_uniform(random, 0.5, 2.8) * (260 / hz) ** 0.4 / (1 + 0.12 * number)
        keep = amplitude > 0.004
        sound = modes(random, partials[keep], time[keep], amplitude[keep], COUNT)
        detuned = modes(
            random, partials[keep] * (1 + random.uniform(3e-4, 3e-3)), time[keep] * 1.3, amplitude[keep], COUNT
        )
        sound = sound + random.uniform(0.3, 1) * detuned
        knock = between(
            noise(random, COUNT) * decay(log_uniform(random, 0.01, 0.06), COUNT, 0.001),
            None,
            log_uniform(random, 400, 3000),
        )
        sound = mix(COUNT, (1, sound), (log_uniform(random, 0.005, 0.15), knock))
    return sound * dsp.held(note_length(random), random.uniform(0.03, 0.25), COUNT)


def chromatic(random):
    hz, kind = log_uniform(random, 180, 2400), random.random()
    ratios = {
        0: [1, 3.93, 9.5, 17.0],
        1: [1, 2.76, 5.40, 8.93],
        2: [1, 4.0, 10.2, 19.0],
        3: [0.5, 1, 1.2, 1.5, 2, 2.7, 4.1],
    }[int(kind * 4)]
    ratios = np.array(ratios) * random.uniform(0.985, 1.015, len(ratios))
    time = log_uniform(random, 0.12, 2.4) * (500 / hz) ** 0.5
    bright = random.uniform(0.1, 0.8)
    sound = modes(
        random,
        hz * ratios,
        time * random.uniform(0.2, 1.0, len(ratios)) / np.sqrt(ratios),
        bright ** np.arange(len(ratios)) * random.uniform(0.5, 1.3, len(ratios)),
        COUNT,
    )
    if chance(random, 0.25):  # a vibraphone's fans
        sound = sound * (1 + random.uniform(0.1, 0.5) * sine(random.uniform(2, 8), COUNT))
    mallet = between(
        noise(random, COUNT) * decay(log_uniform(random, 0.002, 0.03), COUNT, 0.0005),
        None,
        log_uniform(random, 500, 7000),
    )
    return mix(COUNT, (1, sound), (log_uniform(random, 0.01, 0.3), mallet))


def organ(random):
    hz, kind = log_uniform(random, 65, 1000), random.random()
    if kind < 0.5:  # drawbars
        bars = np.array([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])
        sound = np.zeros(COUNT, np.float32)
        for bar in bars:
            if chance(random, 0.7) and bar * hz < 14_000:
                sound += np.float32(random.uniform(0.1, 1)) * sine(
                    hz * bar * random.uniform(0.9995, 1.0005), COUNT, random.uniform(0, 6)
                )
        sound += sine(hz, COUNT)
        key = between(noise(random, COUNT) * decay(0.006, COUNT), log_uniform(random, 800, 3000))
        sound = mix(COUNT, (1, sound), (log_uniform(random, 0.005, 0.3), key))
        if chance(random, 0.6):  # a turning loudspeaker
            rate = random.choice([random.uniform(0.6, 1.2), random.uniform(5, 7.5)])
            sound = sound * (1 + random.uniform(0.1, 0.4) * sine(rate, COUNT)) + 0.3 * np.roll(
                sound, int(random.uniform(20, 60))
            )
        sound = saturated(sound, log_uniform(random, 0.5, 6)) if chance(random, 0.5) else sound
    elif kind < 0.8:  # pipes
        ranks = random.choice([0.5, 1, 1, 2, 3, 4, 6], int(random.integers(2, 6)))
        sound = np.zeros(COUNT, np.float32)
        for rank in ranks:
            slope = random.uniform(1.0, 2.6)
            sound += harmonic(random, hz * rank * random.uniform(0.998, 1.002), 1 / np.arange(1, 14) ** slope)
        chiff = between(
            noise(random, COUNT) * decay(log_uniform(random, 0.02, 0.1), COUNT, 0.01), log_uniform(random, 500, 3000)
        )
        sound = mix(COUNT, (1, sound), (log_uniform(random, 0.01, 0.15), chiff)) * dsp.rising(
            log_uniform(random, 0.01, 0.1), COUNT
        )
    else:  # free reeds: two or three, a little apart
        sound = sum(
            harmonic(random, hz * random.uniform(0.995, 1.005), 1 / np.arange(1, 22) ** random.uniform(0.5, 1.2))
            for _ in range(int(random.integers(1, 4)))
        )
        sound = formants(sound, (log_uniform(random, 600, 2500), 1, random.uniform(-6, 8))) * dsp.rising(
            log_uniform(random, 0.02, 0.12), COUNT
        )
    return sound * dsp.held(note_length(random), random.uniform(0.01, 0.15), COUNT)


def guitar(random):
    hz = log_uniform(random, 80, 800)
    muted = chance(random, 0.15)
    sustain = log_uniform(random, 0.05, 0.2) if muted else log_uniform(random, 0.4, 3)
    sound = dsp.karplus(random, hz, COUNT, random.uniform(0.2, 0.95), sustain, random.uniform(0.06, 0.4))
    pick = between(
        noise(random, COUNT) * decay(log_uniform(random, 0.002, 0.012), COUNT, 0.0003), log_uniform(random, 800, 4000)
    )
    sound = mix(COUNT, (1, sound), (log_uniform(random, 0.01, 0.25), pick))
    kind = random.random()
    if kind < 0.4:  # a wooden body
        sound = formants(
            sound,
            (random.uniform(90, 130), 4, random.uniform(2, 9)),
            (random.uniform(180, 260), 4, random.uniform(2, 8)),
            (random.uniform(350, 600), 3, random.uniform(0, 5)),
        )
    elif kind < 0.7:  # an overdriven amplifier and its loudspeaker
        driven = saturated(sound, log_uniform(random, 4, 120), random.uniform(-0.2, 0.2)) * (sustain > 0.3 or 1)
        sound = between(
            dsp.filtered(driven, section("peak", random.uniform(1500, 3500), 1, 6)), 90, random.uniform(3500, 6500), 2
        )
    else:
        sound = formants(sound, (random.uniform(1500, 4500), 1.2, random.uniform(0, 8)))
        if chance(random, 0.3):
            sound = sound * (1 + 0.4 * sine(random.uniform(3, 8), COUNT))
    return sound * dsp.held(note_length(random), random.uniform(0.02, 0.15), COUNT)


def bass(random):
    hz, kind = log_uniform(random, 31, 140), random.random()
    if kind < 0.55:
        sound = dsp.karplus(
            random, hz, COUNT, random.uniform(0.05, 0.85), log_uniform(random, 0.25, 2.5), random.uniform(0.05, 0.45)
        )
        if chance(random, 0.25):  # slapped
            slap = between(
                noise(random, COUNT) * decay(log_uniform(random, 0.003, 0.02), COUNT, 0.0003),
                log_uniform(random, 900, 3500),
            )
            sound = mix(COUNT, (1, sound), (log_uniform(random, 0.05, 0.7), slap))
        if chance(random, 0.3):
            sound = formants(sound, (random.uniform(90, 200), 2, random.uniform(2, 8)))
        sound = saturated(sound, log_uniform(random, 0.5, 8)) if chance(random, 0.3) else sound
        return sound * dsp.held(note_length(random), 0.05, COUNT)
    shape = str(random.choice(["saw", "square", "triangle", "sine", "fm", "pulse"]))
    sound = wave(random, shape, hz, COUNT)
    if chance(random, 0.4):
        sound = sound + wave(
            random,
            str(random.choice(["saw", "square", "sine"])),
            hz * random.choice([0.5, 1, 1, 2]) * random.uniform(0.99, 1.01),
            COUNT,
        )
    sound = moving_filter(random, sound, hz)
    envelope = random.uniform(0, 0.8)
    sound = sound * (
        envelope + (1 - envelope) * decay(log_uniform(random, 0.05, 0.9), COUNT, log_uniform(random, 0.001, 0.02))
    )
    sound = saturated(sound, log_uniform(random, 0.5, 8)) if chance(random, 0.5) else sound
    return sound * dsp.held(note_length(random), random.uniform(0.02, 0.15), COUNT)


BODIES = {
    "violin": [(280, 4, 6), (460, 4, 5), (900, 2, 3), (2600, 1, 6)],
    "cello": [(110, 3, 5), (220, 3, 5), (400, 2, 4), (1600, 1, 3)],
    "bass": [(70, 3, 5), (120, 3, 5), (300, 2, 3), (1000, 1, 1)],
}


def bowed(random, hz, vibrato):
    amplitudes = 1 / np.arange(1, 34) ** random.uniform(0.8, 1.5) * random.uniform(0.5, 1.3, 33)
    sound = harmonic(random, hz, amplitudes.astype(np.float32), vibrato=vibrato, drift=0.01)
    body = BODIES["violin" if hz > 190 else "cello" if hz > 70 else "bass"]
    body = [(f * random.uniform(0.85, 1.15), q, gain * random.uniform(0.3, 1.4)) for f, q, gain in body]
    scrape = between(noise(random, COUNT), 1000, 7000) * (0.4 + decay(0.1, COUNT, 0.005))
    return formants(mix(COUNT, (1, sound), (log_uniform(random, 0.01, 0.12), scrape)), *body)


def strings(random):
    hz, kind = log_uniform(random, 45, 1400), random.random()
    if kind < 0.6:
        sound = bowed(random, hz, random.choice([0, random.uniform(0.002, 0.008)])) * dsp.rising(
            log_uniform(random, 0.015, 0.25), COUNT
        )
        if chance(random, 0.15):  # tremolo
            sound = sound * (1 + 0.6 * np.sign(sine(random.uniform(8, 15), COUNT))) / 1.6
        return sound * dsp.held(note_length(random), random.uniform(0.04, 0.25), COUNT)
    if kind < 0.8:  # plucked with the finger
        sound = dsp.karplus(
            random, hz, COUNT, random.uniform(0.1, 0.5), log_uniform(random, 0.05, 0.35), random.uniform(0.1, 0.4)
        )
        return formants(sound, *[(f, q, g * random.random()) for f, q, g in BODIES["violin" if hz > 190 else "cello"]])
    sound = dsp.karplus(
        random, hz, COUNT, random.uniform(0.3, 0.7), log_uniform(random, 0.5, 2.5), random.uniform(0.3, 0.5)
    )
    return sound * decay(2.0, COUNT, 0.003)  # a harp


def ensemble(random):
    hz, kind = log_uniform(random, 70, 1000), random.random()
    if kind < 0.75:
        players = int(random.integers(3, 7))
        if chance(random, 0.5):
            sound = sum(
                bowed(
                    random,
                    hz * random.uniform(0.993, 1.007) * random.choice([1, 1, 1, 2]),
                    random.uniform(0.002, 0.006),
                )
                for _ in range(min(players, 3))
            )
        else:  # a string machine
            sound = sum(
                wave(random, "saw", hz * random.uniform(0.993, 1.007) * random.choice([1, 1, 2]), COUNT)
                for _ in range(players)
            )
            sound = between(sound, random.uniform(80, 300), log_uniform(random, 1800, 9000))
        sound = sound * dsp.rising(log_uniform(random, 0.04, 0.5), COUNT)
        return sound * dsp.held(note_length(random), random.uniform(0.1, 0.5), COUNT)
    # An orchestra's hit: all families at once, short.
    sound = sum(wave(random, "saw", hz * ratio * random.uniform(0.99, 1.01), COUNT) for ratio in (0.5, 1, 1, 1.5, 2, 3))
    hit = between(noise(random, COUNT) * decay(0.1, COUNT), None, 4000)
    return mix(
        COUNT,
        (1, between(sound, 60, 5000) * decay(log_uniform(random, 0.1, 0.5), COUNT, 0.005)),
        (0.4, hit * dsp.held(0.4, 0.1, COUNT)),
    )


def brass(random):
    hz = log_uniform(random, 55, 1100)
    attack = log_uniform(random, 0.015, 0.12)
    swell = np.minimum(TIME / np.float32(attack), 1) * (random.uniform(0.5, 1) + 0.5 * np.exp(-TIME / 0.15))
    number, bright = np.arange(1, 28), log_uniform(random, 2.5, 14)
    # The louder, the brighter: upper harmonics come later and leave first.
    amplitudes = [
        (np.exp(-n / bright) * swell ** (1 + n / log_uniform(random, 3, 8))).astype(np.float32) for n in number
    ]
    players = 1 if chance(random, 0.65) else 3
    sound = sum(
        harmonic(
            random,
            hz * (random.uniform(0.996, 1.004) if players > 1 else 1),
            amplitudes,
            vibrato=random.choice([0, 0.003]),
            drift=0.03,
        )
        for _ in range(players)
    )
    sound = formants(sound, (log_uniform(random, 400, 1400), 1, random.uniform(0, 8)))
    if chance(random, 0.15):  # muted
        sound = formants(between(sound, 500), (random.uniform(1500, 2600), 2, 12))
    breath = between(noise(random, COUNT), 800, 6000) * swell
    return mix(COUNT, (1, sound), (log_uniform(random, 0.003, 0.05), breath)) * dsp.held(
        note_length(random), random.uniform(0.03, 0.12), COUNT
    )


def reed(random):
    hz, kind = log_uniform(random, 60, 1300), random.random()
    number = np.arange(1, 30)
    even = random.uniform(0.02, 0.3) if kind < 0.4 else random.uniform(0.5, 1.1)  # a closed pipe lacks even harmonics
    amplitudes = (
        np.where(number % 2 == 1, 1.0, even) / number ** random.uniform(0.6, 1.5) * random.uniform(0.6, 1.3, 29)
    )
    sound = harmonic(
        random, hz, amplitudes.astype(np.float32), vibrato=random.choice([0, random.uniform(0.001, 0.006)]), drift=0.02
    )
    sound = formants(
        sound,
        (log_uniform(random, 500, 1600), 2, random.uniform(0, 12)),
        (log_uniform(random, 1800, 4000), 2, random.uniform(0, 9)),
    )
    if kind > 0.7:  # saxophones: breath and growl
        sound = saturated(sound, log_uniform(random, 0.8, 4), random.uniform(-0.3, 0.3))
    breath = between(noise(random, COUNT), log_uniform(random, 500, 2000), 9000)
    sound = mix(COUNT, (1, sound), (log_uniform(random, 0.005, 0.12), breath)) * dsp.rising(
        log_uniform(random, 0.01, 0.09), COUNT
    )
    return sound * dsp.held(note_length(random), random.uniform(0.02, 0.1), COUNT)


def pipe(random):
    hz = log_uniform(random, 240, 2600)
    amplitudes = random.uniform(0.02, 0.5) ** np.arange(10) * random.uniform(0.4, 1.4, 10)
    sound = harmonic(
        random, hz, amplitudes.astype(np.float32), vibrato=random.choice([0, random.uniform(0.002, 0.01)]), drift=0.03
    )
    if chance(random, 0.6):
        sound = sound * (1 + random.uniform(0.05, 0.3) * sine(random.uniform(4, 6.5), COUNT))
    breath = dsp.filtered(
        noise(random, COUNT), section("band", hz * random.choice([1, 1, 2, 3]), random.uniform(0.5, 8))
    )
    chiff = between(noise(random, COUNT) * decay(log_uniform(random, 0.01, 0.08), COUNT, 0.004), 1200)
    sound = mix(COUNT, (1, sound), (log_uniform(random, 0.01, 0.7), breath), (log_uniform(random, 0.005, 0.3), chiff))
    return (
        sound
        * dsp.rising(log_uniform(random, 0.01, 0.1), COUNT)
        * dsp.held(note_length(random), random.uniform(0.02, 0.12), COUNT)
    )


def lead(random):
    hz = log_uniform(random, 150, 1700)
    moving = hz * (1 + random.choice([0, random.uniform(0, 0.015)]) * sine(random.uniform(4, 8), COUNT))
    if chance(random, 0.15):
        moving = moving * (1 - 0.5 * np.exp(-TIME / log_uniform(random, 0.01, 0.15)))
    sound = wave(random, str(random.choice(["saw", "square", "pulse", "triangle", "fm", "sine"])), moving, COUNT)
    for _ in range(int(random.integers(0, 3))):
        sound = sound + wave(
            random,
            str(random.choice(["saw", "square", "pulse"])),
            moving * random.choice([1, 1, 0.5, 2, 1.498]) * random.uniform(0.99, 1.01),
            COUNT,
        )
    sound = moving_filter(random, sound, hz) if chance(random, 0.8) else sound
    sustain = random.uniform(0.2, 1)
    sound = (
        sound
        * (sustain + (1 - sustain) * decay(log_uniform(random, 0.05, 1), COUNT))
        * dsp.rising(log_uniform(random, 0.001, 0.05), COUNT)
    )
    sound = saturated(sound, log_uniform(random, 0.5, 6)) if chance(random, 0.4) else sound
    return sound * dsp.held(note_length(random), random.uniform(0.01, 0.2), COUNT)


def pad(random):
    hz = log_uniform(random, 80, 700)
    chord = random.choice([0, 3, 4, 7, 12, 10], int(random.integers(1, 4)), replace=False)
    shapes = ["saw", "triangle", "square", "sine"]
    sound = sum(
        wave(random, str(random.choice(shapes)), hz * 2 ** (step / 12) * random.uniform(0.99, 1.01), COUNT)
        for step in chord
        for _ in range(2)
    )
    dark, bright = (
        between(sound, None, log_uniform(random, 400, 3000)),
        between(sound, None, log_uniform(random, 1500, 10_000)),
    )
    sweep = 0.5 + 0.5 * sine(log_uniform(random, 0.1, 2), COUNT, random.uniform(0, 6))
    sound = dark * (1 - sweep) + bright * sweep
    if chance(random, 0.3):
        air = dsp.filtered(
            noise(random, COUNT), section("band", log_uniform(random, 500, 5000), random.uniform(0.5, 4))
        )
        sound = mix(COUNT, (1, sound), (log_uniform(random, 0.02, 0.4), air))
    return (
        sound
        * dsp.rising(log_uniform(random, 0.08, 1.0), COUNT)
        * dsp.held(random.uniform(1, 2.8), random.uniform(0.2, 1), COUNT)
    )


def synthfx(random):
    hz, kind = log_uniform(random, 100, 1200), random.random()
    if kind < 0.4:  # a bell over a pad
        top = modes(
            random,
            hz * random.uniform(1, 9, 7),
            log_uniform(random, 0.3, 2) * random.uniform(0.3, 1, 7),
            random.uniform(0.2, 1, 7),
            COUNT,
        )
        return mix(COUNT, (1, pad(random)), (log_uniform(random, 0.3, 3), top))
    if kind < 0.7:  # sample and hold: a pitch or filter that jumps
        steps = np.repeat(np.exp(random.uniform(-0.7, 0.7, 40)), int(RATE * log_uniform(random, 0.06, 0.3)))
        steps = np.resize(steps, COUNT)
        sound = wave(
            random,
            str(random.choice(["saw", "square", "fm"])),
            hz * (steps if chance(random, 0.5) else 1 + 0 * steps),
            COUNT,
        )
        return between(sound, None, log_uniform(random, 800, 8000)) * dsp.rising(log_uniform(random, 0.01, 0.4), COUNT)
    sound = pad(random)
    delay = int(RATE * random.uniform(0.1, 0.35))
    for gain in (0.6, 0.35, 0.2):
        sound[delay:] += gain * sound[:-delay]
    return sound * (1 + 0.5 * sine(log_uniform(random, 0.3, 9), COUNT))


def ethnic(random):
    hz, kind = log_uniform(random, 100, 1000), random.random()
    if kind < 0.65:  # banjo, koto, shamisen, sitar: bright short strings, some with a buzz
        sound = dsp.karplus(
            random, hz, COUNT, random.uniform(0.6, 0.99), log_uniform(random, 0.1, 1.8), random.uniform(0.03, 0.15)
        )
        skin = dsp.filtered(noise(random, COUNT), section("band", log_uniform(random, 400, 2000), 1.5)) * decay(
            log_uniform(random, 0.005, 0.05), COUNT, 0.0005
        )
        sound = mix(COUNT, (1, sound), (log_uniform(random, 0.02, 0.4), skin))
        if chance(random, 0.35):
            sound = saturated(sound, log_uniform(random, 1, 8), 0.3)
            sound = formants(sound, (random.uniform(1500, 4500), 2, random.uniform(4, 12)))
        return sound
    if kind < 0.8:  # a thumb piano
        return modes(
            random,
            hz * np.array([1, 5.4, 9.1, 14.2]) * random.uniform(0.9, 1.1, 4),
            log_uniform(random, 0.15, 0.9) * np.array([1, 0.3, 0.2, 0.1]),
            [1, 0.4, 0.25, 0.15],
            COUNT,
        )
    # Double reeds over a drone.
    amplitudes = 1 / np.arange(1, 30) ** random.uniform(0.2, 0.8)
    sound = formants(
        harmonic(random, hz, amplitudes.astype(np.float32), drift=0.02),
        (random.uniform(900, 1800), 2, 10),
        (random.uniform(2500, 3800), 2, 8),
    )
    return sound * dsp.rising(0.02, COUNT) * dsp.held(note_length(random), 0.05, COUNT)


# First three formants in Hz of sung vowels, after Peterson and Barney's averages for men.
VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}


def vocal(random):
    """A voice: pulses of the glottis through the resonances of a mouth that may move, sung or spoken."""
    hz, size = log_uniform(random, 80, 700), random.uniform(0.95, 1.3)
    spoken = chance(random, 0.4)
    start, end = VOWELS[str(random.choice(list(VOWELS)))], VOWELS[str(random.choice(list(VOWELS)))]
    if not chance(random, 0.5 if not spoken else 0.9):
        end = start
    tilt = random.uniform(1.0, 1.7)
    pitch = hz * (1 + random.uniform(-0.25, 0.25) * TIME / TIME[-1]) if spoken else hz
    singers = 1 if spoken or chance(random, 0.6) else 3
    source = sum(
        harmonic(
            random,
            float(hz),
            (1 / np.arange(1, 40) ** tilt).astype(np.float32),
            vibrato=0 if spoken else random.uniform(0, 0.015),
            drift=0.05,
        )
        if np.ndim(pitch) == 0
        else wave(random, "saw", pitch, COUNT)
        for _ in range(singers)
    )
    source = mix(COUNT, (1, source), (log_uniform(random, 0.005, 0.3), noise(random, COUNT)))
    fade = np.clip(TIME / np.float32(random.uniform(0.15, 1)), 0, 1)
    sounds = []
    for shape in (start, end):
        parts = [
            dsp.filtered(source, section("band", f * size, random.uniform(4, 12))) * np.float32(g)
            for f, g in zip(
                (*shape, 3400), (1, random.uniform(0.3, 1), random.uniform(0.1, 0.5), random.uniform(0.05, 0.25))
            )
        ]
        sounds.append(sum(parts))
    sound = sounds[0] * (1 - fade) + sounds[1] * fade
    if spoken and chance(random, 0.7):  # syllables and a consonant's hiss
        rate = random.uniform(2.5, 6)
        beat = 0.5 + 0.5 * sine(rate, COUNT, random.uniform(0, 6))
        hiss = between(noise(random, COUNT), log_uniform(random, 2500, 6000)) * (1 - beat) ** 4
        sound = mix(COUNT, (1, sound * beat ** random.uniform(0.5, 2)), (log_uniform(random, 0.02, 0.4), hiss))
        return sound
    return (
        sound
        * dsp.rising(log_uniform(random, 0.02, 0.4), COUNT)
        * dsp.held(note_length(random), random.uniform(0.05, 0.3), COUNT)
    )


def fx(random):
    """What is no instrument: risers, falls, impacts, sweeps of noise, lasers."""
    kind = random.random()
    if kind < 0.3:
        rise = (
            np.linspace(0, 1, COUNT, dtype=np.float32)
            if chance(random, 0.6)
            else np.linspace(1, 0, COUNT, dtype=np.float32)
        )
        hiss = noise(random, COUNT)
        return (
            between(hiss, None, log_uniform(random, 300, 2000)) * (1 - rise)
            + between(hiss, log_uniform(random, 1500, 6000)) * rise
        ) * (rise ** random.uniform(0.3, 2) + 0.02)
    if kind < 0.5:
        sweep = log_uniform(random, 200, 6000) * np.exp(TIME * random.uniform(-6, 2))
        return wave(
            random, str(random.choice(["saw", "square", "sine", "fm"])), np.clip(sweep, 20, 12_000), COUNT
        ) * decay(log_uniform(random, 0.1, 1), COUNT)
    if kind < 0.75:
        boom = sine(log_uniform(random, 25, 80) * (1 + np.exp(-TIME / 0.1)), COUNT) * decay(
            log_uniform(random, 0.4, 1.5), COUNT, 0.003
        )
        rubble = between(noise(random, COUNT), None, log_uniform(random, 400, 6000)) * decay(
            log_uniform(random, 0.1, 1.2), COUNT, 0.002
        )
        return saturated(mix(COUNT, (1, boom), (log_uniform(random, 0.2, 2), rubble)), log_uniform(random, 1, 8))
    wind = dsp.filtered(noise(random, COUNT), section("band", log_uniform(random, 200, 4000), random.uniform(0.5, 5)))
    return wind * (1 + 0.8 * sine(log_uniform(random, 0.2, 12), COUNT, random.uniform(0, 6)))


MAKERS = {
    "piano": piano,
    "chromatic": chromatic,
    "organ": organ,
    "guitar": guitar,
    "bass": bass,
    "strings": strings,
    "ensemble": ensemble,
    "brass": brass,
    "reed": reed,
    "pipe": pipe,
    "lead": lead,
    "pad": pad,
    "synthfx": synthfx,
    "ethnic": ethnic,
    "vocal": vocal,
    "fx": fx,
}
