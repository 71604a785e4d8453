#!/usr/bin/env python3
"""Sets gputrain's timings beside its peers'.

usage: compare.py OURS.jsonl PEERS.jsonl [PEERS.jsonl...]

OURS comes from `gputrain bench --json`, PEERS from torch_peer.py and jax_peer.py, measured on the same machine in the
same sitting. For every workload and precision it prints us per step of both and the ratio peer / ours: above 1, we are faster.
"""
import json, sys


def rows(path):
    for line in open(path):
        if line.startswith("{"):
            row = json.loads(line)
            if "workload" in row and "us_per_step" in row:
                yield row


ours = {}
for r in rows(sys.argv[1]):
    key = (r["workload"], r.get("precision", "f32"))
    if key not in ours or r["us_per_step"] < ours[key]["us_per_step"]:
        ours[key] = r
print(f"{'workload':24} {'precision':9} {'ours us/step':>12}   peer")
for (name, precision), o in sorted(ours.items()):
    fastest = {}
    for r in sorted((r for p in sys.argv[2:] for r in rows(p) if r["workload"] == name), key=lambda r: r["us_per_step"]):
        fastest.setdefault((r["peer"], r["mode"], r["precision"], r["device"]), r)
    peers = fastest.values()
    for r in peers:
        print(f"{name:24} {precision:9} {o['us_per_step']:12.1f}   {r['us_per_step'] / o['us_per_step']:6.2f}x  {r['peer']} {r['mode']} {r['precision']} {r['device']} ({r['us_per_step']:.1f})")
