"""Holds a table to expectations: one exact DuckDB pass for what compiles, the other engines for the rest."""

from mlgate.data.engine.quarantine import Quarantined, quarantine
from mlgate.data.engine.run import compiles, run

__all__ = ["Quarantined", "compiles", "quarantine", "run"]
