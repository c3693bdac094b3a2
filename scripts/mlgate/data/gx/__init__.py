"""Great Expectations itself, for what DuckDB does not answer, in a process of its own.

Both engines see the same values: DuckDB reads the file, and hands the columns over.
"""

from mlgate.data.gx.run import docs, run

__all__ = ["docs", "run"]
