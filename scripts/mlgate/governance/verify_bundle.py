"""Checks an unpacked bundle, with nothing but Python 3.8 or later: python3 verify.py [HEAD]

Every file has the digest that SHA256SUMS names; every entry of the ledger has the hash of its own bytes, and that of
the entry before it; every decision record is the one that the ledger names. HEAD is a head of the ledger that was kept
elsewhere (mlgate1....): only it shows that the end of the chain was not rewritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any


def main() -> int:
    here = os.path.dirname(os.path.abspath(__file__))
    wrong = [*_sums(here), *_chain(os.path.join(here, "ledger", "events.jsonl"), sys.argv[1:])]
    for said in wrong:
        sys.stdout.write(f"wrong: {said}\n")
    if not wrong:
        sys.stdout.write("ok: every file and every entry is as it was written\n")
    return 1 if wrong else 0


def _sums(here: str) -> list[str]:
    with open(os.path.join(here, "SHA256SUMS"), encoding="utf-8") as file:
        named = {line[66:].rstrip("\n"): line[:64] for line in file if line.strip()}
    there = set()
    for folder, _, files in os.walk(here):
        there |= {os.path.relpath(os.path.join(folder, name), here).replace(os.sep, "/") for name in files}
    wrong = [f"{name} is not named in SHA256SUMS" for name in sorted(there - {*named, "SHA256SUMS"})]
    for name, digest in sorted(named.items()):
        if name not in there:
            wrong.append(f"{name} is missing")
            continue
        with open(os.path.join(here, *name.split("/")), "rb") as found:
            if hashlib.sha256(found.read()).hexdigest() != digest:
                wrong.append(f"{name} was changed")
    return wrong


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _chain(path: str, heads: list[str]) -> list[str]:
    if not os.path.exists(path):
        return ["there is no ledger in this bundle, and a head was given"] if heads else []
    wrong, before, at, hashes = [], None, 0, {}
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            line = json.loads(text)
            own = hashlib.sha256(_canonical({k: v for k, v in line.items() if k != "hash"})).hexdigest()
            if own != line["hash"]:
                wrong.append(f"entry {line['seq']} (line {number}) was changed")
            if before is not None and (line["previous"] != before or line["seq"] != at + 1):
                wrong.append(f"entry {line['seq']} (line {number}) does not follow the one before it")
            before, at = line["hash"], line["seq"]
            hashes[at] = before
            wrong += _record(line["entry"])
    for head in heads:
        parts = head.strip().split(".")
        if len(parts) != 5 or parts[2] != "events" or hashes.get(int(parts[3])) != parts[4]:
            wrong.append(f"the head {head} is not in this chain")
    return wrong


def _record(entry: dict[str, Any]) -> list[str]:
    """The statement of a decision or an image is in its entry, and its digest beside it."""
    if entry.get("kind") not in ("decision", "image"):
        return []
    if hashlib.sha256(_canonical(entry["record"])).hexdigest() != entry["statement"]:
        return [f"the record of {entry['kind']} {entry['id']} is not the one that is named"]
    return []


if __name__ == "__main__":
    sys.exit(main())
