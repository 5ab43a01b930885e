#!/usr/bin/env python3
"""Writes the clips and the librosa values that the feature tests compare with.

    pip install librosa==0.11.0 soundfile
    tools/make_feature_fixtures.py                 rewrites the fixtures
    tools/make_feature_fixtures.py --of FILE.wav   prints the values of a file

The clips are synthetic and made here from a fixed seed, 16-bit mono at 22,050 Hz.
Edge cases that need no file (silence, a click, an offset, very short clips)
are described by their samples; the tests make them again.
"""
import argparse
import json
import os
import warnings
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

import librosa
import numpy as np
import soundfile

RATE, FRAME, HOP = 22050, 2048, 512
FOLDER = Path(__file__).resolve().parent.parent / "crates/audio/tests/fixtures/features"


def values45(y):
    """The 45 values of set `dsp45`, before scaling."""
    magnitude = np.abs(librosa.stft(y, n_fft=FRAME, hop_length=HOP))
    power = magnitude**2
    log_mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=128))
    mfcc = librosa.feature.mfcc(S=log_mel, n_mfcc=13)
    chroma = librosa.feature.chroma_stft(S=power, sr=RATE, n_fft=FRAME)
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=RATE)
    rolloff = librosa.feature.spectral_rolloff(S=magnitude, sr=RATE, roll_percent=0.85)
    bandwidth = librosa.feature.spectral_bandwidth(S=magnitude, sr=RATE)
    zcr = librosa.feature.zero_crossing_rate(y, frame_length=FRAME, hop_length=HOP)
    rms = librosa.feature.rms(y=y, frame_length=FRAME, hop_length=HOP)
    onset = librosa.onset.onset_strength(S=log_mel, sr=RATE, hop_length=HOP)
    tempo = librosa.feature.tempo(onset_envelope=onset, sr=RATE, hop_length=HOP)[0]
    return [
        *mfcc.mean(axis=1), *mfcc.std(axis=1), *chroma.mean(axis=1),
        centroid.mean(), centroid.std(), rolloff.mean(), zcr.mean(), tempo, rms.mean(), bandwidth.mean(),
    ]


def groups47(y):
    """The six groups of set `dsp47`, before scaling; and where the clip was cut."""
    y, cut = librosa.effects.trim(y, top_db=20)
    tempo, beats = librosa.beat.beat_track(y=y, sr=RATE, units="time")
    onset = librosa.onset.onset_strength(y=y, sr=RATE)
    gaps = np.diff(beats)
    zcr = librosa.feature.zero_crossing_rate(y)
    rms = librosa.feature.rms(y=y)
    return {
        "mfcc": librosa.feature.mfcc(y=y, sr=RATE, n_mfcc=20).mean(axis=1),
        "chroma": librosa.feature.chroma_cqt(y=y, sr=RATE).mean(axis=1),
        "spectral_contrast": librosa.feature.spectral_contrast(y=y, sr=RATE).mean(axis=1),
        "rhythm": [np.ravel(tempo)[0], gaps.std() if len(gaps) else 0.0, onset.mean(), onset.std()],
        "zcr": [zcr.mean(), zcr.std()],
        "rms": [rms.mean(), rms.std()],
    }, cut


def values(y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        groups, cut = groups47(y)
        plain = lambda row: [round(float(v), 7) for v in row]
        return {
            "samples": len(y),
            "cut": [int(v) for v in cut],
            "dsp45": plain(values45(y)),
            "dsp47": {name: plain(row) for name, row in groups.items()},
        }


def tone(hz, seconds, partials=6, decay=3.0):
    t = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hz * k * t) / k**1.3 for k in range(1, partials + 1) if hz * k < RATE / 2)
    attack = np.minimum(1, t / 0.008)
    return wave * attack * np.exp(-decay * t)


def place(out, at, sound, level):
    start = int(at * RATE)
    count = min(len(sound), len(out) - start)
    if count > 0:
        out[start : start + count] += level * sound[:count]


def kick():
    t = np.arange(int(0.25 * RATE)) / RATE
    return np.sin(2 * np.pi * (50 * t + 8 * (1 - np.exp(-30 * t)))) * np.exp(-14 * t)


def hit(rng, seconds, decay, low=0.0):
    noise = rng.standard_normal(int(seconds * RATE))
    t = np.arange(len(noise)) / RATE
    if low:
        noise = np.convolve(noise, [1, -low], "same")
    return noise * np.exp(-decay * t)


def clips():
    rng = np.random.default_rng(20)
    note = lambda midi, cents=0: 440 * 2 ** ((midi - 69 + cents / 100) / 12)

    band = np.zeros(int(8.0 * RATE))
    beat = 60 / 118
    for bar, chord in enumerate([(57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62)]):
        for quarter in range(4):
            at = 0.4 + (4 * bar + quarter) * beat
            place(band, at, kick() if quarter % 2 == 0 else hit(rng, 0.2, 22), 0.7 if quarter % 2 == 0 else 0.3)
            place(band, at + beat / 2, hit(rng, 0.06, 70, 0.95), 0.12)
            place(band, at, tone(note(chord[0] - 24), 0.4, 4), 0.3)
        for midi in chord:
            place(band, 0.4 + 4 * bar * beat, tone(note(midi), 4 * beat, 8, 1.0), 0.12)
    yield "band", 0.8 * band[: int(7.5 * RATE)]

    harp = np.zeros(int(5 * RATE))
    for step, midi in enumerate([62, 66, 69, 74, 78, 81, 78, 74, 69, 66] * 2):
        place(harp, 0.25 * step, tone(note(midi, 30), 1.2, 5, 4), 0.3)
    yield "harp_30_cents_sharp", harp

    t = np.arange(int(3.5 * RATE)) / RATE
    vibrato = 220 * t + 1.2 * np.sin(2 * np.pi * 5.5 * t)
    voice = sum(np.sin(2 * np.pi * k * vibrato) * np.exp(-((220 * k - 700) / 500) ** 2) for k in range(1, 12))
    yield "voice", 0.3 * voice * np.minimum(1, np.minimum(t / 0.3, (t[-1] - t) / 0.5))

    sweep_t = np.arange(int(2.5 * RATE)) / RATE
    octaves = np.log(60)  # to 3600 Hz, as far as the constant-Q transform hears
    yield "sweep", 0.5 * np.sin(2 * np.pi * 60 * 2.5 / octaves * (np.exp(sweep_t / 2.5 * octaves) - 1))

    yield "noise", np.concatenate([np.zeros(9000), 0.2 * rng.standard_normal(int(1.5 * RATE)), np.zeros(12000)])

    yield "kick", 0.9 * np.concatenate([kick(), np.zeros(3000)])

    ticks = np.zeros(int(5 * RATE))
    for at in np.arange(0.15, 4.9, 60 / 140):
        place(ticks, at, hit(rng, 0.02, 200), 0.5)
    yield "ticks_140_bpm", ticks + 0.0005 * rng.standard_normal(len(ticks))

    drone = sum(np.sin(2 * np.pi * note(midi, -20) * np.arange(3 * RATE) / RATE) for midi in (33, 40, 45, 52))
    yield "low_drone", 0.15 * drone


def made():
    """Clips that the tests make from a rule."""
    yield "silence", np.zeros(RATE)
    click = np.zeros(RATE)
    click[10000] = 1.0
    yield "click", click
    yield "offset", np.full(RATE, 0.25)
    yield "ten_milliseconds", 0.5 * np.sin(2 * np.pi * 1000 * np.arange(220) / RATE)
    yield "one_hop", 0.5 * np.sin(2 * np.pi * 440 * np.arange(512) / RATE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", nargs="+", metavar="FILE", help="print the values of audio files")
    arguments = parser.parse_args()
    if arguments.of:
        for file in arguments.of:
            y, _ = librosa.load(file, sr=RATE, mono=True)
            print(json.dumps({"file": file, **values(y)}))
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    out = {"librosa": librosa.__version__, "clips": {}}
    for name, y in clips():
        pcm = np.round(np.clip(y, -1, 1 - 2**-15) * 32768).astype(np.int16)
        soundfile.write(FOLDER / f"{name}.wav", pcm, RATE, subtype="PCM_16")
        out["clips"][name] = values(pcm.astype(np.float32) / 32768)
    for name, y in made():
        out["clips"][name] = values(y.astype(np.float32))
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(clip)}" for name, clip in out["clips"].items())
    text = f'{{\n  "librosa": "{out["librosa"]}",\n  "clips": {{\n{lines}\n  }}\n}}\n'
    (FOLDER / "librosa.json").write_text(text)
    print(f"{len(out['clips'])} clips in {FOLDER}")


if __name__ == "__main__":
    main()
