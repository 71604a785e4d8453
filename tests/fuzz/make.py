#!/usr/bin/env python3
"""Writes the valid files of tests/fuzz/corpus that NumPy and h5py (3.x) make, and what they read from them.

usage: make.py, in this folder; make.py table makes the tables alone, make.py columns those in Parquet and Arrow files (pyarrow 26),
make.py mat MATLAB's files (SciPy 1.17), make.py cifar a data set like CIFAR-100 of one picture in each file.
Each folder of the corpus gets an `expected` with a line per array: file, key, type, shape,
and the values' bytes in hexadecimal (C order, little-endian). An array that must be refused has `refused` instead of a type.

Tables have a target, and are read by pandas (3.x): a line has the file, rows and features, the features' bytes, the names of
the classes or `values`, and the bytes of labels or values.
"""
import gzip
import io
import os
import struct
import zipfile

import sys

import numpy as np
import pandas as pd

corpus = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
known = {"|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"}
lines = {}


def place(target, name):
    os.makedirs(os.path.join(corpus, target), exist_ok=True)
    return os.path.join(corpus, target, name)


def expect(target, name, arrays):
    for key, array in arrays.items():
        array = np.asarray(array)
        plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))) if array.dtype.kind in "biuf" else array
        if plain.dtype.str in known:
            what = f"{plain.dtype.name} {','.join(map(str, array.shape)) or '-'} {plain.tobytes().hex() or '-'}"
        else:
            what = "refused"
        lines.setdefault(target, []).append(f"{name} {key} {what}")


# Tables with a target: a number is a feature, a text one for each level, in the levels' order; what is missing is NaN
def table(name, text, target, out=(), **how):
    raw = text.encode("utf-8")
    with open(place("table", name), "wb") as file:
        file.write(gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)
    found = pd.read_csv(place("table", name), **how).drop(columns=list(out))
    expect_table("table", name, found, target)


def expect_table(folder, name, found, target):
    features = []
    for column in found.columns.drop(target):
        column = found[column]
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object).map(str, na_action="ignore").str.strip()
            column = column.where(~column.isin(["NA", ""]))
            levels = column.dropna().unique()
            number = all(level.lstrip("-").isdigit() for level in levels)
            features += [(column == level).astype("<f4") for level in sorted(levels, key=int if number else str)]
        elif pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
            column = column.map(str, na_action="ignore")
            features += [(column == level).astype("<f4") for level in sorted(column.dropna().unique())]
        else:
            features.append(column.astype("<f4"))
    features = np.stack(features, 1).astype("<f4")
    if pd.api.types.is_numeric_dtype(found[target]) and (found[target] % 1 != 0).any():
        kind, learned = "values", found[target].to_numpy("<f4")
    else:
        names = sorted(found[target].unique())
        kind, learned = "/".join(map(str, names)), found[target].map(names.index).to_numpy("<u4")
    what = f"{','.join(map(str, features.shape))} {features.tobytes().hex()} {kind} {learned.tobytes().hex()}"
    lines.setdefault(folder, []).append(f"{name} {what}")


districts = ["north, high", "south", "we\nst"]
houses = "Id,size,district,garden,target\n" + "".join(
    f'{i + 1},{40 + 7 * i % 50},"{districts[i % 3]}",{i % 4 == 0},{["old", "new"][i % 5 % 2]}\n' for i in range(12)
)
table("houses.csv", houses, "target", out=["Id"])
table("houses.csv.gz", houses.replace("\n", "\r\n"), "target", out=["Id"])
table("commas.csv", "\ufeffGröße;target;Art\n1,5;0,25;rot\n-3;1e2;blau\n4,75;7;rot\n", "target", sep=";", decimal=",",
      encoding="utf-8-sig")
table("gaps.tsv", "x\tkind\ttarget\n1\ta\t0\n\tb\t1\nNA\t\t0\n2.5\ta\t1\n-7\tb\t0\n1e-3\tb\t1\n", "target", sep="\t")
table("bars.csv", "a|target\r1.5|yes\r2|no\r-0.0|yes\r3|no\r", "target", sep="|", lineterminator="\r")
table("spaces.txt", "a   b target\n1  2 0.5\n3 4   -1.25\n5 6 0\n", "target", sep=r"\s+")
table("unnamed.csv", "1.5,x,0\n2.5,y,1\n3.5,x,0\n-1,y,1\n7,x,1\n0,y,0\n", 2, header=None)


# The same in files of columns, with every type of numbers and texts, gaps in each, and every packing and encoding
def columns():
    import datetime
    import decimal
    import json

    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.ipc
    import pyarrow.parquet as pq

    rows = 13
    number = lambda start, step: [None if row % 5 == 3 else start + step * row for row in range(rows)]
    text = lambda *levels: [None if row % 6 == 2 else levels[row % len(levels)] for row in range(rows)]
    big = lambda digits, scale: [None if row % 4 == 1 else decimal.Decimal(digits * (row - 6)).scaleb(-scale) for row in range(rows)]
    plain = {
        "i8": pa.array(number(-100, 16), pa.int8()), "i16": pa.array(number(-30000, 5000), pa.int16()),
        "i32": pa.array(number(-(2**31), 2**28), pa.int32()), "i64": pa.array(number(-(2**62), 2**59 + 12345), pa.int64()),
        "u8": pa.array(number(7, 19), pa.uint8()), "u16": pa.array(number(9, 5000), pa.uint16()),
        "u32": pa.array(number(2**32 - 9 - 2**28 * 14, 2**28), pa.uint32()), "u64": pa.array(number(2**63 + 5, 2**59), pa.uint64()),
        "f16": pa.array([None if v is None else np.float16(v) for v in number(-3.5, 0.7)], pa.float16()),
        "f32": pa.array(number(-1e30, 3.3e29), pa.float32()),
        "f64": pa.array([float("nan") if row == 4 else value for row, value in enumerate(number(0.1, -1e-7))]),
        "dec": pa.array(big(12345, 2), pa.decimal128(9, 2)), "long": pa.array(big(10**33 + 7, 30), pa.decimal128(38, 30)),
        "yes": pa.array([None if row == 5 else row % 3 == 0 for row in range(rows)]),
        "text": pa.array(text("b", " a ", "NA", "ü\nx")), "large": pa.array(text("x", "y"), pa.large_string()),
        "kind": pa.array(text("old", "new", "odd")).dictionary_encode(),
        "number": pa.array(text(10, -1, 3), pa.int64()).dictionary_encode(), "nothing": pa.nulls(rows),
    }
    target = pa.array([["yes", "no"][row % 3 % 2] for row in range(rows)])
    whole = pa.table({**plain, "target": target})

    def expected(name):
        found = {}
        for column in whole.column_names:
            values = whole[column].to_pylist()
            kind = whole.schema.field(column).type
            texts = pa.types.is_boolean(kind) or pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
            if column == "target":
                found[column] = values
            elif texts:
                found[column] = pd.Categorical([None if value is None else str(value) for value in values])
            elif column != "nothing":
                found[column] = np.array([np.nan if value is None else value for value in values], "<f8")
        expect_table("columns", name, pd.DataFrame(found), "target")

    def parquet(name, table=whole, **how):
        pq.write_table(table, place("columns", name), **{"compression": "none", **how})

    named = [column for column in whole.column_names]
    lists = {"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT",
             "text": "DELTA_BYTE_ARRAY", "large": "DELTA_LENGTH_BYTE_ARRAY", "yes": "RLE"}
    for name, how in {
        "snappy.parquet": {"compression": "snappy"}, "gzip.parquet": {"compression": "gzip", "row_group_size": 5},
        "zstd.parquet": {"compression": "zstd", "data_page_version": "2.0"}, "lz4.parquet": {"compression": "lz4", "use_dictionary": False},
        "encodings.parquet": {"use_dictionary": [c for c in named if c not in lists], "column_encoding": lists, "data_page_version": "2.0"},
        "pages.parquet": {"data_page_size": 1, "write_batch_size": 2, "store_schema": True},
    }.items():
        parquet(name, **how)
        expected(name)
    # A table of text in both formats
    houses = pa.Table.from_pandas(pd.read_csv(place("table", "houses.csv")), preserve_index=False)
    parquet("houses.parquet", houses, compression="snappy")
    pa.feather.write_feather(houses, place("columns", "houses.feather"))
    # By a writer that keeps no schema of Arrow's, numbers are what they are in Parquet.
    parquet("brotli.parquet", whole.select(["i8", "target"]), compression="brotli", store_schema=False)

    feather = lambda name, table=whole, **how: pa.feather.write_feather(table, place("columns", name), **how)
    for packing in ["lz4", "zstd", "uncompressed"]:
        feather(f"{packing}.feather", compression=packing, chunksize=5)
        expected(f"{packing}.feather")
    views = whole.set_column(whole.column_names.index("text"), "text", whole["text"].cast(pa.string_view()))
    views = views.set_column(0, "i8", views["i8"])
    with pa.ipc.new_stream(place("columns", "stream.arrow"), views.schema) as out:
        out.write_table(views, max_chunksize=7)
    expected("stream.arrow")

    # What a table of text could not hold, beside what it could
    days = [datetime.date(2024, 1, 1 + row) for row in range(rows)]
    nested = pa.table({
        "list": pa.array([[1.5, row] for row in range(rows)]), "view": pa.array(["a long text that lies elsewhere"] * rows, pa.string_view()),
        "fixed": pa.array([[1, row] for row in range(rows)], pa.list_(pa.int8(), 2)), "map": pa.array([[("k", 1)]] * rows, pa.map_(pa.string(), pa.int8())),
        "struct": pa.array([{"a": row, "b": "x"} for row in range(rows)]), "bytes": pa.array([b"\0\1"] * rows),
        "day": pa.array(days), "time": pa.array([datetime.datetime(2024, 1, 1, row) for row in range(rows)]),
        "size": pa.array(range(rows), pa.int16()), "target": target,
    })
    parquet("nested.parquet", nested.cast(nested.schema.set(1, pa.field("view", pa.string()))))
    feather("nested.feather", nested, compression="uncompressed")

    # Pictures, as the library `datasets` writes them
    fixtures = os.path.join(os.path.dirname(corpus), "..", "fixtures", "pictures")
    names = ["rgb.png", "grey.png", "rgb.png", "grey.jpg", "rgb.png", "grey.png"]
    pictures = [{"bytes": open(os.path.join(fixtures, name), "rb").read(), "path": name} for name in names]
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog", "cow"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": pictures, "label": pa.array([1, 0, 1, 2, 0, 2])}).replace_schema_metadata(metadata)
    parquet("pictures.parquet", table, compression="snappy", row_group_size=4)
    bare = pa.table({"kind": ["b", "a", "b", "a", "b", "a"], "png": pa.array([picture["bytes"] for picture in pictures])})
    parquet("bare.parquet", bare)
    with pa.ipc.new_stream(place("columns", "pictures.arrow"), table.schema) as out:
        out.write_table(table, max_chunksize=4)


def finish(folder):
    with open(place(folder, "expected"), "w") as out:
        out.write("\n".join(sorted(lines[folder])) + "\n")
    sys.exit()


if sys.argv[1:] == ["table"]:
    finish("table")
if sys.argv[1:] not in (["mat"], ["cifar"]):
    columns()
if sys.argv[1:] == ["columns"]:
    finish("columns")


# MATLAB's files of version 5: by SciPy, and by hand in both orders of bytes, with values stored smaller than they are
def matlab():
    import scipy.io
    import scipy.sparse
    whole = np.arange(6).reshape(2, 3)
    kinds = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
    arrays = {f"v_{kind}": whole.astype(kind) for kind in kinds} | {"flags": whole % 2 == 1, "deep": np.arange(24.0).reshape(2, 3, 4),
        "none": np.zeros((0, 3)), "one": np.array([[7.5]])}
    others = {"text": np.array(["abc"]), "cells": np.array([1, "a"], dtype=object), "fields": {"a": 1.0}, "complex": whole + 1j,
              "sparse": scipy.sparse.csc_matrix(whole)}
    for name, packed in [("plain.mat", False), ("packed.mat", True)]:
        scipy.io.savemat(place("mat", name), arrays | others, do_compression=packed)
        expect("mat", name, arrays | {key: np.array("") for key in others})
    # Pictures, whose number MATLAB has last.
    pictures, labels = np.arange(5 * 3 * 4 * 3).reshape(5, 3, 4, 3).astype("u1"), np.array([[0, 1, 1, 0, 1]])
    grey = np.arange(5 * 3 * 3).reshape(5, 3, 3).astype("f4")
    scipy.io.savemat(place("mat", "pictures.mat"), {"x": pictures.transpose(1, 2, 3, 0), "grey": grey.transpose(1, 2, 0), "y": labels})
    expect("mat", "pictures.mat", {"x": pictures, "grey": grey, "y": labels})
    for name, order in [("little.mat", "<"), ("big.mat", ">")]:
        def element(kind, raw):
            if len(raw) <= 4 and len(raw) > 0:
                return struct.pack(order + "I", kind | len(raw) << 16) + raw.ljust(4, b"\0")
            return struct.pack(order + "II", kind, len(raw)) + raw + bytes(-len(raw) % 8)

        def array(name, number, kind, stored, shape):
            columns = stored.astype(stored.dtype.newbyteorder(order)).tobytes(order="F")
            return element(14, element(6, struct.pack(order + "II", number, 0)) + element(5, struct.pack(f"{order}{len(shape)}i", *shape))
                           + element(1, name.encode()) + element(kind, columns))
        content = [array("small", 6, 2, whole.astype("u1"), (2, 3)), array("wide", 6, 9, whole + 0.5, (2, 3)),
                   array("tiny", 12, 3, np.array([[-5, 9]], "i2"), (1, 2)), array("single", 7, 7, whole.astype("f4"), (2, 3))]
        start = b"MATLAB 5.0 MAT-file, by hand".ljust(124) + struct.pack(order + "HH", 0x100, 0x4d49)
        open(place("mat", name), "wb").write(start + b"".join(content))
        expect("mat", name, {"small": whole.astype("f8"), "wide": whole + 0.5, "tiny": np.array([[-5, 9]], "i4"),
                             "single": whole.astype("f4")})


# A data set like CIFAR-100, of one picture in each file: pickles as Python 2 wrote them, and the binary version in an archive
def cifar():
    import tarfile

    def text(raw):
        return b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<I", len(raw)) + raw

    def listed(items):
        return b"](" + b"".join(items) + b"e"

    def pickled(entries):
        return b"\x80\x02}q\x01(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."
    picture = (np.arange(3072) % 251).astype("u1").tobytes()
    array = (b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\n"
             b"U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + text(picture) + b"tb")
    for name, fine, coarse in [("train", 99, 19), ("test", 3, 0)]:
        number = lambda value: listed([b"K" + bytes([value])])
        entries = {b"filenames": listed([text(b"a.png")]), b"fine_labels": number(fine), b"coarse_labels": number(coarse), b"data": array}
        open(place("cifar", name), "wb").write(pickled(entries))
    names = {b"fine_label_names": listed([text(b"f%d" % index) for index in range(100)]),
             b"coarse_label_names": listed([text(b"c%d" % index) for index in range(20)])}
    open(place("cifar", "meta"), "wb").write(pickled(names))
    with tarfile.open(place("cifar", "binary.tar"), "w") as archive:
        for name, labels in [("train.bin", bytes([19, 99])), ("test.bin", bytes([0, 3]))]:
            entry = tarfile.TarInfo(f"cifar-100-binary/{name}")
            entry.size = 3074
            archive.addfile(entry, io.BytesIO(labels + picture))


if sys.argv[1:] == ["cifar"]:
    sys.exit(cifar())
if sys.argv[1:] == ["mat"]:
    matlab()
    finish("mat")
matlab()
cifar()

import h5py

values = np.arange(6).reshape(2, 3)
kinds = ["|b1", "|u1", "|i1", "<u2", ">i2", ">u4", "<i4", "<u8", ">i8", "<f2", ">f4", "<f8"]

# npy
def npy(name, array, version=None):
    with open(place("npy", name), "wb") as out:
        np.lib.format.write_array(out, array, version=version)
    expect("npy", name, {name: np.load(place("npy", name))})

for kind in kinds:
    npy(f"{kind[1:]}.npy", values.astype(kind))
npy("fortran.npy", np.asfortranarray(values.astype(">i4")))
npy("deep-fortran.npy", np.asfortranarray(np.arange(24).reshape(2, 3, 2, 2).astype("<f2")))
npy("scalar.npy", np.float32(2.5))
npy("empty.npy", np.zeros((3, 0, 2), "<u2"))
npy("version2.npy", values.astype("<f4"), (2, 0))
npy("version3.npy", values.astype("<f4"), (3, 0))
npy("odd-values.npy", np.array([np.nan, np.inf, -0.0, 5e-324, 1e308]))
npy("complex.npy", np.array([1j]))
npy("text.npy", np.array(["a", "bc"]))
npy("record.npy", np.array([(1, 2.0)], "i4,f4"))
npy("void.npy", np.array([b"ab"], "V2"))
npy("date.npy", np.array(["2020-01-01"], "M8[D]"))
npy("long-double.npy", np.array([1.5], "g"))

# npz
def npz(name, write, arrays):
    with open(place("npz", name), "wb") as out:
        write(out, **arrays)
    with np.load(place("npz", name)) as found:
        expect("npz", name, {key: found[key] for key in found.files})

several = {"x": values.astype("<f4"), "y": np.array([1, 0], ">i8"), "t": np.array(["text"])}
npz("stored.npz", np.savez, several)
npz("deflated.npz", np.savez_compressed, several)
npz("one.npz", np.savez_compressed, {"arr_0": np.zeros(1000, "u1")})

class OneWay(io.RawIOBase):
    """A stream that cannot go back: the archive gets data descriptors."""
    def __init__(self, out): self.out = out
    def writable(self): return True
    def write(self, data): return self.out.write(data)

with open(place("npz", "streamed.npz"), "wb") as out, zipfile.ZipFile(OneWay(out), "w", zipfile.ZIP_DEFLATED) as archive:
    with archive.open("folder/x.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, values.astype("<i2"))
expect("npz", "streamed.npz", {"folder/x": np.load(place("npz", "streamed.npz"))["folder/x"]})

# Forty names for one member of a megabyte: what they come to is far beyond what the file can hold.
member = io.BytesIO()
with zipfile.ZipFile(member, "w", zipfile.ZIP_DEFLATED) as archive:
    entry = io.BytesIO()
    np.save(entry, np.zeros(1 << 20, "u1"))
    archive.writestr(zipfile.ZipInfo("00.npy"), entry.getvalue(), zipfile.ZIP_DEFLATED)
raw = member.getvalue()
start = raw.index(b"PK\x01\x02")
end = raw.index(b"PK\x05\x06")
directory = b"".join(raw[start:end].replace(b"00.npy", b"%02d.npy" % index) for index in range(40))
tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 40, 40, len(directory), start, 0)
open(place("shared", "shared-member.npz"), "wb").write(raw[:start] + directory + tail)

# gzip
def gz(name, content, arrays, members=1):
    with open(place("gz", name), "wb") as out:
        for part in np.array_split(np.frombuffer(content, "u1"), members):
            with gzip.GzipFile("name", "wb", fileobj=out, mtime=0) as packed:
                packed.write(part.tobytes())
    expect("gz", name, arrays)

packed = io.BytesIO()
np.save(packed, values.astype("<f4"))
gz("x.npy.gz", packed.getvalue(), {"x.npy.gz": values.astype("<f4")})
gz("two.npy.gz", packed.getvalue(), {"two.npy.gz": values.astype("<f4")}, members=2)
gz("x.csv.gz", b"a,b\n1,2\n3,4\n", {"x.csv.gz": np.array([[1, 2], [3, 4]], "<f8")})

# IDX
codes = {"|u1": 8, "|i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
for kind, code in codes.items():
    array = values.astype(kind)
    content = bytes([0, 0, code, 2]) + struct.pack(">2I", *array.shape) + array.tobytes()
    name = f"{kind[1:]}.idx"
    open(place("idx", name), "wb").write(content)
    expect("idx", name, {name: array})
    if code == 8:
        name = "x-idx2-ubyte.gz"
        with open(place("gz", name), "wb") as out, gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed:
            packed.write(content)
        expect("gz", name, {name: array})

# CSV, as numpy.loadtxt reads it
def csv(name, text, **how):
    open(place("csv", name), "w", newline="").write(text)
    expect("csv", name, {name: np.loadtxt(place("csv", name), ndmin=2, **how)})

csv("plain.csv", "1,2.5\n-3,4e2\n", delimiter=",")
csv("header.csv", "a,b\r\n1,2\r\n3,4", delimiter=",", skiprows=1)
csv("tabs.tsv", "1\t2\n3\t4\n", delimiter="\t")
csv("semicolons.csv", "x;y\n1;2\n", delimiter=";", skiprows=1)
csv("spaces.txt", "1.000000000000000000e+00 2.5\n3 4\n")
csv("quoted.csv", '"a, b",c\n1,2\n', delimiter=",", skiprows=1)
csv("odd-values.csv", "nan,inf\n-inf,1e-320\n", delimiter=",")

# HDF5
def hdf5(name, write, **how):
    with h5py.File(place("hdf5", name), "w", **how) as file:
        write(file)
    found = {}
    with h5py.File(place("hdf5", name), "r") as file:
        def visit(key, item):
            if isinstance(item, h5py.Dataset):
                number = item.shape is not None and item.dtype.kind in "biuf"
                found[key] = item[()] if number else np.array(["other"])
        file.visititems(visit)
    expect("hdf5", name, found)

def types(file):
    for kind in kinds:
        file[kind[1:]] = values.astype(kind)
    file["scalar"] = np.float32(2.5)
    file["text"] = ["a", "b"]
    file["record"] = np.array([(1, 2.0)], "i4,f4")
    file["empty"] = np.zeros((0, 3), "f4")

wide = np.arange(12 * 10).reshape(12, 10)

def packings(file):
    make = file.create_dataset
    make("gzip", data=wide.astype("<f4"), chunks=(5, 4), compression="gzip")
    make("shuffle", data=wide.astype(">i2"), chunks=(5, 10), compression="gzip", shuffle=True, fletcher32=True)
    make("lzf", data=wide.astype("f8"), chunks=(4, 4), compression="lzf")
    make("scale", data=wide.astype("i4"), chunks=(5, 4), scaleoffset=True)
    # Chunks that were never written hold the fill value.
    file.create_dataset("sparse", (12, 10), "<i4", chunks=(5, 4), fillvalue=7)[:3, :3] = 1
    file.create_dataset("unwritten", (4, 3), "<f4", fillvalue=1.5)

def growing(file):
    make = file.create_dataset
    make("one", data=wide.astype("u4"), chunks=(5, 4), maxshape=(None, 10))
    make("both", data=wide.astype("u1"), chunks=(5, 4), maxshape=(None, None))
    make("fixed", data=wide.astype("u1"), chunks=(5, 4), maxshape=(20, 10))
    make("single", data=wide.astype("u1"), chunks=(12, 10), compression="gzip")

def groups(file):
    inner = file.create_group("a/b")
    inner["x"] = values.astype("<i8")
    file["a"].attrs["note"] = "text"
    for index in range(12):
        inner["x"].attrs[f"attribute{index}"] = np.arange(index)
    file["compact"] = values.astype("<f4")
    file["type"] = np.dtype("<i2")
    file.create_dataset("committed", data=values, dtype=file["type"])

def compact(file):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    data = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32BE, h5py.h5s.create_simple((2, 3)), creation)
    data.write(h5py.h5s.ALL, h5py.h5s.ALL, values.astype("<f4"))
    file["null"] = h5py.Empty("f4")

for version in ["earliest", "latest"]:
    for write in [types, packings, growing, groups, compact]:
        hdf5(f"{version}-{write.__name__}.h5", write, libver=version)
hdf5("userblock.h5", compact, userblock_size=512)
hdf5("ordered.h5", groups, track_order=True, libver="latest")

# Values that lie in another file must not be taken for zeros.
with h5py.File(place("elsewhere", "external.h5"), "w") as file:
    file.create_dataset("x", (4,), "u1", external=[("/etc/hostname", 0, 4)])
with h5py.File(place("elsewhere", "virtual.h5"), "w", libver="latest") as file:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("x", layout)

for target, all_lines in lines.items():
    with open(place(target, "expected"), "w") as out:
        out.write("\n".join(sorted(all_lines)) + "\n")
