"""Rows of the evaluation data that a side was trained on: an error for the challenger, and out for the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from mlgate.commands._gather import Gathered
from mlgate.commands._preparing import WHO, Work
from mlgate.errors import MlgateError
from mlgate.judge import made
from mlgate.judge.made import Side
from mlgate.model import Example, Verdict
from mlgate.train import overlap
from mlgate.train.overlap import Overlap

if TYPE_CHECKING:
    from mlgate.data.reading import Table
    from mlgate.train.ready import Judged

_Found = TypeVar("_Found")


def check(work: Work, files: Gathered) -> None:
    """Every evaluation set against the training data of every side. No project code has run yet."""
    for name, sides in work.sets.items():
        if not sides["challenger"].evaluated.data:
            continue
        queries = [
            query
            for side in ("challenger", *work.others())
            if side in sides
            for query in _side(work, files, name, side)
        ]
        if queries:
            to = made.exclude(work.model, name)
            answered(lambda queries=queries, to=to: overlap.write(work.project.connect(), queries, work.new(to)))  # type: ignore[misc]
            work.keep(to, f"rows of {name} to leave out")


def _side(work: Work, files: Gathered, name: str, side: Side) -> list[str]:
    """The query for the rows that leave; none where there are none, or where they cannot be told."""
    mine, project = work.sets[name]["challenger"], work.projects[side]
    by, data, id_ = work.apart(name), mine.evaluated.data, mine.one.columns.id
    try:
        if not by:
            raise MlgateError(f"neither evaluate.{name}.columns.id nor data[].apart_by says what tells rows apart.")
        if not project.own.train.data:
            raise MlgateError(f"train.data is not set in {project.own.file} at {project.commit[:7]}.")
        training = project.own.path(project.own.train.data)
        evaluation = table(work, files, "challenger", data, mine)
        trained = table(work, files, side, training, work.sets[name][side])
        for one, shown in ((evaluation, data), (trained, training)):
            if lacks := overlap.lacking(one, by):
                raise MlgateError(f"{shown} has no column {lacks[0]!r} to tell rows apart by.")
        found = answered(lambda: overlap.find(work.project.connect(), evaluation, trained, by, id_))
    except (MlgateError, OSError) as error:
        _unknown(work, name, side, error)
        return []
    _say(work, (name, side), found, by, (data, training))
    leave = side != "challenger" and work.differs(name, side)
    if not found.rows or not leave or not id_ or overlap.lacking(evaluation, [id_]):
        return []
    return [overlap.listed(evaluation, trained, by, id_, side)]


def _say(work: Work, whose: tuple[str, Side], found: Overlap, by: Sequence[str], files: tuple[str, str]) -> None:
    (name, side), (data, training) = whose, files
    what = f"overlap.{name}.{side}"
    if not found.rows:
        title = f"no row of {data} is training data of {WHO[side]}"
        work.check(what, title, Verdict.PASS, group="integrity", rows=found.of)
        return
    shared = f"{found.rows:,} of {found.of:,} rows of {data} are in {training}, too, by {', '.join(by)}"
    if side == "challenger":
        fix = "If these are other rows, name what tells them apart in data[].apart_by."
        column = work.sets[name]["challenger"].one.columns.id or by[0]
        some = tuple(Example(values={column: one}) for one in found.examples)
        work.check(
            what, "training rows in evaluation data", Verdict.ERROR, f"{shared}: the metrics measure memory. {fix}",
            group="integrity", file=data, rows=found.of, examples=some,
        )  # fmt: skip
        return
    work.facts[f"{name}: training rows of {WHO[side]}"] = float(found.rows)
    title = f"rows that {WHO[side]} was trained on"
    if work.differs(name, side):
        work.check(what, title, Verdict.PASS, f"{shared}: they leave all sides.", group="integrity", rows=found.of)
        return
    reason = f"{shared}. They stay, since it was measured on them when it was committed: it looks better than it is."
    work.check(what, title, Verdict.WARN, reason, group="integrity", file=data, rows=found.of)


def _unknown(work: Work, name: str, side: Side, error: Exception) -> None:
    said = f"Whether {WHO[side]} was trained on rows of {name}: {error}"
    work.not_run.append(said)
    if (name, side) in work.to_rescore:
        reason = (
            f"{said} Scored on rows that it may have learnt, it would look better than it is. "
            "Set train.data and the columns that tell rows apart, and let this job read the training data."
        )
        work.check(f"overlap.{name}.{side}", "overlap", Verdict.INCONCLUSIVE, reason, group="integrity")


def table(work: Work, files: Gathered, side: Side, path: str, judged: Judged) -> Table:
    """A data file of a side. Raises MlgateError."""
    there = files.have(side, path)
    from mlgate.data import reading  # noqa: PLC0415 -- needs DuckDB

    con = work.project.connect()
    found = reading.open_table(con, reading.resolve(there.parent, there.name), path, judged.read(path))
    if not found.settled:  # the types of text files are settled by reading them once
        names = ", ".join(f"count({reading.sql.name(column.name)})" for column in found.columns)
        found = _settled(work, found, names)
    return found


def _settled(work: Work, found: Table, asked: str) -> Table:
    import duckdb  # noqa: PLC0415 -- `con` brought it

    from mlgate.data import reading  # noqa: PLC0415

    con = work.project.connect()
    try:
        con.execute(f"SELECT {asked} FROM {found.relation}").fetchall()  # noqa: S608 -- names are quoted
    except duckdb.Error as error:
        return reading.recover(con, found, error)
    return found


def answered(ask: Callable[[], _Found]) -> _Found:
    """What DuckDB answers. Raises MlgateError with its first line."""
    import duckdb  # noqa: PLC0415 -- its caller has a connection

    try:
        return ask()
    except duckdb.Error as error:
        raise MlgateError(f"{str(error).splitlines()[0][:200].rstrip('.')}.") from error
