#!/usr/bin/env python3
"""Runs astrapy, the official Python client, against the emulator.

    pip install 'astrapy>=2.3'
    python tools/astrapy_check.py                   # builds and starts the emulator
    python tools/astrapy_check.py --endpoint URL --token TOKEN
                                                    # any Data API; makes and drops
                                                    # collections named `astrapy_check_…`

Every check is a function whose name says what holds. One line for each, and a
summary; the exit status is 1 if one failed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import logging
import subprocess
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import astrapy
from astrapy import Collection, DataAPIClient, Database
from astrapy.api_options import APIOptions, SerdesOptions, TimeoutOptions
from astrapy.constants import DefaultIdType, ReturnDocument, SortMode, VectorMetric
from astrapy.data_types import DataAPITimestamp, DataAPIVector
from astrapy.exceptions import (
    CollectionDeleteManyException,
    CollectionInsertManyException,
    DataAPIHttpException,
    DataAPIResponseException,
    DataAPITimeoutException,
    TooManyDocumentsToCountException,
)
from astrapy.ids import UUID, ObjectId
from astrapy.info import CollectionDefinition

PREFIX = "astrapy_check_"
CHECKS: list[Callable[[Database], None]] = []


def check(function: Callable[[Database], None]) -> Callable[[Database], None]:
    CHECKS.append(function)
    return function


@contextlib.contextmanager
def collection(database: Database, definition: CollectionDefinition | None = None) -> Iterator[Collection]:
    name = PREFIX + uuid.uuid4().hex[:12]
    made = database.create_collection(name, definition=definition)
    try:
        yield made
    finally:
        database.drop_collection(name)


def vectors(dimension: int = 2, metric: str = VectorMetric.COSINE) -> CollectionDefinition:
    return CollectionDefinition.builder().with_vector_dimension(dimension).with_vector_metric(metric).build()


@contextlib.contextmanager
def raises(kind: type[Exception], code: str | None = None) -> Iterator[None]:
    try:
        yield
    except kind as error:
        if code is not None:
            codes = [descriptor.error_code for descriptor in getattr(error, "error_descriptors", [])]
            assert code in codes, f"{codes} instead of {code}"
    else:
        raise AssertionError(f"no {kind.__name__}")


def ids(documents) -> list:
    return [document["_id"] for document in documents]


# Collections and keyspaces


@check
def collections_are_created_listed_and_dropped(database: Database) -> None:
    definition = (
        CollectionDefinition.builder()
        .with_vector_dimension(3)
        .with_vector_metric(VectorMetric.DOT_PRODUCT)
        .with_indexing("deny", ["payload"])
        .with_default_id(DefaultIdType.UUIDV7)
        .build()
    )
    with collection(database, definition) as made:
        assert made.name in database.list_collection_names()
        options = made.options()
        assert options.vector.dimension == 3 and options.vector.metric == "dot_product"
        assert options.indexing == {"deny": ["payload"]}
        assert options.default_id.default_id_type == "uuidv7"
        # The same once more changes nothing; another is refused.
        database.create_collection(made.name, definition=definition)
        with raises(DataAPIResponseException, "EXISTING_COLLECTION_DIFFERENT_SETTINGS"):
            database.create_collection(made.name, definition=vectors(5))
    assert made.name not in database.list_collection_names()
    database.drop_collection(made.name)


@check
def keyspaces_are_created_and_dropped(database: Database) -> None:
    admin = database.get_database_admin()
    name = "astrapy_check"
    admin.create_keyspace(name)
    assert name in admin.list_keyspaces()
    other = database.get_collection("nothing", keyspace=name)
    with raises(DataAPIResponseException, "UNKNOWN_COLLECTION_OR_TABLE"):
        other.find_one({})
    admin.drop_keyspace(name)
    assert name not in admin.list_keyspaces()


@check
def tables_are_listed_and_there_are_none(database: Database) -> None:
    assert database.list_table_names() == []


@check
def default_ids_have_their_types(database: Database) -> None:
    for kind, python in [
        (DefaultIdType.UUID, UUID),
        (DefaultIdType.UUIDV6, UUID),
        (DefaultIdType.UUIDV7, UUID),
        (DefaultIdType.OBJECTID, ObjectId),
    ]:
        definition = CollectionDefinition.builder().with_default_id(kind).build()
        with collection(database, definition) as made:
            assert isinstance(made.insert_one({"a": 1}).inserted_id, python)
    with collection(database) as made:
        assert isinstance(made.insert_one({"a": 1}).inserted_id, str)


# Inserts


@check
def a_document_comes_back_with_its_types(database: Database) -> None:
    document = {
        "_id": "x",
        "int": 7,
        "big": 2**70,
        "float": 0.1,
        "text": "naïve 🎵 \"quoted\"",
        "none": None,
        "list": [1, [2, {"deep": True}]],
        "uuid": UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        "object_id": ObjectId("650f2c1d8e4a5b6c7d8e9f00"),
        "date": DataAPITimestamp.from_string("2026-01-02T03:04:05.678Z"),
        "a.b": "dots",
    }
    with collection(database) as made:
        made.insert_one(document)
        assert made.find_one({"_id": "x"}) == document
        assert made.find_one({"a&.b": "dots"})["_id"] == "x"
        for name in ["uuid", "object_id", "date", "int", "float"]:
            assert made.find_one({name: document[name]}) is not None, name


@check
def ids_of_all_types_are_distinct(database: Database) -> None:
    all_ids = ["1", 1, 1.5, True, None, UUID(int=7), ObjectId(), datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)]
    with collection(database) as made:
        made.insert_many([{"_id": _id, "n": n} for n, _id in enumerate(all_ids)])
        for n, _id in enumerate(all_ids):
            assert made.find_one({"_id": _id})["n"] == n
        with raises(DataAPIResponseException, "DOCUMENT_ALREADY_EXISTS"):
            made.insert_one({"_id": "1"})


@check
def many_documents_are_inserted_in_chunks(database: Database) -> None:
    with collection(database) as made:
        result = made.insert_many([{"_id": n} for n in range(730)], concurrency=4)
        assert sorted(result.inserted_ids) == list(range(730))
        ordered = made.insert_many([{"_id": n} for n in range(730, 860)], ordered=True, chunk_size=40)
        assert ordered.inserted_ids == list(range(730, 860))


@check
def failed_inserts_say_what_was_inserted(database: Database) -> None:
    with collection(database) as made:
        made.insert_one({"_id": 3})
        try:
            made.insert_many([{"_id": n} for n in range(6)], ordered=True)
        except CollectionInsertManyException as error:
            assert error.inserted_ids == [0, 1, 2]
        else:
            raise AssertionError("no exception")
        with raises(CollectionInsertManyException):
            made.insert_many([{"_id": n} for n in range(6)])
        assert sorted(ids(made.find({}))) == list(range(6))


@check
def limits_are_kept(database: Database) -> None:
    with collection(database) as made:
        for document, code in [
            ({"$bad": 1}, "SHRED_BAD_FIELD_NAME"),
            ({"text": "x" * 8001}, "SHRED_DOC_LIMIT_VIOLATION"),
            ({"list": [1] * 1001}, "SHRED_DOC_LIMIT_VIOLATION"),
            ({"_id": ""}, "SHRED_BAD_DOCID_VALUE"),
        ]:
            with raises(DataAPIResponseException, code):
                made.insert_one(document)


# Finds


@check
def finds_page_through_everything(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([{"_id": n, "even": n % 2 == 0} for n in range(175)])
        assert sorted(ids(made.find({}))) == list(range(175))
        assert len(ids(made.find({"even": True}, limit=77))) == 77
        cursor = made.find({"even": False})
        first = cursor.fetch_next_page()
        rest = made.find({"even": False}, initial_page_state=first.next_page_state).to_list()
        assert sorted(ids(first.results + rest)) == list(range(1, 175, 2))


@check
def sorts_and_skips(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([{"_id": n, "third": n // 3} for n in range(12)])
        assert ids(made.find({}, sort={"third": SortMode.DESCENDING, "_id": 1}))[:4] == [9, 10, 11, 6]
        assert ids(made.find({}, sort={"_id": SortMode.ASCENDING}, skip=2, limit=3)) == [2, 3, 4]
        assert made.find_one({}, sort={"_id": -1})["_id"] == 11


@check
def filters_select(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([
            {"_id": 0, "a": 1, "tags": ["x", "y"], "sub": {"k": 1}},
            {"_id": 1, "a": 2.5, "tags": ["y"], "sub": {"k": 2}},
            {"_id": 2, "a": "2", "tags": []},
            {"_id": 3, "a": None},
            {"_id": 4},
        ])
        for condition, expected in [
            ({"a": 1}, [0]),
            ({"a": {"$gt": 1}}, [1]),
            ({"a": {"$ne": 1}}, [1, 2, 3, 4]),
            ({"a": {"$in": [1, "2"]}}, [0, 2]),
            ({"a": {"$nin": [1, "2"]}}, [1, 3, 4]),
            ({"a": None}, [3]),
            ({"a": {"$exists": False}}, [4]),
            ({"tags": "y"}, [0, 1]),
            ({"tags": {"$all": ["x", "y"]}}, [0]),
            ({"tags": {"$size": 0}}, [2]),
            ({"tags.0": "y"}, [1]),
            ({"sub.k": {"$gte": 1, "$lt": 2}}, [0]),
            ({"sub": {"k": 2}}, [1]),
            ({"$or": [{"a": 1}, {"tags": {"$size": 0}}]}, [0, 2]),
            ({"$and": [{"tags": "y"}, {"$not": {"a": 1}}]}, [1]),
            ({"_id": {"$in": [1, 4, 9]}}, [1, 4]),
        ]:
            assert sorted(ids(made.find(condition))) == expected, condition
        with raises(DataAPIResponseException, "FILTER_UNSUPPORTED_OPERATOR"):
            made.find_one({"a": {"$regex": "x"}})


@check
def projections_shape_answers(database: Database) -> None:
    with collection(database) as made:
        made.insert_one({"_id": 0, "a": {"x": 1, "y": 2}, "list": [1, 2, 3]})
        for projection, expected in [
            ({"a.x": True}, {"_id": 0, "a": {"x": 1}}),
            ({"a": False}, {"_id": 0, "list": [1, 2, 3]}),
            ({"a": True, "_id": False}, {"a": {"x": 1, "y": 2}}),
            ({"list": {"$slice": -2}, "a": True}, {"_id": 0, "a": {"x": 1, "y": 2}, "list": [2, 3]}),
            ({"*": False}, {}),
        ]:
            assert made.find_one({}, projection=projection) == expected, projection


@check
def distinct_values_are_collected(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([{"n": n % 7, "tags": [n % 2, "t"]} for n in range(90)])
        assert sorted(made.distinct("n")) == list(range(7))
        assert set(made.distinct("tags")) == {0, 1, "t"}


@check
def counts_stop_at_their_bound(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([{"n": n} for n in range(120)])
        assert made.count_documents({}, upper_bound=500) == 120
        assert made.count_documents({"n": {"$lt": 20}}, upper_bound=500) == 20
        with raises(TooManyDocumentsToCountException):
            made.count_documents({}, upper_bound=100)
        assert made.estimated_document_count() >= 0


# Vectors and words


@check
def the_nearest_are_found_with_their_similarity(database: Database) -> None:
    with collection(database, vectors()) as made:
        made.insert_many([
            {"_id": "east", "$vector": [1, 0], "kind": "axis"},
            {"_id": "north", "$vector": DataAPIVector([0, 2]), "kind": "axis"},
            {"_id": "diagonal", "$vector": [1, 1]},
        ])
        found = made.find({}, sort={"$vector": [1, 0]}, include_similarity=True).to_list()
        assert ids(found) == ["east", "diagonal", "north"]
        assert [round(document["$similarity"], 5) for document in found] == [1.0, 0.85355, 0.5]
        assert ids(made.find({"kind": "axis"}, sort={"$vector": DataAPIVector([0, 1])}, limit=1)) == ["north"]
        stored = made.find_one({"_id": "north"}, projection={"$vector": True})["$vector"]
        assert stored == DataAPIVector([0, 2])
        cursor = made.find({}, sort={"$vector": [0.5, 0.25]}, include_sort_vector=True)
        assert list(cursor.get_sort_vector()) == [0.5, 0.25]
        with raises(DataAPIResponseException, "INVALID_VECTOR_LENGTH"):
            made.find_one({}, sort={"$vector": [1, 2, 3]})


@check
def vectors_survive_without_binary_encoding(database: Database) -> None:
    plain = APIOptions(serdes_options=SerdesOptions(binary_encode_vectors=False))
    with collection(database, vectors()) as made:
        plain_collection = made.with_options(api_options=plain)
        plain_collection.insert_one({"_id": 0, "$vector": [0.25, -1]})
        assert list(made.find_one({"_id": 0}, projection={"*": 1})["$vector"]) == [0.25, -1]
        assert plain_collection.find_one({}, sort={"$vector": [0.25, -1]})["_id"] == 0


@check
def documents_are_changed_by_vector(database: Database) -> None:
    with collection(database, vectors(2, VectorMetric.EUCLIDEAN)) as made:
        made.insert_many([{"_id": n, "$vector": [n, 1]} for n in range(5)])
        made.update_one({}, {"$set": {"hit": True}}, sort={"$vector": [3.2, 1]})
        assert ids(made.find({"hit": True})) == [3]
        assert made.find_one_and_delete({}, sort={"$vector": [9, 1]})["_id"] == 4
        made.delete_one({}, sort={"$vector": [-9, 1]})
        assert sorted(ids(made.find({}))) == [1, 2, 3]


@check
def words_are_searched(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([
            {"_id": 0, "$lexical": "the sea at night and many other words"},
            {"_id": 1, "$lexical": "sea sea"},
            {"_id": 2, "$lexical": "drums"},
        ])
        assert ids(made.find({}, sort={"$lexical": "sea"})) == [1, 0]
        assert ids(made.find({"$lexical": {"$match": "drums"}})) == [2]


# Updates


@check
def updates_report_what_they_did(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([{"_id": n, "n": n} for n in range(3)])
        result = made.update_one({"_id": 1}, {"$inc": {"n": 10}, "$push": {"list": "x"}})
        assert (result.update_info["n"], result.update_info["nModified"]) == (1, 1)
        assert made.find_one({"_id": 1}) == {"_id": 1, "n": 11, "list": ["x"]}
        assert made.update_one({"_id": 1}, {"$set": {"n": 11}}).update_info["nModified"] == 0
        assert made.update_one({"_id": 9}, {"$set": {"n": 1}}).update_info["n"] == 0
        upserted = made.update_one({"_id": 9}, {"$set": {"n": 1}}, upsert=True).update_info
        assert upserted["upserted"] == 9
        with raises(DataAPIResponseException, "UNSUPPORTED_UPDATE_OPERATION"):
            made.update_one({"_id": 1}, {"$pull": {"list": "x"}})


@check
def compare_and_set_is_won_once(database: Database) -> None:
    with collection(database) as made:
        made.insert_one({"_id": "x", "rev": 1})
        step = ({"_id": "x", "rev": 1}, {"$inc": {"rev": 1}})
        assert made.update_one(*step).update_info["nModified"] == 1
        assert made.update_one(*step).update_info["nModified"] == 0


@check
def many_documents_are_updated_and_deleted_over_pages(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([{"_id": n, "half": n % 2} for n in range(130)])
        result = made.update_many({"half": 1}, {"$set": {"seen": True}})
        assert (result.update_info["n"], result.update_info["nModified"]) == (65, 65)
        assert made.update_many({"half": 7}, {"$set": {"a": 1}}, upsert=True).update_info["upserted"]
        assert made.delete_many({"seen": True}).deleted_count == 65
        assert made.delete_one({"half": 0}).deleted_count == 1
        assert made.delete_many({}).deleted_count == -1
        assert made.find_one({}) is None


@check
def one_document_is_found_and_changed(database: Database) -> None:
    with collection(database) as made:
        made.insert_many([{"_id": n, "n": n} for n in range(3)])
        before = made.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}})
        after = made.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}}, return_document=ReturnDocument.AFTER)
        assert (before["n"], after["n"]) == (1, 3)
        new = made.find_one_and_replace({"_id": 1}, {"a": 1}, return_document=ReturnDocument.AFTER)
        assert new == {"_id": 1, "a": 1}
        assert made.replace_one({"_id": 1}, {"a": 1}).update_info["nModified"] == 0
        with raises(DataAPIResponseException, "DOCUMENT_REPLACE_DIFFERENT_DOCID"):
            made.find_one_and_replace({"_id": 1}, {"_id": 2})
        gone = made.find_one_and_delete({}, sort={"n": -1}, projection={"n": True})
        assert gone == {"_id": 2, "n": 2}
        assert made.find_one_and_delete({"_id": 2}) is None
        made.find_one_and_replace({"_id": 7}, {"b": 1}, upsert=True)
        assert made.find_one({"_id": 7}) == {"_id": 7, "b": 1}


# Errors and the asynchronous client


@check
def what_does_not_exist_is_named(database: Database) -> None:
    with raises(DataAPIResponseException, "UNKNOWN_COLLECTION_OR_TABLE"):
        database.get_collection("astrapy_check_nothing").find_one({})
    with raises(DataAPIResponseException, "UNKNOWN_KEYSPACE"):
        database.get_collection("x", keyspace="astrapy_check_nowhere").find_one({})
    with raises(DataAPIResponseException, "COMMAND_UNKNOWN"):
        database.command({"noSuchCommand": {}})


@check
def a_wrong_token_is_refused(database: Database) -> None:
    other = database.with_options(api_options=APIOptions(token="AstraCS:wrong:token"))
    with raises(DataAPIHttpException):
        other.list_collection_names()


@check
def the_asynchronous_client_does_the_same(database: Database) -> None:
    async def run(made: Collection) -> None:
        collection = made.to_async()
        await collection.insert_many([{"_id": n} for n in range(150)], concurrency=5)
        found = [document["_id"] async for document in collection.find({})]
        assert sorted(found) == list(range(150))
        assert (await collection.delete_many({"_id": {"$gte": 100}})).deleted_count == 50
        assert await collection.count_documents({}, upper_bound=500) == 100

    with collection(database) as made:
        asyncio.run(run(made))


def fault(database: Database, rule: dict) -> None:
    """Asks the emulator for a fault; other servers have no such thing."""
    import json
    import urllib.request

    url = database.api_endpoint + "/emulator/faults"
    headers = {"Token": database.api_options.token.get_token()}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(rule).encode(), headers)).close()


EMULATOR_CHECKS: list[Callable[[Database], None]] = []


def emulator_check(function: Callable[[Database], None]) -> Callable[[Database], None]:
    EMULATOR_CHECKS.append(function)
    return function


@emulator_check
def faults_reach_the_client(database: Database) -> None:
    once = {"when": "next", "count": 1}
    with collection(database) as made:
        made.insert_one({"_id": "x", "n": 0})
        fault(database, {"commands": ["findOne"], "timing": once, "faults": [{"kind": "proxyHtml", "status": 502}]})
        with raises(DataAPIHttpException):
            made.find_one({})
        fault(database, {"commands": ["updateOne"], "timing": once, "faults": [{"kind": "timeoutApplied"}]})
        with raises(DataAPIResponseException, "TIMEOUT_WRITING_DATA"):
            made.update_one({"_id": "x"}, {"$inc": {"n": 1}})
        assert made.find_one({})["n"] == 1
        fault(database, {"commands": ["findOne"], "timing": once, "delayMillis": 400})
        hurried = made.with_options(api_options=APIOptions(timeout_options=TimeoutOptions(request_timeout_ms=100)))
        with raises(DataAPITimeoutException):
            hurried.find_one({})
        fault(database, {"commands": ["deleteMany"], "timing": {"when": "next", "skip": 1, "count": 1}, "faults": [{"kind": "overloaded"}]})
        made.insert_many([{"k": 1} for _ in range(45)])
        with raises(CollectionDeleteManyException):
            made.delete_many({"k": 1})
        assert made.count_documents({"k": 1}, upper_bound=100) == 25


@contextlib.contextmanager
def emulator() -> Iterator[tuple[str, str]]:
    """Builds and starts the emulator on a free port."""
    command = ["cargo", "run", "--quiet", "--package", "songrec-emulator", "--example", "serve", "--"]
    arguments = ["--addr", "127.0.0.1:0", "--page-size", "20"]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command + arguments, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline().strip().split("=", 1) for _ in range(2)]
            if any(len(line) != 2 for line in lines):
                raise SystemExit("the emulator did not start")
            yield lines[0][1], lines[1][1]
        finally:
            process.terminate()


def run(endpoint: str, token: str, checks: list[Callable[[Database], None]]) -> int:
    # The checks provoke errors; astrapy logs each of them.
    logging.getLogger("astrapy").setLevel(logging.CRITICAL)
    client = DataAPIClient(environment="other", api_options=APIOptions(token=token))
    database = client.get_database(endpoint, keyspace="default_keyspace")
    failed = 0
    for function in checks:
        name = function.__name__.replace("_", " ")
        try:
            function(database)
            print(f"ok    {name}")
        except Exception:
            failed += 1
            print(f"FAIL  {name}")
            traceback.print_exc()
    print(f"\nastrapy {astrapy.__version__}: {len(checks) - failed} of {len(checks)} checks hold")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", help="a running Data API")
    parser.add_argument("--token", help="its token")
    parser.add_argument("--emulator", action="store_true", help="the running one is the emulator: check faults too")
    arguments = parser.parse_args()
    if (arguments.endpoint is None) != (arguments.token is None):
        parser.error("--endpoint and --token go together")
    if arguments.endpoint:
        checks = CHECKS + (EMULATOR_CHECKS if arguments.emulator else [])
        return min(run(arguments.endpoint, arguments.token, checks), 1)
    with emulator() as (endpoint, token):
        return min(run(endpoint, token, CHECKS + EMULATOR_CHECKS), 1)


if __name__ == "__main__":
    sys.exit(main())
