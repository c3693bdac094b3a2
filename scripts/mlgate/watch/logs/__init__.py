"""What production logged, as one relation of a window: JSON lines, Parquet, CSV, object storage and databases.

Every line is accounted for: it is a row of the window, or it is counted by the reason for which it is none.
"""

from mlgate.watch.logs.nouns import Logged, Opened, Where
from mlgate.watch.logs.opening import open_logs, open_source

__all__ = ["Logged", "Opened", "Where", "open_logs", "open_source"]
