"""Data files as tables that DuckDB can scan: CSV, Parquet and JSON lines, read without guessing or dropping anything.

- **Parquet** is read as it is. Opening costs its footer.
- **CSV** is read strictly: a comma (a tab for .tsv) unless `read.delimiter` says otherwise, `"` for quotes, UTF-8 with
  or without a mark. A line with more or fewer values than the header stops it; only a delimiter at a line's end, with
  nothing after it, adds none. Missing are the values that `read.nulls` lists (an empty one unless it says otherwise),
  quoted or not, as for pandas; `NA` is text unless listed. A line that is empty is no row, except in a file of one
  column, where it is a missing value. A column whose name is empty is called `Unnamed: 0`, as for pandas. A column's
  type is the first that all its values fit (`rungs`): opening looks at the first rows, and a scan that meets something
  else stops, so that `recover` can settle the types from the whole file. Opening costs the first rows (of a file of
  more than a thousand columns, or in another encoding than UTF-8: one pass over it); a scan costs up to twice what
  DuckDB's own takes, for looking at each value before it is converted.
- **JSON lines**: objects, one a line; see `jsonlines`. Opening reads them all.

Several files are one table when they have the same columns of the same types, in whatever order. The names of folders
(`year=2024`) are no columns.
"""

from mlgate.data.reading.connection import connect
from mlgate.data.reading.opening import open_table, recover
from mlgate.data.reading.paths import left_out, resolve
from mlgate.data.reading.table import Column, Table

__all__ = ["Column", "Table", "connect", "left_out", "open_table", "recover", "resolve"]
