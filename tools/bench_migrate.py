"""Copies a local library into a Data API server with astrapy.

Started by `just bench-migrate`, which starts the server and prints both sides:

    bench_migrate.py LIBRARY ENDPOINT TOKEN MODEL DIMENSION

Reads the song documents and `.npy` embeddings of LIBRARY from disk and stores
them with `insert_many`, unordered, as astrapy's documentation says, each kind
into a collection of its own. Prints the seconds. Needs `astrapy`.
"""

import array
import json
import pathlib
import sys
import time

from astrapy import DataAPIClient
from astrapy.authentication import StaticTokenProvider
from astrapy.constants import Environment
from astrapy.data_types import DataAPIVector
from astrapy.info import CollectionDefinition


def read_npy(path: pathlib.Path) -> array.array:
    data = path.read_bytes()
    header = int.from_bytes(data[8:10], "little")
    return array.array("f", data[10 + header :])


def main() -> None:
    folder, endpoint, token, model, dimension = sys.argv[1:]
    root = pathlib.Path(folder)
    client = DataAPIClient(environment=Environment.HCD)
    database = client.get_database(
        endpoint, token=StaticTokenProvider(token), keyspace="default_keyspace"
    )
    of_songs = database.create_collection(
        "script_songs",
        definition=CollectionDefinition.builder().with_indexing("deny", ["song"]).build(),
    )
    of_embeddings = database.create_collection(
        "script_embeddings",
        definition=CollectionDefinition.builder()
        .with_vector_dimension(int(dimension))
        .with_vector_metric("cosine")
        .with_indexing("deny", ["card"])
        .build(),
    )

    started = time.perf_counter()
    songs, embeddings = [], []
    for path in root.glob("songs/*/*.json"):
        text = path.read_text(encoding="utf-8")
        song = json.loads(text)
        tags = song.get("tags", {})
        songs.append({"_id": song["id"], "song": text, "find": tags})
        vector = read_npy(root / "embeddings" / model / path.parent.name / f"{path.stem}.npy")
        embeddings.append(
            {
                "_id": song["id"],
                "$vector": DataAPIVector(vector.tolist()),
                "card": json.dumps(tags),
                "find": tags,
            }
        )
    of_embeddings.insert_many(embeddings, ordered=False)
    of_songs.insert_many(songs, ordered=False)
    print(json.dumps({"seconds": time.perf_counter() - started, "songs": len(songs)}))


main()
