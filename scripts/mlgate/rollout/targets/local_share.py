"""Which model gets the next request: exact shares in turn, or always the same one for the same caller. No I/O."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping


class Share:
    """Percent by slot; those without any are never chosen."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = {slot: weight for slot, weight in sorted(weights.items()) if weight > 0}
        self._owed = dict.fromkeys(self.weights, 0.0)
        self._total = sum(self.weights.values())

    def next(self) -> str:
        """Smooth weighted round robin: of any 100 requests each slot gets its percent. Empty without any slot."""
        if not self._owed:
            return ""
        for slot, weight in self.weights.items():
            self._owed[slot] += weight
        chosen = max(self._owed, key=lambda slot: self._owed[slot])
        self._owed[chosen] -= self._total
        return chosen

    def of(self, caller: str) -> str:
        """The slot of this caller, the same until weights change; then only as many move as have to.

        Weighted rendezvous: each slot draws a number from the caller's name and its own, and the largest wins. When
        one slot's weight grows, callers move to it and nowhere else.
        """
        return max(self.weights, key=lambda slot: _drawn(caller, slot, self.weights[slot]), default="")

    def instead(self, without: Collection[str]) -> str:
        """The slot with the largest share among the others, for a request that those have lost. Takes no turn."""
        left = [slot for slot in self.weights if slot not in without]
        return max(left, key=lambda slot: self.weights[slot], default="")


def _drawn(caller: str, slot: str, weight: float) -> float:
    digest = hashlib.blake2b(f"{slot}\0{caller}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return -weight / math.log((int.from_bytes(digest, "big") + 1) / (2**64 + 1))
