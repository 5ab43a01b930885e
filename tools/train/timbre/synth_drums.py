"""Drums by parametric synthesis. Each function draws a new instrument of its class from wide ranges.

A function gets the random generator and the kit's nature, 0 for an electronic kit to 1 for a
recorded one, which shifts the ranges: kits differ from one another more than their sounds do.
"""

import itertools

import numpy as np

from . import dsp
from .dsp import RATE, TIME, between, chance, decay, log_uniform, mix, modes, noise, saturated, section, sine

MEMBRANE = np.array([1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.6, 4.06])  # zeros of Bessel functions
BAR = np.array([1.0, 2.756, 5.404, 8.933])  # a free bar
BRIDGED_T = np.array([1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523])  # the six oscillators of an analogue hi-hat


def seconds(value):
    return min(len(TIME), int(value * RATE))


def maybe_driven(random, sound, probability=0.45):
    return saturated(sound, log_uniform(random, 0.6, 9)) if chance(random, probability) else sound


def click(random, count):
    high = random.random() < 0.5
    burst = noise(random, count) * decay(log_uniform(random, 0.0006, 0.01), count, 0.0001)
    return between(
        burst, log_uniform(random, 600, 5000) if high else None, None if high else log_uniform(random, 1500, 9000)
    )


def membrane(random, hz, time, count, spread=0.05, bright=1.0, number=8):
    ratios = MEMBRANE[:number] * random.uniform(1 - spread, 1 + spread, number)
    ratios[0] = 1.0
    return modes(
        random,
        hz * ratios,
        time * random.uniform(0.25, 0.9, number) / ratios**0.5,
        random.uniform(0.1, 1.0, number) * bright / np.arange(1, number + 1) ** 0.7,
        count,
    )


def kick(random, nature):
    count = seconds(log_uniform(random, 0.4, 1.6))
    hz, time = log_uniform(random, 34, 95), log_uniform(random, 0.03, 0.45 if nature < 0.5 else 0.15)
    if chance(random, nature):
        sweep = hz * (1 + random.uniform(0.05, 1.2) * np.exp(-TIME[:count] / log_uniform(random, 0.01, 0.05)))
        body = sine(sweep, count) * decay(time, count, 0.002)
        body = mix(count, (1, body), (random.uniform(0.05, 0.7), membrane(random, hz * 1.5, time * 0.5, count)))
        thud = between(
            noise(random, count) * decay(log_uniform(random, 0.01, 0.08), count, 0.001),
            None,
            log_uniform(random, 150, 900),
        )
        beater = between(
            noise(random, count) * decay(log_uniform(random, 0.002, 0.015), count, 0.0003),
            log_uniform(random, 1200, 4500),
        )
        sound = mix(count, (1, body), (log_uniform(random, 0.05, 0.6), thud), (log_uniform(random, 0.02, 0.9), beater))
        return maybe_driven(random, sound, 0.3)
    fall = log_uniform(random, 0.4, 14) * np.exp(-TIME[:count] / log_uniform(random, 0.004, 0.09))
    body = sine(hz * (1 + fall), count) * decay(
        time, count, log_uniform(random, 0.0003, 0.004), random.uniform(0, 0.12)
    )
    if chance(random, 0.3):
        body = body + random.uniform(0.1, 0.6) * sine(hz * random.uniform(1.4, 2.5), count) * decay(time * 0.5, count)
    parts = [(1, body)]
    if chance(random, 0.85):
        parts.append((log_uniform(random, 0.01, 0.8), click(random, count)))
    if chance(random, 0.35):
        parts.append(
            (
                log_uniform(random, 0.03, 0.3),
                between(
                    noise(random, count) * decay(log_uniform(random, 0.02, 0.2), count),
                    None,
                    log_uniform(random, 200, 3000),
                ),
            )
        )
    return maybe_driven(random, mix(count, *parts), 0.6)


def wires(random, count, time, attack=0.001):
    """The rattle of snare wires: noise with a broad hump that dies away in two steps."""
    hump = section("peak", log_uniform(random, 1500, 6500), random.uniform(0.4, 1.2), random.uniform(0, 12))
    rattle = dsp.filtered(noise(random, count), section("high", log_uniform(random, 200, 2500)), hump)
    envelope = decay(time, count, attack) + random.uniform(0, 0.4) * decay(time * random.uniform(2, 4), count, attack)
    # Wires are duller than noise: they fall off from a few kHz on.
    rattle = dsp.filtered(rattle, section("treble", log_uniform(random, 2500, 9000), 0.6, random.uniform(-18, 2)))
    return between(rattle, None, log_uniform(random, 7000, 15_900)) * envelope


def snare(random, nature):
    count = seconds(log_uniform(random, 0.4, 1.2))
    hz, time = log_uniform(random, 120, 360), log_uniform(random, 0.02, 0.22)
    ring = log_uniform(random, 0.02, 0.16)
    if chance(random, nature):
        body = membrane(random, hz, time, count, 0.1, 1.0, 9)
        shell = modes(
            random,
            hz * random.uniform(2.5, 7, 4),
            time * random.uniform(0.2, 1.2, 4),
            random.uniform(0.1, 0.6, 4),
            count,
        )
        parts = [(1, body), (random.uniform(0, 0.5), shell), (log_uniform(random, 0.15, 2), wires(random, count, ring))]
        if chance(random, 0.2):  # the stick hits the rim too
            crack = modes(
                random, random.uniform(400, 2600, 5), random.uniform(0.01, 0.06, 5), random.uniform(0.2, 1, 5), count
            )
            parts.append((log_uniform(random, 0.3, 1.2), crack))
        if chance(random, 0.1):  # brushes: no body, a slow start
            parts = [(0.2, body), (1, wires(random, count, ring * 1.3, random.uniform(0.005, 0.03)))]
        return maybe_driven(random, mix(count, *parts, (log_uniform(random, 0.02, 0.5), click(random, count))), 0.3)
    bend = hz * (1 + random.uniform(0, 2) * np.exp(-TIME[:count] / log_uniform(random, 0.004, 0.03)))
    body = sine(bend, count) * decay(time, count)
    body += (
        random.uniform(0, 0.9)
        * sine(hz * random.uniform(1.4, 2.0), count)
        * decay(time * random.uniform(0.4, 1), count)
    )
    hiss = between(noise(random, count), log_uniform(random, 150, 4000), log_uniform(random, 4500, 15_900))
    hiss = dsp.filtered(hiss, section("treble", log_uniform(random, 2500, 9000), 0.6, random.uniform(-15, 4)))
    hiss *= decay(ring, count, log_uniform(random, 0.0003, 0.006), random.uniform(0, 0.06))
    return maybe_driven(
        random,
        mix(
            count,
            (log_uniform(random, 0.05, 1.6), body),
            (1, hiss),
            (log_uniform(random, 0.02, 0.6), click(random, count)),
        ),
        0.5,
    )


def sidestick(random, nature):
    count = seconds(0.4)
    hz = log_uniform(random, 350, 2400)
    knock = modes(
        random,
        hz * np.array([1, 1.6, 2.4, 3.5, 4.8]) * random.uniform(0.88, 1.12, 5),
        log_uniform(random, 0.003, 0.03) * random.uniform(0.4, 1.3, 5),
        random.uniform(0.15, 1, 5),
        count,
    )
    parts = [(1, knock), (log_uniform(random, 0.05, 1), click(random, count))]
    if chance(random, nature):
        parts.append(
            (
                log_uniform(random, 0.05, 0.6),
                membrane(random, log_uniform(random, 140, 320), log_uniform(random, 0.01, 0.06), count),
            )
        )
        parts.append((log_uniform(random, 0.01, 0.3), wires(random, count, log_uniform(random, 0.02, 0.1))))
    return maybe_driven(random, mix(count, *parts), 0.3)


def clap(random, nature):
    count = seconds(log_uniform(random, 0.3, 0.9))
    centre, width = log_uniform(random, 700, 2900), random.uniform(0.35, 1.6)
    hiss = between(noise(random, count), centre / (1 + width), centre * (1 + width), 1 + chance(random, 0.5))
    envelope, at = np.zeros(count, np.float32), 0.0
    hits = int(random.integers(1, 3)) if chance(random, nature * 0.5) else int(random.integers(2, 7))
    for hit in range(hits):
        first = int(at * RATE)
        last = hit == hits - 1
        time = log_uniform(random, 0.015, 0.22) if last else log_uniform(random, 0.0015, 0.009)
        envelope[first:] += np.float32(random.uniform(0.4, 1.1)) * decay(time, count - first, 0.0003)
        at += random.uniform(0.004, 0.02)
    parts = [(1, hiss * envelope)]
    if chance(random, 0.6):
        parts.append(
            (log_uniform(random, 0.02, 0.6), between(noise(random, count), log_uniform(random, 1500, 6000)) * envelope)
        )
    return maybe_driven(random, mix(count, *parts), 0.35)


def metal(random, count, low, high, number):
    """Many close partials: six square waves of an analogue machine, or dense modes of a plate."""
    if chance(random, 0.4):
        base = log_uniform(random, 170, 800)
        hz = base * BRIDGED_T * random.uniform(0.92, 1.08, 6)
        return sum(np.sign(sine(value, count, random.uniform(0, 6))) for value in hz).astype(np.float32)
    hz = np.exp(random.uniform(np.log(low), np.log(high), number))
    total = np.zeros(count, np.float32)
    for value in hz:
        total += np.float32(random.uniform(0.2, 1)) * sine(value, count, random.uniform(0, 6.28))
    return total


def plate(random, count, time, low, bright):
    """A cymbal's wash: bands of noise and partials, the higher the shorter, some slow to speak.

    `bright` is the gain from one band to the next above it.
    """
    edges = np.array([low, 900, 2200, 4800, 8500, 15_800])
    total = np.zeros(count, np.float32)
    for index, (first, last) in enumerate(itertools.pairwise(edges)):
        if last <= first:
            continue
        band = dsp.level(between(noise(random, count), first, last)) * random.uniform(0.3, 1.2)
        band = band + dsp.level(metal(random, count, first, last, 10)) * random.uniform(0.0, 0.7)
        fall = time * random.uniform(0.6, 1.2) * (1.2 - 0.14 * index)
        gain = np.float32(random.uniform(0.3, 1.0) * bright ** (index - 2))
        total += gain * band * decay(fall, count, log_uniform(random, 0.0004, 0.03 if index < 3 else 0.004))
    return total


def hat(random, nature, time, hold, count):
    low = log_uniform(random, 900, 9000)
    if chance(random, nature):
        body = plate(random, count, time, log_uniform(random, 150, 900), random.uniform(0.9, 1.9))
        body = between(body, log_uniform(random, 150, 4000))
        envelope = decay(time * 1.5, count, log_uniform(random, 0.0003, 0.003), hold)
        body = body * envelope
        stick = between(
            noise(random, count) * decay(log_uniform(random, 0.002, 0.02), count, 0.0002),
            log_uniform(random, 100, 2500),
        )
        return mix(count, (1, body), (log_uniform(random, 0.05, 0.9), stick))
    body = mix(
        count,
        (log_uniform(random, 0.1, 2), metal(random, count, 2500, 15_000, 16)),
        (log_uniform(random, 0.1, 2), noise(random, count)),
    )
    body = between(body, low, None, int(random.integers(1, 4))) * decay(
        time, count, log_uniform(random, 0.0003, 0.004), hold
    )
    return maybe_driven(random, body, 0.4)


def hat_closed(random, nature):
    if chance(random, 0.15):  # closed by the foot: softer, a little noise of the pedal
        sound = hat(random, nature, log_uniform(random, 0.015, 0.07), 0.0, seconds(0.5))
        return sound * dsp.rising(random.uniform(0.001, 0.012), len(sound))
    return hat(random, nature, log_uniform(random, 0.007, 0.075), 0.0, seconds(0.5))


def hat_open(random, nature):
    time = log_uniform(random, 0.12, 0.8)
    sound = hat(random, nature, time, random.uniform(0, 0.2), seconds(min(2.8, 0.4 + 4 * time)))
    if chance(random, 0.25):  # shut again by the foot
        stop = random.uniform(0.25, 0.9)
        sound = sound * dsp.held(stop, 0.02, len(sound))
    return sound


def tom(random, nature):
    count = seconds(log_uniform(random, 0.6, 2.0))
    hz, time = (
        log_uniform(random, 55, 260),
        log_uniform(random, 0.1, 0.6) if nature < 0.5 else log_uniform(random, 0.15, 0.9),
    )
    bend = hz * (
        1 + random.uniform(0.02, 1.4 if nature < 0.5 else 0.3) * np.exp(-TIME[:count] / log_uniform(random, 0.01, 0.12))
    )
    body = sine(bend, count) * decay(time, count, log_uniform(random, 0.0005, 0.004))
    over = membrane(random, hz * 1.02, time * random.uniform(0.3, 0.9), count, 0.06)
    # The stick is broad in frequency, and the shell's air rings on, duller.
    skin = between(
        noise(random, count) * decay(log_uniform(random, 0.008, 0.05), count), None, log_uniform(random, 1500, 12_000)
    )
    skin = skin + random.uniform(0.02, 0.3) * between(
        noise(random, count) * decay(time * 0.6, count), hz, log_uniform(random, 500, 4000)
    )
    parts = [
        (1, body),
        (random.uniform(0.0, 0.9) * (0.4 + nature), over),
        (log_uniform(random, 0.02, 0.4), skin),
        (log_uniform(random, 0.01, 0.5), click(random, count)),
    ]
    if chance(random, 0.15 * nature):  # snare wires that ring along
        parts.append((log_uniform(random, 0.02, 0.2), wires(random, count, log_uniform(random, 0.1, 0.4))))
    return maybe_driven(random, mix(count, *parts), 0.35)


def crash(random, nature):
    time = log_uniform(random, 0.25, 2.2)
    count = seconds(2.88)
    sound = plate(random, count, time, log_uniform(random, 150, 900), random.uniform(1.0, 2.1))
    sound = between(sound, log_uniform(random, 150, 2500))
    kind = random.random()
    if kind < 0.15:  # splash
        sound = sound * decay(log_uniform(random, 0.15, 0.45), count)
    elif kind < 0.27:  # china: a hollow, rough middle
        sound = dsp.filtered(sound, section("peak", log_uniform(random, 500, 2500), 0.8, random.uniform(4, 12)))
        sound = saturated(sound, log_uniform(random, 1, 5))
    elif kind < 0.4:  # choked by the hand
        sound = sound * dsp.held(random.uniform(0.15, 0.6), random.uniform(0.01, 0.06), count)
    parts = [(1, sound)]
    if nature > 0.4 and chance(random, 0.7):
        parts.append((log_uniform(random, 0.02, 0.4), click(random, count)))
    return maybe_driven(random, mix(count, *parts), 0.25 if nature > 0.5 else 0.4)


def ride(random, nature):
    count = seconds(2.88)
    time, tilt = log_uniform(random, 0.35, 2.4), random.uniform(-0.2, 0.8)
    hz = np.exp(random.uniform(np.log(log_uniform(random, 300, 900)), np.log(14_000), 36))
    ping = modes(
        random,
        hz,
        time * (1000 / hz) ** random.uniform(0.1, 0.6) * random.uniform(0.5, 1.2, 36),
        (800 / hz) ** tilt * random.uniform(0.1, 1, 36),
        count,
    )
    ping = dsp.filtered(ping, section("treble", 3500, 0.6, random.uniform(0, 14)))
    bell = modes(
        random,
        log_uniform(random, 400, 1300) * np.array([1, 1.5, 2.1, 2.74, 3.7]) * random.uniform(0.94, 1.06, 5),
        time * random.uniform(0.4, 1, 5),
        random.uniform(0.2, 1, 5),
        count,
    )
    wash = plate(random, count, time * random.uniform(0.3, 1), log_uniform(random, 400, 2500), random.uniform(1.0, 2.0))
    wash = wash * dsp.rising(log_uniform(random, 0.001, 0.06), count)
    stick = between(
        noise(random, count) * decay(log_uniform(random, 0.002, 0.02), count, 0.0002), log_uniform(random, 1500, 6000)
    )
    sound = mix(
        count,
        (1, ping),
        (log_uniform(random, 0.02, 1.4), bell),
        (log_uniform(random, 0.05, 0.7), wash),
        (log_uniform(random, 0.05, 1.1), stick),
    )
    return maybe_driven(random, sound, 0.2)


def cowbell(random, nature):
    count = seconds(log_uniform(random, 0.3, 0.9))
    hz, ratio, time = log_uniform(random, 380, 1150), random.uniform(1.32, 1.62), log_uniform(random, 0.03, 0.35)
    if chance(random, 0.8 * nature):
        sound = modes(
            random,
            hz * np.array([1, ratio, 2.3, 3.1, 4.4, 5.7]) * random.uniform(0.95, 1.05, 6),
            time * random.uniform(0.3, 1, 6),
            random.uniform(0.1, 1, 6),
            count,
        )
    else:
        both = np.sign(sine(hz, count)) + np.float32(random.uniform(0.5, 1)) * np.sign(sine(hz * ratio, count))
        sound = between(both, hz * 0.7, hz * random.uniform(2.5, 8)) * (decay(time, count) + decay(time * 0.15, count))
    return maybe_driven(random, mix(count, (1, sound), (log_uniform(random, 0.01, 0.5), click(random, count))), 0.3)


def grains(random, count, low, number, span, time):
    """Many tiny hits: beads and seeds."""
    hits = np.zeros(count, np.float32)
    at = (random.uniform(0, span, number) ** random.uniform(0.8, 1.6) * RATE).astype(int)
    np.add.at(hits, np.minimum(at, count - 1), random.uniform(0.2, 1, number).astype(np.float32))
    shape = np.exp(-np.arange(1600, dtype=np.float32) / np.float32(RATE * time))
    return between(noise(random, count) * dsp.convolved(hits, shape), low)


def shaker(random, nature):
    count = seconds(0.6)
    span = log_uniform(random, 0.04, 0.22)
    top = span * random.uniform(0.15, 0.8)
    low = log_uniform(random, 2300, 7500)
    sound = mix(
        count,
        (1, grains(random, count, low, int(log_uniform(random, 30, 400)), span, log_uniform(random, 0.001, 0.006))),
        (random.uniform(0, 1), between(noise(random, count), low)),
    )
    time = TIME[:count]
    fall = np.exp(-np.maximum(time - np.float32(top), 0) / np.float32(log_uniform(random, 0.01, 0.09)))
    return sound * np.minimum(time / np.float32(top), 1) ** random.uniform(0.5, 2) * fall


def tambourine(random, nature):
    count = seconds(log_uniform(random, 0.4, 1.0))
    number, span = int(random.integers(5, 26)), log_uniform(random, 0.01, 0.28)
    sound = np.zeros(count, np.float32)
    for at in np.r_[0, random.uniform(0, span, number)]:
        first = int(at * RATE)
        jingle = modes(
            random,
            np.exp(random.uniform(np.log(3300), np.log(14_800), 5)),
            log_uniform(random, 0.02, 0.15) * random.uniform(0.4, 1, 5),
            random.uniform(0.2, 1, 5),
            count - first,
        )
        sound[first:] += np.float32(random.uniform(0.2, 1)) * jingle
    hiss = between(noise(random, count), 4000) * decay(log_uniform(random, 0.03, 0.2), count)
    parts = [(1, sound), (log_uniform(random, 0.05, 0.6), hiss)]
    if chance(random, 0.5):
        parts.append(
            (
                log_uniform(random, 0.02, 0.7),
                membrane(random, log_uniform(random, 180, 700), log_uniform(random, 0.01, 0.08), count),
            )
        )
    return mix(count, *parts)


def handdrum(random, nature):
    count = seconds(log_uniform(random, 0.4, 1.2))
    hz, time = log_uniform(random, 110, 620), log_uniform(random, 0.03, 0.32)
    bend = hz * (1 + random.uniform(-0.12, 0.3) * np.exp(-TIME[:count] / log_uniform(random, 0.01, 0.2)))
    body = sine(bend, count) * decay(time, count, 0.001)
    slap = between(
        noise(random, count) * decay(log_uniform(random, 0.002, 0.03), count, 0.0003), log_uniform(random, 300, 2500)
    )
    return maybe_driven(
        random,
        mix(
            count,
            (1, body),
            (random.uniform(0.1, 0.9), membrane(random, hz, time * 0.6, count, 0.08)),
            (log_uniform(random, 0.03, 0.9), slap),
        ),
        0.25,
    )


def timbale(random, nature):
    count = seconds(log_uniform(random, 0.5, 1.3))
    hz, time = log_uniform(random, 220, 800), log_uniform(random, 0.08, 0.4)
    shell = modes(
        random, hz * random.uniform(1.8, 7, 8), time * random.uniform(0.3, 1.3, 8), random.uniform(0.2, 1, 8), count
    )
    return mix(
        count,
        (1, membrane(random, hz, time, count, 0.08)),
        (random.uniform(0.3, 1.2), shell),
        (log_uniform(random, 0.05, 0.7), click(random, count)),
    )


def woodblock(random, nature):
    count = seconds(0.5)
    hz = log_uniform(random, 450, 3200)
    sound = modes(
        random,
        hz * np.array([1, 1.45, 2.2, 2.9, 3.8]) * random.uniform(0.9, 1.1, 5),
        log_uniform(random, 0.008, 0.07) * random.uniform(0.3, 1, 5),
        np.array([1, 0.5, 0.3, 0.2, 0.1]) * random.uniform(0.2, 1.3, 5),
        count,
    )
    return mix(count, (1, sound), (log_uniform(random, 0.01, 0.4), click(random, count)))


def triangle(random, nature):
    open_hand = chance(random, 0.6)
    time = log_uniform(random, 0.6, 2.5) if open_hand else log_uniform(random, 0.03, 0.15)
    count = seconds(2.88 if open_hand else 0.7)
    base = log_uniform(random, 900, 2600)
    hz = base * np.sort(random.uniform(1, 7, 9))
    return mix(
        count,
        (1, modes(random, hz, time * random.uniform(0.4, 1.2, 9), random.uniform(0.1, 1, 9), count)),
        (log_uniform(random, 0.01, 0.3), click(random, count)),
    )


def agogo(random, nature):
    count = seconds(log_uniform(random, 0.4, 1.2))
    hz = log_uniform(random, 600, 1900)
    return mix(
        count,
        (
            1,
            modes(
                random,
                hz * np.array([1, 1.52, 2.6, 3.5, 5.1]) * random.uniform(0.94, 1.06, 5),
                log_uniform(random, 0.07, 0.5) * random.uniform(0.3, 1, 5),
                random.uniform(0.15, 1, 5),
                count,
            ),
        ),
        (log_uniform(random, 0.01, 0.4), click(random, count)),
    )


def guiro(random, nature):
    span = log_uniform(random, 0.06, 0.9)
    count = seconds(min(1.4, span + 0.3))
    number = int(span * random.uniform(40, 140)) + 3
    hits = np.zeros(count, np.float32)
    at = np.cumsum(random.uniform(0.7, 1.3, number))
    hits[np.minimum((at / at[-1] * span * RATE).astype(int), count - 1)] = random.uniform(0.4, 1, number)
    tick = modes(random, random.uniform(900, 5200, 5), random.uniform(0.001, 0.008, 5), random.uniform(0.2, 1, 5), 1600)
    return dsp.convolved(hits, tick) + 0.02 * between(noise(random, count), 2000) * dsp.held(span, 0.02, count)


def vibraslap(random, nature):
    count = seconds(log_uniform(random, 0.8, 2.2))
    time, rate = log_uniform(random, 0.2, 0.8), random.uniform(16, 42)
    pulse = (0.5 + 0.5 * np.sign(sine(rate, count))) * decay(time, count)
    rattle = dsp.filtered(
        noise(random, count), section("band", log_uniform(random, 1500, 4500), random.uniform(0.8, 4))
    )
    return rattle * pulse


def bell(random, nature):
    count = seconds(2.5)
    if chance(random, 0.5):
        base = log_uniform(random, 300, 2400)
        hz = base * np.array([0.5, 1, 1.19, 1.5, 2, 2.5, 3.0, 4.1]) * random.uniform(0.98, 1.02, 8)
        return modes(
            random, hz, log_uniform(random, 0.3, 2) * random.uniform(0.3, 1.2, 8), random.uniform(0.1, 1, 8), count
        )
    sound = np.zeros(count, np.float32)
    for at in random.uniform(0, log_uniform(random, 0.05, 1.2), int(random.integers(4, 20))):
        first = int(at * RATE)
        sound[first:] += modes(
            random,
            random.uniform(2500, 12_000, 4),
            random.uniform(0.05, 0.6, 4),
            random.uniform(0.2, 1, 4),
            count - first,
        )
    return sound


def timpani(random, nature):
    count = seconds(2.6)
    hz, time = log_uniform(random, 60, 190), log_uniform(random, 0.3, 1.4)
    sound = modes(
        random,
        hz * np.array([1, 1.5, 1.98, 2.44, 2.9]) * random.uniform(0.98, 1.02, 5),
        time * random.uniform(0.3, 1.1, 5),
        np.array([1, 0.8, 0.5, 0.3, 0.2]) * random.uniform(0.4, 1.4, 5),
        count,
    )
    thud = between(
        noise(random, count) * decay(log_uniform(random, 0.01, 0.08), count, 0.001),
        None,
        log_uniform(random, 200, 1500),
    )
    return mix(count, (1, sound), (log_uniform(random, 0.05, 0.5), thud))


def snap(random, nature):
    count = seconds(0.4)
    centre = log_uniform(random, 1100, 3600)
    crack = dsp.filtered(noise(random, count), section("band", centre, random.uniform(0.8, 4))) * decay(
        log_uniform(random, 0.003, 0.02), count, 0.0005
    )
    tail = between(noise(random, count), 900) * decay(log_uniform(random, 0.01, 0.06), count)
    return mix(count, (1, crack), (log_uniform(random, 0.02, 0.4), tail))


MAKERS = {
    "kick": kick,
    "snare": snare,
    "sidestick": sidestick,
    "clap": clap,
    "hat-closed": hat_closed,
    "hat-open": hat_open,
    "tom": tom,
    "crash": crash,
    "ride": ride,
    "cowbell": cowbell,
    "tambourine": tambourine,
    "shaker": shaker,
    "handdrum": handdrum,
    "timbale": timbale,
    "woodblock": woodblock,
    "triangle": triangle,
    "agogo": agogo,
    "guiro": guiro,
    "vibraslap": vibraslap,
    "bell": bell,
    "timpani": timpani,
    "snap": snap,
}
