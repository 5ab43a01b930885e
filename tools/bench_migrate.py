"""Copies a local library into a Data API server with astrapy.

Started by `just bench-migrate`, which starts the server and prints both sides:

    bench_migrate.py LIBRARY ENDPOINT TOKEN MODEL

Does what `songrec migrate` does, the way astrapy's documentation says: reads
the song documents and `.npy` embeddings of LIBRARY from disk, makes documents
with the same fields of them (so that a library stored like this could be
searched like ours), and stores them with `insert_many`, unordered, which sends
chunks of 50 or 100, 20 of them at once. Embeddings go before songs. Vectors go
as base64 (`DataAPIVector`), not as lists of numbers. At the end it counts what
is there. Prints the seconds, without those for importing and connecting. Needs
`astrapy`.
"""

import array
import base64
import hashlib
import json
import pathlib
import re
import sys
import time
import uuid

from astrapy import DataAPIClient
from astrapy.authentication import StaticTokenProvider
from astrapy.constants import Environment
from astrapy.data_types import DataAPIVector
from astrapy.info import CollectionDefinition


def read_npy(path: pathlib.Path) -> array.array:
    data = path.read_bytes()
    header = int.from_bytes(data[8:10], "little")
    return array.array("f", data[10 + header :])


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def prefixes(letter: str, text: str | None) -> set[str]:
    found = set()
    for word in words(text or ""):
        found.update(letter + word[:length] for length in range(0, min(len(word), 10) + 1))
    return found


def card_of(song: dict) -> dict:
    tags, audio, features = song.get("tags", {}), song.get("audio", {}), song.get("features") or {}
    files = [file["path"] for file in song.get("files", [])]
    card = {
        "id": song["id"],
        "title": tags.get("title") or (files[0] if files else song["id"][:8]),
        "artist": tags.get("artist"),
        "album": tags.get("album"),
        "genres": tags.get("genres", []),
        "moods": tags.get("moods", []),
        "year": tags.get("year"),
        "bpm": tags.get("bpm") or (features.get("tempo") or {}).get("bpm"),
        "key": tags.get("key"),
        "duration": audio.get("duration", 0.0),
        "paths": files,
        "models": list(song.get("embeddings", {})),
    }
    return {name: value for name, value in card.items() if value not in (None, [])}


def find_of(card: dict) -> dict:
    found = set()
    for letter, name in (("t", "title"), ("a", "artist"), ("l", "album")):
        found |= prefixes(letter, card.get(name))
    for letter, name in (("p", "paths"), ("g", "genres"), ("m", "moods")):
        for text in card.get(name, []):
            found |= prefixes(letter, text)
    find = {"words": sorted(found)[:1000], "duration": card["duration"]}
    for name, many in (("genre", "genres"), ("mood", "moods")):
        if many in card:
            find[name] = [" ".join(words(text)) for text in card[many]]
    for name in ("bpm", "year", "key"):
        if name in card:
            find[name] = card[name]
    return find


def documents_of(song: dict, text: str, field: str, vector: array.array) -> tuple[dict, dict]:
    card = card_of(song)
    shown = json.dumps({name: value for name, value in card.items() if name != "models"})
    find = find_of(card)
    operation = str(uuid.uuid4())
    key = f"{song['id']}.{operation[:8]}"
    digest = hashlib.sha256(vector.tobytes()).hexdigest()
    now = int(time.time() * 1000)
    embedding = {
        "_id": key,
        "of": "song",
        "song": song["id"],
        "n": now,
        "created": now,
        "digest": digest,
        "card": shown,
        "find": find,
        "$vector": DataAPIVector(vector.tolist()),
    }
    swapped = vector[:]
    swapped.byteswap()
    digits = song["id"].replace("-", "")
    files = song.get("files", [])
    order = {name: card[name] for name in ("title", "artist", "album", "year", "bpm") if name in card}
    stored = {
        "_id": song["id"],
        "state": "present",
        "sync": {"n": now, "rev": operation, "hist": [operation], "at": (1 << 53) - 1},
        "song": text,
        "card": json.dumps(card),
        "keys": {field: key},
        # The vector once more, so that one request reads a song and how it sounds.
        "embeddings": {
            field: {"digest": digest, "data": base64.b64encode(swapped.tobytes()).decode()}
        },
        "find": find
        | {
            "id": [digits[:length] for length in range(1, 13)],
            "path": [hashlib.sha256(file["path"].encode()).hexdigest()[:32] for file in files],
            "file": [file["sha256"] for file in files],
        },
        "order": order | {"id": song["id"], "duration": card["duration"], "added": now},
    }
    return stored, embedding


def main() -> None:
    folder, endpoint, token, model = sys.argv[1:]
    root = pathlib.Path(folder)
    field = re.sub(r"\W", "_", model)
    client = DataAPIClient(environment=Environment.HCD)
    database = client.get_database(
        endpoint, token=StaticTokenProvider(token), keyspace="default_keyspace"
    )
    first = read_npy(next(root.glob(f"embeddings/{model}/*/*.npy")))
    of_songs = database.create_collection(
        "script_songs",
        definition=CollectionDefinition.builder()
        .with_indexing("deny", ["song", "card", "keys", "embeddings", "sync.hist"])
        .build(),
    )
    of_embeddings = database.create_collection(
        "script_embeddings",
        definition=CollectionDefinition.builder()
        .with_vector_dimension(len(first))
        .with_vector_metric("cosine")
        .with_indexing("deny", ["card", "digest"])
        .build(),
    )

    started = time.perf_counter()
    songs, embeddings = [], []
    for path in root.glob("songs/*/*.json"):
        text = path.read_text(encoding="utf-8")
        vector = read_npy(root / "embeddings" / model / path.parent.name / f"{path.stem}.npy")
        song, embedding = documents_of(json.loads(text), text, field, vector)
        songs.append(song)
        embeddings.append(embedding)
    of_embeddings.insert_many(embeddings, ordered=False)
    of_songs.insert_many(songs, ordered=False)
    for collection, stored in ((of_embeddings, embeddings), (of_songs, songs)):
        # An estimate may lag, and a count ends at 1,000.
        ids = [document["_id"] for document in stored[:: max(1, len(stored) // 20)]]
        assert len(list(collection.find({"_id": {"$in": ids}}))) == len(ids)
    print(json.dumps({"seconds": time.perf_counter() - started, "songs": len(songs)}))


main()
