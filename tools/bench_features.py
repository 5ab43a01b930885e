#!/usr/bin/env python3
"""Compares the cost of features: songrec, librosa and bliss-audio, on one core.

    pip install librosa==0.11.0 soundfile
    cargo build --profile dist -p songrec-bench --bin features_pipeline
    tools/bench_features.py [FILE] [--songrec target/dist/features_pipeline]
                            [--bliss] [--rounds 3]

Without FILE, a stereo MP3 of three minutes at 44,100 Hz is made. Prints milliseconds
of CPU, the least of the rounds; peers take turns in each round, so that all meet the
same load. `--bliss` builds bliss-audio 0.13 in a folder of its own (it is GPL: it is
run as a separate process and never linked).
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[threads] = "1"

ROOT = Path(__file__).resolve().parent.parent
PEER_MANIFEST = """[package]
name = "bliss-peer"
version = "0.0.0"
edition = "2021"
[workspace]
[dependencies]
bliss-audio = { version = "0.13", default-features = false, features = ["symphonia-all"] }
[profile.release]
lto = "thin"
"""
PEER_MAIN = """use bliss_audio::decoder::{symphonia::SymphoniaDecoder, Decoder};
fn main() {
    for path in std::env::args().skip(1) {
        let song = SymphoniaDecoder::song_from_path(&path).expect("a readable song");
        println!("{:?}", song.analysis);
    }
}
"""
LIBROSA = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
sys.path.insert(0, {tools!r})
import librosa
from make_feature_fixtures import RATE, groups47, values45
import numpy as np
values45(np.random.default_rng(0).standard_normal(RATE * 5).astype(np.float32))
groups47(np.random.default_rng(0).standard_normal(RATE * 5).astype(np.float32))
start = time.process_time()
y, _ = librosa.load({file!r}, sr=RATE, mono=True)
loaded = time.process_time()
values45(y)
done45 = time.process_time()
groups47(y)
done47 = time.process_time()
print(json.dumps(dict(load=(loaded - start) * 1e3, values45=(done45 - loaded) * 1e3, values47=(done47 - done45) * 1e3)))
"""


def make_song(path, seconds=180, rate=44100):
    """Chords, bass and drums, another key every 20 seconds; not silence and not noise."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(5)
    t = np.arange(seconds * rate) / rate
    beat = np.mod(t, 0.5)
    root = 110 * 2 ** (np.floor(t / 20) * 5 % 12 / 12)
    phase = 2 * np.pi * np.cumsum(root) / rate
    chord = sum(np.sin(k * phase * r) / k for k in (1, 2, 3, 5) for r in (1, 1.26, 1.498))
    drums = np.exp(-beat * 30) * np.sin(2 * np.pi * 60 * beat) + 0.3 * np.exp(-np.mod(t, 0.25) * 60) * rng.standard_normal(len(t))
    left = 0.08 * chord + 0.4 * drums + 0.01 * rng.standard_normal(len(t))
    right = 0.08 * np.roll(chord, 441) + 0.4 * drums + 0.01 * rng.standard_normal(len(t))
    soundfile.write(path, np.stack([left, right], axis=1).clip(-1, 1), rate, format="MP3")


def cpu_of(command):
    """Milliseconds of CPU of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def build_bliss():
    folder = Path(os.environ.get("SONGREC_BENCH_PEERS", Path(tempfile.gettempdir()) / "songrec-bench-bliss"))
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "Cargo.toml").write_text(PEER_MANIFEST)
    (folder / "src/main.rs").write_text(PEER_MAIN)
    target = folder / "target"
    subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", str(target)], cwd=folder, check=True)
    return target / "release/bliss-peer"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--songrec", default=str(ROOT / "target/dist/features_pipeline"))
    parser.add_argument("--bliss", action="store_true", help="also build and run bliss-audio")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not Path(arguments.songrec).exists():
        sys.exit(f"error: no `{arguments.songrec}`\n\nhint: cargo build --profile dist -p songrec-bench --bin features_pipeline")
    file = arguments.file
    if file is None:
        file = str(Path(tempfile.mkdtemp()) / "three_minutes.mp3")
        make_song(file)
    bliss = build_bliss() if arguments.bliss else None

    least = {}

    def keep(name, value):
        least[name] = min(value, least.get(name, value))

    for _ in range(arguments.rounds):
        out = subprocess.run([arguments.songrec, "--json", "--repeat", "1", file], check=True, capture_output=True, text=True)
        for stage, value in json.loads(out.stdout).items():
            if stage != "file":
                keep(f"songrec {stage}", value)
        script = LIBROSA.format(tools=str(ROOT / "tools"), file=file)
        out = subprocess.run([sys.executable, "-B", "-c", script], check=True, capture_output=True, text=True)
        for stage, value in json.loads(out.stdout).items():
            keep(f"librosa {stage}", value)
        if bliss:
            keep("bliss", cpu_of([str(bliss), file]))

    whole = least["songrec dsp"]
    print(f"{file}: {least['songrec seconds']:.0f} s of audio; ms of CPU, least of {arguments.rounds}\n")
    print(f"  songrec, decoding alone                    {least['songrec decode']:8.0f}")
    print(f"  songrec, resampling                        {least['songrec resample']:8.0f}")
    print(f"  songrec, loudness                          {least['songrec loudness']:8.0f}")
    print(f"  songrec, spectral frames                   {least['songrec frames']:8.0f}")
    print(f"  songrec, whole clip (CQT, tempo, vectors)  {least['songrec finish']:8.0f}")
    print(f"  songrec, file to features and dsp45        {whole:8.0f}")
    print(f"  songrec, the same and timbre               {least['songrec all']:8.0f}\n")
    both = least["librosa load"] + least["librosa values45"]
    print(f"  librosa, load                              {least['librosa load']:8.0f}")
    print(f"  librosa, the 45 values                     {least['librosa values45']:8.0f}")
    print(f"  librosa, the 47 values                     {least['librosa values47']:8.0f}")
    print(f"  librosa, load and the 45 values            {both:8.0f}   {both / whole:5.1f} times songrec's all")
    if bliss:
        print(f"  bliss-audio, file to its 23 values         {least['bliss']:8.0f}   {least['bliss'] / whole:5.1f} times songrec's all")


if __name__ == "__main__":
    main()
