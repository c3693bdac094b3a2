"""One evaluation set in a folder, and what the join says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mlgate.data import aligned, reading
from mlgate.data.aligned import Aligned, Asked, File, Finding, Side

DATA = "data/test.parquet"
PREDICTIONS = "eval/predictions.parquet"
Columns = Mapping[str, Sequence[Any]]


@dataclass
class Set:
    """Files written as Parquet unless their name ends otherwise."""

    root: Path
    files: dict[str, Path] = field(default_factory=dict)

    @cached_property
    def con(self) -> Any:
        return reading.connect("1GB", self.root)

    def write(self, name: str, columns: Columns | pd.DataFrame, *, shown: str = "") -> File:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(columns)
        if ".csv" in name:
            frame.to_csv(path, index=False)
        elif ".jsonl" in name:
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_parquet(path, index=False)
        return File(path, shown or name)

    def read(
        self,
        labels: Columns | File,
        challenger: Columns | File,
        champion: Columns | File | None = None,
        **asked: Any,
    ) -> Aligned:
        sides: dict[Side, File] = {"challenger": self._file("challenger", challenger)}
        if champion is not None:
            sides["champion"] = self._file("champion", champion)
        asked = {"id": "id", "label": "y"} | asked
        return aligned.read(self.con, Asked(labels=self._file("", labels), predictions=sides, **asked))

    def _file(self, side: str, given: Columns | File) -> File:
        if isinstance(given, File):
            return given
        name = f"{side}/{PREDICTIONS}" if side else DATA
        return self.write(name, given, shown=PREDICTIONS if side else DATA)


def only(found: Aligned) -> Finding:
    """The one finding."""
    assert len(found.findings) == 1, [str(finding) for finding in found.findings]
    return found.findings[0]
