"""songrec against this server, in both forms.

    SONGREC=target/debug/songrec python tools/bridge/test_bridge.py
    SONGREC=... python -m pytest tools/bridge

Needs fastapi, uvicorn and numpy; with torch and transformers installed the
server runs a tiny Wav2Vec2 with random weights in place of the numpy model.
"""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DIMENSION = 32


def songrec_binary() -> str:
    named = os.environ.get("SONGREC")
    places = [named] if named else []
    places += [ROOT / "target/debug/songrec", ROOT / "target/release/songrec"]
    for place in places:
        if place and Path(place).is_file():
            return str(Path(place).resolve())
    found = shutil.which("songrec")
    assert found, "name songrec's binary in SONGREC"
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The server as a person starts it."""

    def __init__(self, port: int) -> None:
        self.port = port
        has_torch = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
        size = "tiny" if has_torch else "numpy"
        command = [sys.executable, str(HERE / "server.py"), "--random", size, "--port", str(port)]
        self.process = subprocess.Popen(command)
        for _ in range(600):
            try:
                self.get("/v2/health/ready")
                return
            except OSError:
                assert self.process.poll() is None, "the server came to an end"
                time.sleep(0.1)
        raise AssertionError("the server does not get ready")

    def get(self, path: str):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class World:
    """A machine with two songs, and the model in both forms."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.binary = songrec_binary()
        config = root / "config/songrec/config.toml"
        config.parent.mkdir(parents=True)
        common = f"""
kind = "http"
url = "http://127.0.0.1:{port}"
remote = "wav2vec2"
dimension = {DIMENSION}
window = 2.0
timeout = 30
retries = 1
backoff = 0.01
"""
        config.write_text(
            f'[models.open]\nform = "oip"{common}\n'
            f'[models.text]\nform = "oip"\nbinary = false{common}\n'
            f'[models.plain]\nform = "plain"{common}'
        )
        music = root / "music"
        music.mkdir()
        time_ = np.arange(5 * 16_000) / 16_000
        self.sounds = {
            "low.wav": 0.5 * np.sin(2 * np.pi * 110 * time_),
            "high.wav": 0.5 * np.sin(2 * np.pi * 1760 * time_),
            "low2.wav": 0.4 * np.sin(2 * np.pi * 123 * time_),
        }
        for name, samples in self.sounds.items():
            with wave.open(str(music / name), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", "NONE"))
                file.writeframes((samples * 32_767).astype("<i2").tobytes())

    def run(self, *arguments: str, code: int = 0) -> str:
        environment = {
            "HOME": str(self.root),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_DATA_HOME": str(self.root / "data"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
        }
        run = subprocess.run(
            [self.binary, *arguments],
            cwd=self.root, env=environment, capture_output=True, text=True, timeout=300,
        )
        assert run.returncode == code, f"{arguments}: {run.returncode}\n{run.stdout}{run.stderr}"
        return run.stdout if code == 0 else run.stderr

    def lines(self, *arguments: str) -> list:
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]


def windows_of(path: Path) -> np.ndarray:
    """The windows of 2 s that songrec cuts, the last one ending with the song."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32_768
    return np.stack([samples[:32_000], samples[32_000:64_000], samples[-32_000:]])


def test_both_forms_hear_what_the_server_says() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(free_port())
        try:
            check(World(Path(folder), server.port), server)
        finally:
            server.stop()


def check(world: World, server: Server) -> None:
    low = world.root / "music/low.wav"
    windows = windows_of(low)
    body = {
        "inputs": [{
            "name": "waveform", "datatype": "FP32",
            "shape": list(windows.shape), "data": windows.ravel().tolist(),
        }]
    }
    answer = server.post("/v2/models/wav2vec2/infer", body)
    vectors = np.array(answer["outputs"][0]["data"]).reshape(3, DIMENSION)
    # Each window counts by the audio that it is the first to cover: 2, 2, 1 s.
    expected = np.average(vectors, axis=0, weights=[2, 2, 1])
    expected /= np.linalg.norm(expected)

    heard = {
        one["model"]: np.array(one["vector"])
        for one in world.lines(
            "embed", str(low), "--model", "open", "--model", "text", "--model", "plain"
        )
    }
    assert set(heard) == {"open@1", "text@1", "plain@1"}
    for model, vector in heard.items():
        error = np.abs(vector - expected).max()
        assert error < 1e-5, f"{model} is off by {error}"

    (info,) = world.lines("model", "info", "open")
    assert info["server"]["model"]["outputs"][0]["shape"] == [-1, DIMENSION]
    (bench,) = world.lines("model", "bench", "open", "--seconds", "20")
    assert bench["windows"] == 10 and bench["server"]["breaker"] == "closed", bench

    world.run("init")
    world.run("scan", "music")
    world.run("scan", "--model", "open", "--model", "plain", "--missing")
    (similar,) = world.lines("similar", "low", "--model", "open")
    titles = [song["title"] for song in similar["results"]]
    assert titles[0] == "low2", titles
    (blended,) = world.lines("similar", "low", "--blend", "open=0.6,dsp45=0.4")
    assert len(blended["results"][0]["parts"]) == 2, blended

    doctor = {one["name"]: one["state"] for one in world.lines("doctor")}
    assert doctor["server: open@1"] == "good", doctor

    # Killed, then back.
    server.stop()
    error = world.run("embed", str(low), "--model", "open", code=5)
    assert "nobody answers" in error and "hint:" in error, error
    again = Server(server.port)
    try:
        world.run("embed", str(low), "--model", "open")
    finally:
        again.stop()


if __name__ == "__main__":
    test_both_forms_hear_what_the_server_says()
    print("ok")
