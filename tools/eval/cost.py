"""What hearing costs: seconds of a processor that songrec takes for a song and for a hit, the least of several runs."""

import os
import resource
import shutil
import subprocess
import tempfile

import numpy as np
import soundfile

import sounds
import vectors

ROUNDS = 5
SECONDS = 180
HITS, HIT_SECONDS = 100, 0.3


def cpu(words, **more):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def song(work):
    """Three minutes of a piece, as MP3 at 192 kbit/s and 44,100 Hz, in stereo."""
    path = os.path.join(work, "sets", "three-minutes.mp3")
    if not os.path.exists(path):
        folder = sounds.unpack(work, "wesnoth-1.16-music", sounds.PACKAGES["wesnoth-1.16-music"])
        source = folder + "/usr/share/games/wesnoth/1.16/data/core/music/the_king_is_dead.ogg"
        words = ["ffmpeg", "-v", "error", "-y", "-t", str(SECONDS), "-i", source, "-ar", "44100", "-ac", "2"]
        subprocess.run([*words, "-b:a", "192k", path], check=True)
    return path


def hits(work, count):
    """As many different hits of 0.3 s: a falling tone with noise."""
    folder = os.path.join(work, "sets", f"hits-{count}")
    if not os.path.isdir(folder):
        os.makedirs(folder)
        random = np.random.default_rng(5)
        time = np.arange(int(HIT_SECONDS * 44_100)) / 44_100
        for number in range(count):
            tone = np.sin(2 * np.pi * random.uniform(40, 400) * time) * np.exp(-time * random.uniform(8, 30))
            hit = 0.5 * tone + 0.2 * random.standard_normal(len(time)) * np.exp(-time * random.uniform(20, 80))
            soundfile.write(os.path.join(folder, f"a{number:04}.wav"), hit.clip(-1, 1), 44_100)
    return folder


def measured(binary, work, decoder=None):
    """{what: ms of CPU}. A program's own start, measured on a hit, is taken off what a song costs."""
    mp3, hit_files = song(work), hits(work, HITS)
    one_hit = os.path.join(hit_files, "a0000.wav")
    least = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = vectors.clean_environment(folder)
        songrec = [binary, "--no-config", "--quiet", "--threads", "1"]

        def keep(what, value):
            least[what] = min(value, least.get(what, value))

        def scan(what, *files):
            library = os.path.join(folder, "library")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            subprocess.run([*songrec, "init", library], env=environment, check=True, capture_output=True)
            keep(what, cpu([*songrec, "--library", library, "scan", *files], env=environment))

        for _ in range(ROUNDS):
            scan("scan of one hit", one_hit)
            scan("scan of the song", mp3)
            scan(f"scan of {HITS} hits", hit_files)
            for model in (vectors.TIMBRE, "dsp45@1"):
                for what, file in (("a hit", one_hit), ("the song", mp3)):
                    keep(f"embed {what}, {model}", cpu([*songrec, "embed", "--model", model, file], env=environment))
            if decoder:
                keep("decoder, a hit", cpu([decoder, one_hit]))
                keep("decoder, the song", cpu([decoder, mp3]))
            decoded = ["ffmpeg", "-v", "error", "-threads", "1", "-i", mp3, "-f", "null", "-"]
            keep("ffmpeg decodes the song", cpu(decoded))
    found = {
        "ms for 3 minutes of MP3: scan": least["scan of the song"] - least["scan of one hit"],
        f"ms: vector of {vectors.TIMBRE} alone": (
            least[f"embed the song, {vectors.TIMBRE}"] - least[f"embed a hit, {vectors.TIMBRE}"]
        ),
        "ms: vector of dsp45@1 alone": least["embed the song, dsp45@1"] - least["embed a hit, dsp45@1"],
        "ms: ffmpeg decodes": least["ffmpeg decodes the song"],
        "ms for a hit of 0.3 s: scan": (least[f"scan of {HITS} hits"] - least["scan of one hit"]) / (HITS - 1),
    }
    if decoder:
        found["ms: songrec decodes"] = least["decoder, the song"] - least["decoder, a hit"]
    return found
