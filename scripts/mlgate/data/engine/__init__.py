"""Holds a table to expectations: one exact DuckDB pass for what compiles, the other engines for the rest."""

from mlgate.data.engine.dispatch import compiles, run
from mlgate.data.engine.quarantined import Quarantined, quarantine

__all__ = ["Quarantined", "compiles", "quarantine", "run"]
