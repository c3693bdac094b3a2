"""Drift: how far a column is from the reference data. An effect is asked for, and evidence that it is no chance."""

from mlgate.data.drift.against import against
from mlgate.data.drift.compared import Compared
from mlgate.data.drift.run import run

__all__ = ["Compared", "against", "run"]
