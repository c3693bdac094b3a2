"""Bounds where rows come in clusters that were drawn whole (a user, a session, a document): any metric.

Each cluster is left out in turn and whole (the jackknife, on the sum of its rows' influences): exact for means, linear
in time, and without a random number, so that the order and the names of clusters cannot matter.
"""

from __future__ import annotations

from mlgate.judge.paired.means import bounds, level

__all__ = ["bounds", "level"]
