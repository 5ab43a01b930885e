"""Stores what `astra_store` stored, with astrapy and boto3.

Started by `just bench-astra`, which starts the servers and prints both sides:

    bench_astra.py SERVERS FOLDER

SERVERS is JSON that says where they are; FOLDER holds the documents as lines
of JSON and the audio. Prints one line of JSON with seconds. Needs `astrapy`
and `boto3`.

Both libraries are used as their documentation says: `insert_many` with its own
chunks and threads, unordered; a thread pool for the objects, because boto3
sends one at a time; objects and documents at the same time.
"""

import base64
import hashlib
import json
import pathlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from astrapy import DataAPIClient
from astrapy.authentication import StaticTokenProvider
from astrapy.constants import Environment
from astrapy.data_types import DataAPIVector
from astrapy.info import CollectionDefinition
from botocore.config import Config

THREADS = 32
AUDIO = 64 << 10


def main() -> None:
    servers = json.loads(sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    songs = [json.loads(line) for line in open(folder / "songs.jsonl", encoding="utf-8")]
    embeddings = []
    for line in open(folder / "embeddings_bench_1.jsonl", encoding="utf-8"):
        document = json.loads(line)
        vector = document["$vector"]
        if isinstance(vector, dict):
            document["$vector"] = DataAPIVector.from_bytes(base64.b64decode(vector["$binary"]))
        else:
            document["$vector"] = DataAPIVector(vector)
        embeddings.append(document)
    audio = (folder / "audio").read_bytes()
    pieces = [audio[at : at + AUDIO] for at in range(0, len(audio), AUDIO)]

    client = DataAPIClient(environment=Environment.HCD)
    database = client.get_database(
        servers["api"], token=StaticTokenProvider(servers["token"]), keyspace="default_keyspace"
    )
    deny = ["song", "card", "keys", "embeddings", "sync.n", "sync.hist", "sync.by", "sync.seq"]
    of_songs = database.create_collection(
        "songs", definition=CollectionDefinition.builder().with_indexing("deny", deny).build()
    )
    of_embeddings = database.create_collection(
        "embeddings_bench_1",
        definition=CollectionDefinition.builder()
        .with_vector_dimension(512)
        .with_vector_metric("cosine")
        .with_indexing("deny", ["card", "payload", "digest"])
        .build(),
    )
    s3 = boto3.client(
        "s3",
        endpoint_url=servers["s3"],
        aws_access_key_id=servers["key"],
        aws_secret_access_key=servers["secret"],
        region_name="us-east-1",
        config=Config(max_pool_connections=THREADS, s3={"addressing_style": "path"}),
    )

    def upload(piece: bytes) -> None:
        name = hashlib.sha256(piece).hexdigest()
        s3.put_object(Bucket=servers["bucket"], Key=f"bench/{name[:2]}/{name}", Body=piece)

    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        uploads = [pool.submit(upload, piece) for piece in pieces]
        # Facts first, as the other side does.
        of_embeddings.insert_many(embeddings, ordered=False)
        of_songs.insert_many(songs, ordered=False)
        for done in uploads:
            done.result()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() - cpu}))


main()
