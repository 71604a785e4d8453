#!/usr/bin/env python3
"""Fashion-MNIST as 70,000 PNG files in folders: gputrain's decoding, a second start, its default network, less memory than data.

usage: picture_folders.py PROGRAM IDX_DIR [--pictures N] [--epochs N] [--seed N]
IDX_DIR holds train-images-idx3-ubyte.gz and its three companions. Writes the pictures (or N of them, a seventh for tests) to
train/CLASS/ and test/CLASS/ in a temporary folder (TMPDIR; it should lie on a disk) and trains on them: one epoch of a single layer
with an empty cache, the same again, the default network, and one epoch of dense 100 and 10 on the training pictures brought to
96 x 96 pixels, in a quarter of the memory that these take (at least 80 MB, for the network; not of fewer than 20,000 pictures).
That wants Linux and the right to make control groups; without it nothing is bound, and the row says so. Prints Markdown tables:
test accuracy, seconds from a program's start to its first step and to its end, its processor seconds and peak memory, in which
pages of files count that were in memory before (in the bound they do not). What the first start takes longer than the second is
decoding and packing, of files just written; Pillow decodes the same in as many processes as there are processors.
"""
# NumPy and Pillow only in processes of their own: a process begins with its parent's peak memory.
import argparse, gzip, json, os, subprocess, sys, tempfile, time

NAMES = "T-shirt Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Boot".split()


def make(folder, source, count):
    import numpy as np
    from PIL import Image

    for part, name, count in ("train", "train", count - count // 7), ("test", "t10k", count // 7):
        images, labels = (gzip.open(f"{source}/{name}-{kind}-ubyte.gz").read() for kind in ("images-idx3", "labels-idx1"))
        images = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
        for label in NAMES:
            os.makedirs(f"{folder}/{part}/{label}")
        for i, (image, label) in enumerate(zip(images[:count], labels[8:])):
            Image.fromarray(image).save(f"{folder}/{part}/{NAMES[label]}/{i:05}.png")


def decode(path):
    from PIL import Image

    with Image.open(path) as image:
        return len(image.tobytes())


def pillow(folder):
    from concurrent.futures import ProcessPoolExecutor

    paths = [f"{at}/{file}" for at, _, files in os.walk(folder) for file in files if file.endswith(".png")]
    with ProcessPoolExecutor() as pool:
        print(json.dumps({"pixels": sum(pool.map(decode, paths, chunksize=250))}))


def bounded(limit):
    """A new control group whose processes and their pages of files get so many bytes, or none where that is refused."""
    try:
        groups = dict(line.rstrip("\n").split(":", 2)[1:] for line in open("/proc/self/cgroup"))
        # Version 1 bounds groups below ours; in version 2 a group with processes has none, so it lies beside ours.
        if "memory" in groups:
            above, bound = f"/sys/fs/cgroup/memory{groups['memory']}", "memory.limit_in_bytes"
        else:
            above, bound = os.path.dirname(f"/sys/fs/cgroup{groups['']}"), "memory.max"
        group = f"{above}/gputrain-{os.getpid()}"
        os.mkdir(group)
    except (OSError, KeyError):
        return None
    try:
        # Not made where it is missing: version 2 may have no memory controller there.
        with open(f"{group}/{bound}", "r+") as file:
            file.write(str(limit))
        return group
    except OSError:
        os.rmdir(group)


def run(command, group=None):
    """Runs a command, in a control group if there is one: what its last line says, and what the system says of its process."""
    started = time.perf_counter()
    # A shell enters the group and becomes the program.
    enter = ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', group] if group else []
    child = subprocess.Popen(enter + command, stdout=subprocess.PIPE, text=True)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds, child.returncode = time.perf_counter() - started, os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return json.loads(said.splitlines()[-1]) | {"clock": seconds, "processor": usage.ru_utime + usage.ru_stime, "peak": peak}


if sys.argv[1:2] == ["--part"]:
    make(sys.argv[2], sys.argv[3], int(sys.argv[4])) if len(sys.argv) > 3 else pillow(sys.argv[2])
    sys.exit()
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("program")
ap.add_argument("source")
ap.add_argument("--pictures", type=int, default=70_000)
ap.add_argument("--epochs", type=int)
ap.add_argument("--seed", type=int, default=1)
a = ap.parse_args()
with tempfile.TemporaryDirectory() as folder:
    # Where the cache lies, on Linux and on macOS.
    os.environ |= {"XDG_CACHE_HOME": f"{folder}/cache", "HOME": folder}
    part = [sys.executable, __file__, "--part", folder]
    subprocess.run(part + [a.source, str(a.pictures)], check=True)

    def train(name, *more, test=True, group=None):
        command = [a.program, "--backend", "cpu", "--json", "--quiet", *more, "--train", f"{folder}/train", "--seed", str(a.seed)]
        row = run(command + ["--test", f"{folder}/test"] * test + ["--out", f"{folder}/run-{os.urandom(4).hex()}"], group)
        accuracy = f"{100 * row['test_accuracy']:.2f} %" if test else ""
        times = [f"{row[key]:.1f}" for key in ("startup_seconds", "clock", "processor")]
        print("|", " | ".join([name, accuracy, *times, f"{row['peak'] / 1e6:.0f} MB"]), "|", flush=True)
        return row

    print(f"{a.pictures} pictures, {a.pictures // 7} of them tests\n")
    head = "| | test accuracy | first step after, s | seconds | processor seconds | peak |\n|---|---|---|---|---|---|"
    print(head, flush=True)
    single = "train", "--layers", "10", "--epochs", "1"
    first, second = (train(f"{name} start, single layer, one epoch", *single) for name in ("first", "second"))
    train("default network", "train", *(["--epochs", str(a.epochs)] if a.epochs else []))
    peer = run(part)
    spent = [first[key] - second[key] for key in ("startup_seconds", "processor")] + [peer["clock"], peer["processor"]]
    rates = "decoding and packing: {:.0f} pictures a second, {:.0f} a processor second; decoding by Pillow: {:.0f} and {:.0f}"
    print("\n" + rates.format(*(a.pictures / seconds for seconds in spent)))
    if a.pictures < 20_000:
        sys.exit()
    print("\n" + head, flush=True)
    size = (a.pictures - a.pictures // 7) * 96 * 96
    limit = max(size // 4, 80_000_000)
    group = bounded(limit)
    bound = f"in {limit / 1e6:.0f} MB" if group else "without a bound"
    little = ["--data-memory", str(limit // 8), "train", "--set", "data.image={size=[96,96]}", "--layers", "100:relu,10"]
    little += ["--validation", "0.05", "--epochs", "1"]
    try:
        train(f"{size / 1e6:.0f} MB of pictures {bound}, one epoch", *little, test=False, group=group)
    finally:
        if group:
            os.rmdir(group)
