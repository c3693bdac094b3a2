"""The reference profile of one model, made of the very bytes that a commit names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.commands import _model
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.config.settings import EvaluationSet, Read
from mlgate.errors import MlgateError
from mlgate.judge import committed, integrity
from mlgate.model import Digests
from mlgate.repo import content
from mlgate.repo.dvc import Pipeline
from mlgate.setup import profiled
from mlgate.setup.profiled import Wanted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.profiles import Answers
    from mlgate.data.reading import Table

_ANSWERS = "mlgate_answers"


@dataclass(frozen=True)
class Maker:
    """`pipeline` says which bytes are meant; `fetch` brings paths that are not here, or raises MlgateError."""

    run: Run
    config: Config
    pipeline: Pipeline
    con: DuckDBPyConnection
    fetch: Callable[[Sequence[str]], None]

    def make(self, want: Wanted) -> str:
        """The text of the profile. Raises MlgateError for data that are not those of the commit, or cannot be read."""
        from mlgate.data import profiles  # noqa: PLC0415

        artifact = [self.config.path(self.config.artifact)] if self.config.artifact else []
        self._bring([want.data, *([want.predictions] if want.predictions else []), *artifact])
        made_of = {path: self._checked(path, want.made_of.get(path, "")) for path in self._parts(want)}
        table = self._open(want.data, self._read(want.data))
        answers = self._answers(want)
        found = profiles.build(
            self.con, table, model=want.model, features=self._features(want, table), answers=answers,
            time=_time(want, table), private=want.private, data={**want.made_of, **made_of}, digest=self._digest(),
        )  # fmt: skip
        return profiles.text(found)

    def _parts(self, want: Wanted) -> list[str]:
        return [want.data, *([want.predictions] if want.predictions else [])]

    def _bring(self, paths: Sequence[str]) -> None:
        root = self.run.git.root
        missing = [path for path in paths if not any(character in path for character in "*?[")]
        missing = [path for path in missing if not (root / path).exists()]
        if missing:
            self.fetch(missing)

    def _checked(self, path: str, told: str) -> str:
        """The digest of what is read. Raises MlgateError where it is not what the commit names."""
        from mlgate.data import reading  # noqa: PLC0415

        root, claims = self.run.git.root, committed.of(self.pipeline, path).claims
        seen: dict[str, Digests] = {}
        try:
            for name, claim in claims.items():
                seen[name] = content.digest(root / name, claim.digest, legacy=claim.legacy)
            for file in reading.resolve(root, path):
                name = file.relative_to(root.resolve()).as_posix()
                if not any(name == claimed or name.startswith(f"{claimed}/") for claimed in claims):
                    seen[name] = content.digest(file, {})
        except OSError as error:
            raise MlgateError(f"cannot be read ({error.strerror or error}).", file=path) from error
        found = profiled.digest(committed.whole(path, seen))
        if told and found != told:
            raise MlgateError(
                "is not the file that the lock or pointer names, so its profile would be of other data.", file=path,
                fix=f"`dvc checkout {path}`, or commit what is here (`dvc commit`).",
            )  # fmt: skip
        return found

    def _read(self, path: str) -> Read:
        return next((one.read for one in self.config.data if self.config.path(one.path) == path), Read())

    def _open(self, path: str, read: Read) -> Table:
        from mlgate.data import reading  # noqa: PLC0415

        return reading.open_table(self.con, reading.resolve(self.run.git.root, path), path, read)

    def _features(self, want: Wanted, table: Table) -> list[str]:
        """Those that are logged; without such, the columns that are no label, identifier, weight or the like."""
        if want.features is not None:
            return list(want.features)
        out: set[str | None] = {_time(want, table)}
        for one in self.config.evaluate.values():
            named = one.columns
            out |= {named.id, named.label, named.weight, named.cluster, named.query}
        for entry in self.config.data:
            if self.config.path(entry.path) == want.data:
                out |= {*(entry.id or []), *(entry.apart_by or [])}
        return [column.name for column in table.columns if column.name not in out]

    def _digest(self) -> str:
        """Of the model, where the very files that the commit names are at hand."""
        if not self.config.artifact:
            return ""
        named = integrity.named(self.pipeline, self.config.path(self.config.artifact), "model")
        return _model.sha256_here(self.run, named, self.pipeline) if named.digest else ""

    # -- what the model says -----------------------------------------------------------------------------------------

    def _answers(self, want: Wanted) -> Answers | None:
        """The predictions for data that the model was not fitted to: what is to be expected in production."""
        if not want.predictions:
            return None
        from mlgate.data import profiles  # noqa: PLC0415
        from mlgate.data.reading import sql  # noqa: PLC0415

        one = self.config.evaluate[want.evaluation]
        table = self._staged(self._open(want.predictions, Read()))
        types = {column.name: column.type for column in table.columns}
        said = one.predictions
        assert said is not None  # noqa: S101 -- what `want` was made of
        named = [said.class_, *([said.score] if isinstance(said.score, str) else (said.score or {}).values())]
        for name in filter(None, named):
            if name not in types:
                raise MlgateError(f"has no column {name!r}.", file=want.predictions, key=name, fix="Mend mlgate.yaml.")

        def value(role: str, name: str) -> profiles.Value:
            return profiles.Value(role, sql.name(name), types[name])

        prediction = value("prediction", said.class_) if said.class_ else None
        score = value("score", said.score) if isinstance(said.score, str) else None
        if prediction is None and isinstance(said.score, dict):
            prediction = _likeliest(said.score)
        elif prediction is None and score is not None and said.cut_off is not None:
            prediction = self._decided(one, str(said.score), str(said.cut_off))
        elif prediction is None and score is not None and self._is_number(one):
            # What is predicted is the number itself, and production logs it as such.
            prediction, score = value("prediction", str(said.score)), None
        return profiles.Answers(_ANSWERS, prediction, score)

    def _staged(self, table: Table) -> Table:
        """Read once: what a late value shows of its types is known from then on. Raises MlgateError."""
        import duckdb  # noqa: PLC0415

        from mlgate.data import reading  # noqa: PLC0415

        for _ in range(len(table.columns) + 3):
            try:
                self.con.execute(f"CREATE OR REPLACE TABLE {_ANSWERS} AS SELECT * FROM {table.relation}")  # noqa: S608
            except duckdb.Error as error:
                table = reading.recover(self.con, table, error)
            else:
                return table
        raise MlgateError("reads differently each time it is read.", file=table.shown)

    def _decided(self, one: EvaluationSet, score: str, cut_off: str) -> Any:
        """The class by the cut-off, spelled as the labels are; None where the other label is not known."""
        from mlgate.data import profiles  # noqa: PLC0415
        from mlgate.data.reading import sql  # noqa: PLC0415

        positive = one.columns.positive
        labels = [True, False] if positive is True else [1, 0] if positive in (None, 1) else self._labels(one)
        yes = positive if positive is not None else 1
        other = [label for label in labels if str(label) != str(yes)]
        if len(other) != 1:
            return None
        kinds = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}
        type_ = "VARCHAR" if isinstance(yes, str) else kinds.get(type(other[0]), "VARCHAR")
        names = [f"CAST({sql.text(str(label))} AS {type_})" for label in (yes, other[0])]
        column = sql.name(score)
        decided = f"CASE WHEN {column} >= {cut_off} THEN {names[0]} WHEN {column} IS NOT NULL THEN {names[1]} END"
        return profiles.Value("prediction", decided, type_)

    def _is_number(self, one: EvaluationSet) -> bool:
        """Whether what is predicted is a number, and no class."""
        if one.task is not None:
            return one.task == "regression"
        if one.columns.positive is not None or one.columns.query is not None:
            return False
        labels = self._labels(one)
        return len(labels) > 2 and all(isinstance(each, int | float) and not isinstance(each, bool) for each in labels)

    def _labels(self, one: EvaluationSet) -> list[Any]:
        """Different labels of the evaluation data, three at most; none where they are not at hand."""
        from mlgate.data.reading import sql  # noqa: PLC0415

        path = one.labels or one.data
        if path is None or one.columns.label is None:
            return []
        there = self.config.path(path)
        self._bring([there])
        table = self._open(there, self._read(there))
        if all(column.name != one.columns.label for column in table.columns):
            return []
        name = sql.name(one.columns.label)
        query = f"SELECT DISTINCT {name} FROM {table.relation} WHERE {name} IS NOT NULL ORDER BY 1 LIMIT 3"  # noqa: S608
        return [row[0] for row in self.con.execute(query).fetchall()]


def _time(want: Wanted, table: Table) -> str | None:
    """The column by which the data have days, which is no feature."""
    moments = {column.name for column in table.columns if column.kind in {"date", "timestamp"}}
    able = [name for name in want.times if name in moments and name not in (want.features or ())]
    return able[0] if able else None


def _likeliest(scores: dict[str, str]) -> Any:
    """The class with the highest score, as production says it."""
    from mlgate.data import profiles  # noqa: PLC0415
    from mlgate.data.reading import sql  # noqa: PLC0415

    columns = [sql.name(column) for column in scores.values()]
    best = f"greatest({', '.join(columns)})"
    cases = " ".join(
        f"WHEN {column} = {best} THEN {sql.text(str(label))}" for label, column in zip(scores, columns, strict=True)
    )
    return profiles.Value("prediction", f"CASE {cases} END", "VARCHAR")


def write(run: Run, path: str, text: str) -> bool:
    """Whether the file is another one than before. Whole or not at all. Raises MlgateError."""
    file = run.git.root / path
    if file.is_symlink() or not file.parent.resolve().is_relative_to(run.git.root.resolve()):
        raise MlgateError("is a symbolic link or leaves the repository; mlgate does not write there.", file=path)
    data = text.encode()
    temporary = ""
    try:
        if file.is_file() and file.read_bytes() == data:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        Path(temporary).chmod(0o644)
        os.replace(temporary, file)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise MlgateError(f"cannot be written ({error.strerror or error}).", file=path, fix="Make room.") from error
    return True
