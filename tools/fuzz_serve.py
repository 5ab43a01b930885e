#!/usr/bin/env python3
"""Schemathesis over every operation of `songrec serve`, for `just fuzz-serve`.

    pip install schemathesis
    fuzz_serve.py path/to/songrec [--examples 40] [--seed 1] [--seconds N] [-- ARGUMENTS]

A made-up library of tones is served, with playlists, clusters and another library beside it,
and its OpenAPI document is what requests are made from. No answer may be a server error, or
one that the document does not describe. Afterwards `songrec verify --read-data` has to find
nothing wrong. ARGUMENTS go to `schemathesis run`.

The same file is the hooks module of Schemathesis: they name songs, jobs and playlists that are
there, without which most requests would only be refused.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import wave
from pathlib import Path

SONGS = 24
TITLES = ["Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel"]
# The name of the other library.
OTHER = "disk"
# Seconds for an answer. Streams of events are read to their end, which comes with their job.
ANSWER = 60

# Filters that mean something.
FILTERS = ["bpm:60..200", "duration:0..2.5", "-title:alder", "cluster:1", "playlist:mine", "key:~8A"]
# What asks a music service, which is not to be asked for nonsense.
ASKS_OTHERS = "^/api/v1/(jobs/)?previews$"
# What says nothing here: a filter or the name of a model is a string for the document, and
# most strings are none. No operation needs a header. There are no users to tell apart.
LEFT_OUT = "positive_data_acceptance,missing_required_header,ignored_auth,object_level_authorization"


def ask(url, path, body=None, timeout=ANSWER):
    """Give the document that a request is answered with."""
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"content-type": "application/json"}
    request = urllib.request.Request(url.rstrip("/") + path, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        text = answer.read()
    return json.loads(text) if text else None


# --- As hooks -----------------------------------------------------------------------------


class Known:
    """What is there, asked for again now and then."""

    EVERY = 100

    def __init__(self, url):
        self.url = url
        self.calls = 0
        self.songs, self.jobs, self.playlists, self.entries = [], [], [], []

    def look(self):
        if self.calls % self.EVERY == 0:
            self.songs = [song["id"] for song in ask(self.url, "/api/v1/songs?limit=1000")["songs"]]
            # Whoever looks at a job that waits for others waits for all of them.
            jobs = ask(self.url, "/api/v1/jobs")["jobs"]
            self.jobs = [job["id"] for job in jobs if job["state"] not in ("queued", "running")]
            lists = ask(self.url, "/api/v1/playlists")["playlists"]
            self.playlists = [one["id"] for one in lists]
            self.entries = []
            for one in self.playlists[:5]:
                name = urllib.parse.quote(one, safe="")
                shown = ask(self.url, f"/api/v1/playlists/{name}?limit=20")
                self.entries += [entry["key"] for entry in shown["entries"] if "key" in entry]
        self.calls += 1


def within(path, folder):
    """The path if it lies in the folder, and otherwise the folder: no scan leaves it."""
    if not isinstance(path, str):
        return path
    # A relative path is refused. The last block of Unicode stands for single bytes.
    leads_away = path.startswith("/") or any(ord(letter) >= 0x10FF00 for letter in path)
    inside = path.startswith(folder) and ".." not in path and max(map(ord, path)) < 0x10FF00
    return folder if leads_away and not inside else path


def hooks():
    import schemathesis

    folder = os.environ["SONGREC_FUZZ_MUSIC"]
    known = Known(os.environ["SONGREC_FUZZ_URL"])
    chance = random.Random(int(os.environ["SONGREC_FUZZ_SEED"]))

    def named(values, key, choices, probability=0.8):
        if isinstance(values, dict) and key in values and choices and chance.random() < probability:
            values[key] = chance.choice(choices)

    def several(values, key, choices):
        if isinstance(values, dict) and isinstance(values.get(key), list) and choices:
            if chance.random() < 0.8:
                values[key] = [chance.choice(choices) for _ in values[key]] or [chance.choice(choices)]

    @schemathesis.hook
    def before_call(context, case, kwargs):
        known.look()
        path = case.operation.path
        body = case.body if isinstance(case.body, dict) else None
        if body is not None and "path" in body:
            body["path"] = within(body["path"], folder)
        if case.meta is None or not case.meta.generation.mode.is_positive:
            return
        ids = {
            "songs": known.songs,
            "conflicts": known.songs,
            "playlists": known.playlists,
            "jobs": known.jobs,
        }
        part = path.removeprefix("/api/v1/").split("/")[0]
        # Most songs have to be there for all the others.
        seldom = case.method.upper() == "DELETE" and part in ("songs", "playlists")
        # Most versions are none that is there.
        if case.headers and "If-Match" in case.headers and chance.random() < 0.7:
            case.headers["If-Match"] = "*"
        if path == "/api/v1/songs/{id}" and body is not None and chance.random() < 0.6:
            fields = [("title", "x"), ("bpm", 120), ("genre", ["A", "B"]), ("loop", True), ("year", None)]
            body.update({"set": dict(chance.sample(fields, 2)), "unset": []})
        if part == "clusters" and case.path_parameters:
            named(case.path_parameters, "name", ["0", "1", "2"])
        for values in (case.query, body):
            several(values, "filter", FILTERS)
            named(values, "model", ["dsp45", "dsp45@1", "dsp47"])
        if case.path_parameters:
            named(case.path_parameters, "id", ids.get(part, []), 0.1 if seldom else 0.8)
        for values in (case.query, body):
            for key in ("a", "b", "song"):
                named(values, key, known.songs)
            for key in ("like", "songs", "exclude"):
                several(values, key, known.songs)
            several(values, "entry", known.entries)
            named(values, "to", [OTHER])
            named(values, "with", [OTHER])
        if body is not None and isinstance(body.get("rule"), dict):
            several(body["rule"], "like", known.songs)
        if path == "/api/v1/similar" and body is not None:
            for key in ("like", "unlike"):
                if known.songs and key in body:
                    body[key] = [{"song": chance.choice(known.songs)}]


# --- As a program -------------------------------------------------------------------------


def write_songs(folder):
    """Tones of different heights and lengths, with titles."""
    folder.mkdir(parents=True)
    for number in range(SONGS):
        rate, seconds = 22050, 1 + number % 3
        hertz = 110 * 1.17**number
        samples = bytearray()
        for i in range(rate * seconds):
            beat = 1 - (i % 5000) / 5000
            tone = math.sin(math.tau * hertz * i / rate) + 0.3 * math.sin(math.tau * 3 * hertz * i / rate)
            samples += struct.pack("<h", int(9000 * beat * tone))
        title = TITLES[number % len(TITLES)]
        with wave.open(str(folder / f"{title} {number}.wav"), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(bytes(samples))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("songrec", type=Path)
    parser.add_argument("--examples", type=int, default=40, help="cases of one operation and kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, help="how long, whatever the number of cases")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:end])
    args.rest = sys.argv[end + 1 :]
    songrec = args.songrec.resolve()
    with tempfile.TemporaryDirectory(prefix="songrec-fuzz-") as name:
        sys.exit(run(songrec, Path(name), args))


def run(songrec, folder, args):
    music = folder / "music"
    write_songs(music)
    (folder / "config/songrec").mkdir(parents=True)
    (folder / "config/songrec/config.toml").write_text(
        f'[libraries.{OTHER}]\nkind = "local"\npath = "{folder / "disk"}"\n'
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        **{f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE", "STATE")},
    }

    def command(*arguments, **options):
        return subprocess.run([songrec, *arguments], env=environment, cwd=folder, check=True, **options)

    command("init", "--quiet")
    command("scan", "--quiet", str(music))
    command("cluster", "--k", "3", "--quiet", stdout=subprocess.DEVNULL)
    log = (folder / "log").open("wb")
    arguments = [songrec, "serve", "--addr", "127.0.0.1:0", "--json", "--max-upload", "4MiB"]
    server = subprocess.Popen(arguments, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=log)
    try:
        url = json.loads(server.stdout.readline())["url"].rstrip("/")
        songs = [song["id"] for song in ask(url, "/api/v1/songs")["songs"]]
        ask(url, "/api/v1/playlists", {"name": "Mine", "songs": songs[:5]})
        ask(url, "/api/v1/playlists", {"name": "Smart", "rule": {"like": songs[:1], "length": 5}})
        ask(url, "/api/v1/jobs/map", {"method": "pca"})
        code = schemathesis(url, folder, music, args)
        endless(url, music)
        if server.poll() is not None:
            print(f"the server ended with {server.returncode}", file=sys.stderr)
            code = code or 1
    finally:
        server.terminate()
        server.wait()
    said = (folder / "log").read_text(errors="replace")
    if "panicked" in said or code:
        sys.stderr.write(said[-4000:])
    if "panicked" in said:
        code = code or 1
    checked = subprocess.run([songrec, "verify", "--read-data"], env=environment, cwd=folder)
    return code or checked.returncode


def schemathesis(url, folder, music, args):
    import_path = Path(__file__).resolve()
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": import_path.stem,
        "PYTHONPATH": str(import_path.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SONGREC_FUZZ_URL": url,
        "SONGREC_FUZZ_MUSIC": str(music),
        "SONGREC_FUZZ_SEED": str(args.seed),
    }
    program = Path(sys.executable).with_name("schemathesis")
    arguments = [
        program, "run", f"{url}/openapi.json",
        "--exclude-path-regex", ASKS_OTHERS,
        # The document has no links, and those that it infers are wrong.
        "--phases", "examples,coverage,fuzzing",
        "--checks", "all", "--exclude-checks", LEFT_OUT,
        "--max-examples", str(args.examples), "--seed", str(args.seed),
        "--generation-database", "none", "--continue-on-failure",
        "--request-timeout", str(ANSWER), "--no-color",
    ]  # fmt: skip
    if args.seconds:
        arguments += ["--max-time", str(args.seconds)]
    return subprocess.run([*arguments, *args.rest], env=environment, cwd=folder).returncode


def endless(url, music):
    """A stream of a job that waits ends with its client, and holds up nobody."""
    waiting = [ask(url, "/api/v1/jobs/verify", {"read_data": True})["id"] for _ in range(3)]
    address = urllib.parse.urlsplit(url)
    streams = []
    for _ in range(50):
        stream = socket.create_connection((address.hostname, address.port), timeout=ANSWER)
        request = f"GET /api/v1/jobs/{waiting[-1]}/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
        stream.sendall(request.encode())
        assert stream.recv(64).startswith(b"HTTP/1.1 200"), "a stream of events begins at once"
        streams.append(stream)
    for stream in streams:
        stream.close()
    deadline = time.monotonic() + ANSWER
    while ask(url, f"/api/v1/jobs/{waiting[-1]}")["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, "a job comes to its end whoever looks on"
        time.sleep(0.1)


if __name__ == "__main__":
    main()
else:
    hooks()
