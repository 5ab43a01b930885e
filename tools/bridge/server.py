"""An inference server for songrec: Wav2Vec2 behind HTTP, in two forms.

The Open Inference Protocol v2 (`/v2/...`, JSON or the binary tensor extension)
and the plain form (`POST /process/wav2vec2`, `GET /health`) give the same
vectors: the mean over frames of the last hidden state, scaled to length 1.

    python server.py --checkpoint DIR     # a Wav2Vec2 checkpoint of yours
    python server.py --random base        # the real size, random weights
    python server.py --random tiny        # small, random weights; needs torch
    python server.py --random numpy       # smaller still; needs numpy alone

Nothing is ever downloaded: `--checkpoint` is a folder on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import threading
from typing import Protocol

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

SAMPLE_RATE = 16_000
#: The shortest sound that Wav2Vec2's convolutions make a frame of.
SHORTEST = 400
#: An hour at 16 kHz: a limit, so that one request cannot take all memory.
LONGEST = 3600 * SAMPLE_RATE


class Model(Protocol):
    """Hears windows of one length: [batch, samples] to [batch, dimension]."""

    name: str
    dimension: int
    platform: str

    def hear(self, windows: np.ndarray) -> np.ndarray: ...


def normalized(windows: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1, as Wav2Vec2FeatureExtractor makes it."""
    windows = windows.astype(np.float64)
    mean = windows.mean(axis=1, keepdims=True)
    variance = windows.var(axis=1, keepdims=True)
    return ((windows - mean) / np.sqrt(variance + 1e-7)).astype(np.float32)


def scaled(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


class NumpyModel:
    """The shape of Wav2Vec2 without its size: two strided convolutions with
    random but fixed weights and a projection. For tests on machines without
    torch; it tells sounds apart by their spectrum, and nothing more."""

    dimension = 32
    platform = "numpy"

    def __init__(self, name: str) -> None:
        self.name = name
        random = np.random.default_rng(20_24)
        time = np.arange(400) / SAMPLE_RATE
        frequencies = np.geomspace(60, 7000, 48)[:, None]
        window = np.hanning(400)
        self.cosines = (np.cos(2 * np.pi * frequencies * time) * window).astype(np.float32)
        self.sines = (np.sin(2 * np.pi * frequencies * time) * window).astype(np.float32)
        self.projection = random.normal(size=(48, self.dimension)).astype(np.float32) / 7

    def hear(self, windows: np.ndarray) -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(normalized(windows), 400, axis=1)
        frames = frames[:, ::320]
        power = (frames @ self.cosines.T) ** 2 + (frames @ self.sines.T) ** 2
        hidden = np.tanh((np.log1p(power) - 2.0) @ self.projection)
        return scaled(hidden.mean(axis=1))


class TorchModel:
    """Wav2Vec2 by transformers, from a folder or with random weights."""

    def __init__(self, name: str, checkpoint: str | None, size: str) -> None:
        import torch
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        self.name = name
        self.torch = torch
        self.platform = f"pytorch {torch.__version__}"
        if checkpoint is not None:
            if not os.path.isdir(checkpoint):
                sys.exit(f"there is no folder `{checkpoint}`; nothing is downloaded")
            self.model = Wav2Vec2Model.from_pretrained(checkpoint, local_files_only=True)
        else:
            torch.manual_seed(0)
            config = Wav2Vec2Config()
            if size == "tiny":
                config = Wav2Vec2Config(
                    hidden_size=32,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    intermediate_size=64,
                    conv_dim=(16,) * 7,
                    num_conv_pos_embeddings=16,
                    num_conv_pos_embedding_groups=2,
                )
            self.model = Wav2Vec2Model(config)
        self.model.eval()
        self.dimension = self.model.config.hidden_size

    def hear(self, windows: np.ndarray) -> np.ndarray:
        with self.torch.inference_mode():
            hidden = self.model(self.torch.from_numpy(normalized(windows))).last_hidden_state
        return scaled(hidden.mean(dim=1).numpy())


class Refusal(Exception):
    """Something in a request that cannot be done, in words."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def checked(windows: np.ndarray) -> np.ndarray:
    if windows.ndim != 2 or windows.shape[0] == 0:
        raise Refusal(f"shape {list(windows.shape)}: expected [windows, samples]")
    if not SHORTEST <= windows.shape[1] <= LONGEST:
        raise Refusal(f"{windows.shape[1]} samples: expected {SHORTEST} to {LONGEST}")
    if not np.isfinite(windows).all():
        raise Refusal("a sample is not a finite number")
    return windows


def make_app(model: Model) -> FastAPI:
    app = FastAPI(title="songrec bridge", openapi_url=None)
    # One window after the other: the model uses all cores by itself.
    turn = threading.Lock()

    def hear(windows: np.ndarray) -> np.ndarray:
        with turn:
            return model.hear(checked(windows))

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse({"error": refusal.reason}, status_code=refusal.status)

    # --- the plain form

    @app.get("/health")
    def health() -> dict:
        return {"status": "healthy", "models": [model.name], "dimension": model.dimension}

    def process(body: bytes) -> dict:
        request = read_json(body)
        rate = request.get("sample_rate", SAMPLE_RATE)
        if rate != SAMPLE_RATE:
            raise Refusal(f"{rate} Hz: this model hears {SAMPLE_RATE} Hz")
        try:
            audio = np.asarray(request["audio"], dtype=np.float32)
        except (KeyError, TypeError, ValueError):
            raise Refusal("`audio` should be an array of numbers") from None
        if audio.ndim != 1:
            raise Refusal("`audio` should be one array of numbers")
        vector = hear(audio[None, :])[0]
        return {"model": model.name, "dimension": model.dimension, "features": vector.tolist()}

    @app.post("/process/{name}")
    async def process_model(name: str, request: Request) -> Response:
        known(name)
        body = await request.body()
        return JSONResponse(await in_thread(process, body))

    # --- the open protocol

    @app.get("/v2")
    def about() -> dict:
        return {"name": "songrec-bridge", "version": "1", "extensions": ["binary_tensor_data"]}

    @app.get("/v2/health/live")
    def live() -> dict:
        return {"live": True}

    @app.get("/v2/health/ready")
    def ready() -> dict:
        return {"ready": True}

    def known(name: str) -> None:
        if name != model.name:
            raise Refusal(f"there is no model `{name}`, only `{model.name}`", status=404)

    @app.get("/v2/models/{name}")
    def metadata(name: str) -> dict:
        known(name)
        return {
            "name": model.name,
            "versions": ["1"],
            "platform": model.platform,
            "inputs": [{"name": "waveform", "datatype": "FP32", "shape": [-1, -1]}],
            "outputs": [{"name": "embedding", "datatype": "FP32", "shape": [-1, model.dimension]}],
        }

    @app.get("/v2/models/{name}/ready")
    def model_ready(name: str) -> dict:
        known(name)
        return {"name": name, "ready": True}

    def infer(body: bytes, json_length: int | None) -> Response:
        head = read_json(body if json_length is None else body[:json_length])
        try:
            (given,) = head["inputs"]
            shape = [int(size) for size in given["shape"]]
            if given["datatype"] != "FP32":
                raise Refusal(f"datatype {given['datatype']}: expected FP32")
            size = given.get("parameters", {}).get("binary_data_size")
            if size is None:
                values = np.asarray(given["data"], dtype=np.float32).reshape(shape)
            else:
                tail = body[json_length:]
                if len(tail) != size:
                    raise Refusal(f"{len(tail)} bytes follow, but {size} were announced")
                values = np.frombuffer(tail, dtype="<f4").reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(f"this is no request of the open protocol: {error!r}") from None
        vectors = hear(values)
        wants_bytes = head.get("parameters", {}).get("binary_data_output", False)
        for wanted in head.get("outputs", []):
            if wanted.get("name") != "embedding":
                raise Refusal(f"there is no output `{wanted.get('name')}`, only `embedding`")
            wants_bytes = wanted.get("parameters", {}).get("binary_data", wants_bytes)
        output = {"name": "embedding", "datatype": "FP32", "shape": list(vectors.shape)}
        answer = {"model_name": model.name, "model_version": "1", "outputs": [output]}
        if not wants_bytes:
            output["data"] = vectors.ravel().tolist()
            return JSONResponse(answer)
        data = vectors.astype("<f4").tobytes()
        output["parameters"] = {"binary_data_size": len(data)}
        text = json.dumps(answer).encode()
        return Response(
            text + data,
            media_type="application/octet-stream",
            headers={"Inference-Header-Content-Length": str(len(text))},
        )

    @app.post("/v2/models/{name}/infer")
    @app.post("/v2/models/{name}/versions/{version}/infer")
    async def infer_model(name: str, request: Request, version: str = "1") -> Response:
        known(name)
        if version != "1":
            raise Refusal(f"there is no version `{version}` of `{name}`", status=404)
        length = request.headers.get("inference-header-content-length")
        if length is not None and not length.isdigit():
            raise Refusal("`Inference-Header-Content-Length` should be a number")
        body = await request.body()
        return await in_thread(infer, body, None if length is None else int(length))

    return app


async def in_thread(work, *arguments):
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(work, *arguments)


def read_json(body: bytes) -> dict:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError, struct.error):
        raise Refusal("the request is not JSON") from None
    if not isinstance(request, dict):
        raise Refusal("the request should be a JSON object")
    return request


def load(arguments: argparse.Namespace) -> Model:
    if arguments.checkpoint is None and arguments.random == "numpy":
        return NumpyModel(arguments.name)
    return TorchModel(arguments.name, arguments.checkpoint, arguments.random)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", metavar="DIR", help="a Wav2Vec2 checkpoint on this machine")
    which.add_argument("--random", choices=["base", "tiny", "numpy"], help="random weights")
    parser.add_argument("--name", default="wav2vec2", help="what clients call the model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()

    import uvicorn

    model = load(arguments)
    print(f"{model.name}: {model.dimension} dimensions, {model.platform}", flush=True)
    uvicorn.run(make_app(model), host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
