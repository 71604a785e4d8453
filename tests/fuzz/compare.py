#!/usr/bin/env python3
"""Holds what was read from changed files against what NumPy and h5py read: usage: compare.py DIR.

DIR is that of `ACCEPTED=DIR tests/fuzz.sh`. An array that NumPy or h5py reads otherwise, and a file that they refuse, is
printed. Refusals are worth a look, no more: NumPy evaluates a header as Python, h5py reads checksums that are of no use.
Where the index of an HDF5 file's chunks is damaged, h5py gives fill values for chunks that it then does not find.
"""
import collections
import gzip
import io
import json
import multiprocessing
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np


def describe(array):
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        return "other"
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return f"{plain.dtype.name} {','.join(map(str, array.shape)) or '-'} {plain.tobytes().hex() or '-'}"


def theirs(name, content, keys):
    """What NumPy or h5py makes of the arrays of a file."""
    if name.endswith(".gz"):
        name, content = name[:-3], gzip.decompress(content)
    if name.endswith(".npy"):
        return {key: np.load(io.BytesIO(content)) for key in keys}
    if name.endswith(".npz"):
        # By position: a name may be there twice.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = {}
            for entry in archive.infolist():
                key = entry.filename[:-4] if entry.filename.endswith(".npy") else entry.filename
                if key in keys:
                    found[key] = np.lib.format.read_array(io.BytesIO(archive.read(entry)), allow_pickle=False)
            return found
    if name.endswith(".h5"):
        # In a process of its own: a damaged file can crash the HDF5 library.
        mine, its = multiprocessing.Pipe()
        child = multiprocessing.Process(target=hdf5, args=(content, keys, its))
        child.start()
        its.close()
        try:
            found = mine.recv()
        except EOFError:
            found = RuntimeError("the library crashed")
        child.join()
        if isinstance(found, Exception):
            raise found
        return found
    return None


def hdf5(content, keys, pipe):
    """Sends the arrays of an HDF5 file, or why it cannot be read."""
    try:
        with tempfile.NamedTemporaryFile(suffix=".h5") as file:
            file.write(content)
            file.flush()
            with h5py.File(file.name, "r") as opened:
                pipe.send({key: opened[key][()] for key in keys})
    except Exception as error:
        pipe.send(RuntimeError(repr(error)))


counts = collections.Counter()
for path in sorted(Path(sys.argv[1]).glob("*.jsonl")):
    for number, line in enumerate(path.open()):
        case = json.loads(line)
        keys = [key for key, _ in case["arrays"]]
        if len(set(keys)) < len(keys):
            continue
        try:
            found = theirs(case["name"], bytes.fromhex(case["bytes"]), keys)
        except Exception as error:
            counts[path.stem, "refused by the other"] += 1
            print(f"{path.stem} {number} {case['name']}: refused by the other: {error!r}"[:300])
            continue
        if found is None:
            continue
        for key, ours in case["arrays"]:
            if key not in found:
                # Python's zipfile ends a name at its first NUL.
                counts[path.stem, "not found by the other"] += 1
                continue
            same = describe(found[key]) == ours
            counts[path.stem, "same" if same else "DIFFERENT"] += 1
            if not same:
                print(f"{path.stem} {number} {case['name']} {key!r}: {ours[:100]} but {describe(found[key])[:100]}")
for (target, what), count in sorted(counts.items()):
    print(f"{target}: {count} {what}")
sys.exit(any(what == "DIFFERENT" for _, what in counts))
