"""songrec's 45 named values of a sound, after librosa's definitions, to judge the network beside them.

Only for validation. songrec computes them itself in `crates/audio`; the order is the same.
"""

import os
import warnings

import librosa
import numpy as np
import soxr

from . import image, sources, store

RATE, FRAME, HOP = 22_050, 2_048, 512


def values(samples):
    """45 values of mono samples at 22,050 Hz."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a clip may be shorter than a frame
        magnitude = np.abs(librosa.stft(samples, n_fft=FRAME, hop_length=HOP))
        power = magnitude**2
        loudness = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=128))
        onset = librosa.onset.onset_strength(S=loudness, sr=RATE, hop_length=HOP)
        tempo = float(librosa.feature.tempo(onset_envelope=onset, sr=RATE, hop_length=HOP)[0])
        mfcc = librosa.feature.mfcc(S=loudness, n_mfcc=13)
        chroma = librosa.feature.chroma_stft(S=power, sr=RATE, n_fft=FRAME)
        of_spectrum = [
            librosa.feature.spectral_centroid(S=magnitude, sr=RATE).mean(),
            librosa.feature.spectral_rolloff(S=magnitude, sr=RATE, roll_percent=0.85).mean(),
            librosa.feature.spectral_bandwidth(S=magnitude, sr=RATE).mean(),
        ]
        crossings = librosa.feature.zero_crossing_rate(samples, frame_length=FRAME, hop_length=HOP).mean()
        loud = librosa.feature.rms(y=samples, frame_length=FRAME, hop_length=HOP).mean()
    return np.concatenate(
        [mfcc.mean(1), mfcc.std(1), chroma.mean(1), of_spectrum, [crossings, loud, tempo, onset.mean()]]
    ).astype(np.float32)


def without_silence(clip):
    """The clip up to the last sample that is not padding."""
    last = np.flatnonzero(clip)
    return clip[: last[-1] + 1] if len(last) else clip


def run(work):
    """Writes values45/NAME.npz for the validation sources: `values` in the order of their clips."""
    for source in sources.listed("validate"):
        path = os.path.join(work, "values45", source["name"] + ".npz")
        settings = {"name": source["name"]}
        if store.is_made(path, settings) or not store.claim(path):
            continue
        clips = np.load(os.path.join(work, "clips", source["name"] + ".npz"))
        rows = [
            values(soxr.resample(without_silence(clip).astype(np.float32) / 32_768.0, image.RATE, RATE))
            for clip in clips["clip"]
        ]
        store.write(path, settings, {"values": np.array(rows), "label": clips["label"], "maker": clips["maker"]})
        store.unclaim(path)


def standardised(work, sounds):
    """The values of validation sounds, each column of mean 0 and deviation 1."""
    rows = np.zeros((len(sounds["row"]), 45), np.float32)
    for name in set(sounds["origin"]):
        mine = sounds["origin"] == name
        rows[mine] = np.load(os.path.join(work, "values45", name + ".npz"))["values"][sounds["row"][mine]]
    return (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
