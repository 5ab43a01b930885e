#!/usr/bin/env python3
"""Writes what a pickle or a LanceDB table holds as `.npy` and `.json`, for `songrec import`.

    pip install numpy lancedb          # lancedb for LanceDB alone, pandas for its pickles
    python3 tools/vectors_to_npy.py FROM OUT.npy [--vector FIELD] [--table NAME] [--trust]
    songrec import OUT.npy --model NAME@1

FROM is a pickle or a folder of LanceDB (`db/` with `NAME.lance/` in it, or one of these).
OUT.npy gets a row of float32 for each record, OUT.json beside it the records' other fields in
the same order. What has no vector, or one of another length, is left out and counted.

A pickle is a program that Python runs. Only pickles of plain values, numpy arrays and nothing
else are opened, unless --trust says that this one may do anything.
"""

import argparse
import datetime
import json
import math
import os
import pickle
import sys

import numpy

# What a pickle of plain values and arrays names.
HARMLESS = {
    ("builtins", name) for name in ("complex", "set", "frozenset", "slice", "range", "bytearray")
} | {
    ("collections", "OrderedDict"),
    ("collections", "deque"),
    ("_codecs", "encode"),
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
} | {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )
}


class Harmless(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in HARMLESS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"it names `{module}.{name}`, which may do anything; --trust opens it all the same"
        )


def from_pickle(path, trust):
    with open(path, "rb") as file:
        return pickle.load(file) if trust else Harmless(file).load()


def from_lance(path, name):
    import lancedb

    path = os.path.abspath(path)
    if path.endswith(".lance"):
        path, name = os.path.dirname(path), os.path.basename(path)[: -len(".lance")]
    tables = sorted(one[: -len(".lance")] for one in os.listdir(path) if one.endswith(".lance"))
    if name is None and len(tables) == 1:
        name = tables[0]
    if name not in tables:
        sys.exit(f"`{path}` has the tables {', '.join(tables)}: --table names one")
    table = lancedb.connect(path).open_table(name)
    for batch in table.to_arrow().to_batches():
        yield from batch.to_pylist()


def is_vector(value):
    if isinstance(value, numpy.ndarray):
        return value.ndim == 1 and value.size > 1 and value.dtype.kind in "fiu"
    return (
        isinstance(value, (list, tuple))
        and len(value) > 1
        and all(isinstance(one, (int, float, numpy.number)) and not isinstance(one, bool) for one in value)
    )


def records_of(value):
    """The records that a value is read as: a field of each is its vector."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        index = [{"id": key} for key in value.index]
        return [i | row for i, row in zip(index, value.to_dict("records"))]
    if isinstance(value, numpy.ndarray) and value.ndim == 2:
        return [{"row": number, "vector": row} for number, row in enumerate(value)]
    if isinstance(value, dict):
        lists = {key: one for key, one in value.items() if hasattr(one, "__len__") and not isinstance(one, (str, bytes))}
        lengths = {len(one) for one in lists.values()}
        rows = any(isinstance(one, numpy.ndarray) and one.ndim == 2 for one in lists.values())
        # Columns of equal length, one of which holds vectors.
        if lists and len(lengths) == 1 and (
            rows or any(len(one) and not isinstance(one, dict) and is_vector(one[0]) for one in lists.values() if not isinstance(one, dict))
        ):
            columns = {key: list(one) for key, one in lists.items()}
            return [dict(zip(columns, row)) for row in zip(*columns.values())]
        if value and all(is_vector(one) for one in value.values()):
            return [{"id": key, "vector": one} for key, one in value.items()]
        if value and all(isinstance(one, dict) for one in value.values()):
            return [{"id": key} | one for key, one in value.items()]
    if isinstance(value, tuple) and len(value) == 2:
        for vectors, names in (value, value[::-1]):
            if isinstance(vectors, numpy.ndarray) and vectors.ndim == 2 and len(vectors) == len(names):
                plain = [one if isinstance(one, dict) else {"id": one} for one in names]
                return [one | {"vector": row} for one, row in zip(plain, vectors)]
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, dict) for one in value):
        return list(value)
    sys.exit(f"a {type(value).__name__} like this has no records: it has to be a list or a table of them")


def vector_field(records, asked):
    fields = {}
    for record in records:
        for name, value in record.items():
            if is_vector(value):
                fields.setdefault(name, []).append(len(value))
    if asked is not None:
        if asked not in fields:
            sys.exit(f"no field `{asked}` holds vectors; these do: {', '.join(map(str, fields)) or 'none'}")
        return asked, fields
    if not fields:
        sys.exit("no field holds vectors")
    # Most records have it; of several, the longest.
    return max(fields, key=lambda name: (len(fields[name]), max(fields[name]))), fields


PATHS = ("path", "paths", "file", "files", "file_path", "filepath", "filename", "filenames", "id")


def with_path(record):
    """The record with its path under the name by which the import knows it."""
    for name in PATHS:
        value = record.get(name)
        if isinstance(value, str) and (name != "id" or os.path.splitext(value)[1] or "/" in value):
            return {"path": value} | {key: one for key, one in record.items() if key != name}
    return record


def plain(value):
    """The value as JSON has it; None where JSON has none."""
    if isinstance(value, numpy.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, numpy.ndarray)):
        return [plain(one) for one in value]
    return str(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("out", metavar="OUT.npy")
    parser.add_argument("--vector", metavar="FIELD", help="the field that holds the vectors")
    parser.add_argument("--table", metavar="NAME", help="the table of a LanceDB folder")
    parser.add_argument("--trust", action="store_true", help="run whatever the pickle names")
    given = parser.parse_args()
    if not given.out.endswith(".npy"):
        sys.exit(f"`{given.out}` has to end in .npy")
    try:
        if os.path.isdir(given.source):
            records = list(from_lance(given.source, given.table))
        else:
            records = records_of(from_pickle(given.source, given.trust))
    except (OSError, pickle.UnpicklingError, EOFError, ImportError) as error:
        sys.exit(f"`{given.source}` cannot be read: {error}")
    field, fields = vector_field(records, given.vector)
    lengths = fields[field]
    dimension = max(set(lengths), key=lengths.count)
    rows, others = [], []
    for record in records:
        vector = record.get(field)
        if is_vector(vector) and len(vector) == dimension and numpy.isfinite(vector).all():
            rows.append(numpy.asarray(vector, dtype="<f4"))
            rest = {str(name): plain(one) for name, one in record.items() if name != field}
            others.append(with_path(rest))
    sidecar = given.out[: -len(".npy")] + ".json"
    for path, write in (
        (given.out, lambda file: numpy.save(file, numpy.stack(rows))),
        (sidecar, lambda file: file.write(json.dumps(others, ensure_ascii=False, indent=1).encode())),
    ):
        with open(path + ".new", "wb") as file:
            write(file)
        os.replace(path + ".new", path)
    print(f"{len(rows)} vectors of {dimension} values from `{field}` in {given.out}, the rest in {sidecar}")
    kept = [str(name) for name in fields if name != field]
    if kept:
        print(f"also a list of numbers, kept beside: {', '.join(kept)}")
    if len(rows) < len(records):
        print(f"left out {len(records) - len(rows)} of {len(records)} records: no vector, or another length")


if __name__ == "__main__":
    main()
