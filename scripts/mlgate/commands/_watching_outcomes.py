"""What a window's predictions turned out to be: truth read and joined, and the sections that need answers as arrays."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from mlgate.commands import _watching_model
from mlgate.commands._watching_model import There
from mlgate.errors import MlgateError
from mlgate.model import Check, Location, Verdict
from mlgate.watch.changed import Labels
from mlgate.watch.nouns import Kind, Measure, Section, Window

if TYPE_CHECKING:
    from mlgate.commands._watching_window import Reader, Seen
    from mlgate.watch import fair
    from mlgate.watch.answered import Answered, How
    from mlgate.watch.logs import Logged
    from mlgate.watch.truth import Joined


_MOST = 100  # different labels from which on they are no classes


@dataclass(frozen=True)
class Outcomes:
    """Of one reader's model and environment."""

    reader: Reader

    @cached_property
    def _way(self) -> How:
        """What is predicted: as the evaluation set says."""
        from mlgate.watch import answered  # noqa: PLC0415

        chosen = _watching_model.evaluation(self.reader.config)
        if chosen is None:
            raise MlgateError(
                f"there are {len(self.reader.config.evaluate)} evaluation sets, and nothing says which one this is.",
                file=self.reader.config.file, key="monitor.performance.evaluation", fix="Name one of them.",
            )  # fmt: skip
        rules = self.reader.monitor.performance.rules if self.reader.monitor.performance else {}
        return answered.how(chosen[1], self.reader.monitor.truth, rules)

    def _joined(self, window: Window, there: There, seen: Seen, *, grouped: bool = False) -> tuple[Joined, Answered]:
        """The predictions of a window with their truth. `grouped`: with the groups of fairness, of which those with
        edges leave out rows; performance is of all rows."""
        from mlgate.watch import answered, truth  # noqa: PLC0415
        from mlgate.watch.logs import open_source  # noqa: PLC0415

        settings = self.reader.monitor.truth
        assert settings is not None  # noqa: S101 -- asked of mlgate.yaml when it was read
        logged = self.reader.opened(window, there)
        wanted = [settings.request_id, settings.label, *filter(None, (settings.row, settings.time))]
        known = Window(window.since, max(window.until, _second(self.reader.now)))
        told = open_source(
            self.reader.con, settings, known, root=self.reader.folder, environ=os.environ, wanted=wanted,
            key="monitor.truth", say=self.reader.say, name="truth",
        )  # fmt: skip
        by = self._groups if grouped else []
        joined = truth.join(
            self.reader.con, logged, told.relation, settings, window=window, now=self.reader.now,
            features=[name for group in by for name in group],
        )  # fmt: skip
        fairness = self.reader.monitor.fairness
        edges = {key: [float(edge) for edge in some] for key, some in (fairness.edges if fairness else {}).items()}
        found = answered.read(
            self.reader.con, joined.relation, self._way, label="label", by=by, edges=edges, features=joined.features
        )
        seen.facts |= {f"truth: {name}": many for name, many in joined.counts.items() if many}
        seen.notes += found.notes
        return joined, found

    @property
    def _groups(self) -> list[tuple[str, ...]]:
        from mlgate.watch import fair  # noqa: PLC0415

        return fair.columns(self.reader.monitor.fairness) if self.reader.monitor.fairness else []

    def performance(self, window: Window, seen: Seen) -> Section:
        from mlgate.watch import performance, truth  # noqa: PLC0415

        settings, told = self.reader.monitor.performance, self.reader.monitor.truth
        assert settings is not None and told is not None  # noqa: S101, PT018 -- as above
        due = seen.windows["performance"] = truth.due(window, told)
        there = self.reader.then(due.until)  # what answered then: another model may have come since
        joined, found = self._joined(due, there, seen)
        seen.labels = self._labels(joined)
        setting = performance.Setting(
            baseline=_watching_model.baseline(self.reader.config, there),
            confidence=float(self.reader.config.compare.confidence),
            said=f"the metrics of {there.snapshot.commit[:7]}",
            version=there.version,
            locate=lambda key: self.reader.at(f"monitor.performance.rules.{key}"),
        )
        made = performance.section(found, joined, settings, setting)
        return replace(made, facts={**made.facts, **self._so_far(truth.waiting(window, told))})

    def _labels(self, joined: Joined) -> Labels | None:
        """The classes that the profile's predictions have, and those that truth had; None where they are not classes,
        or are spelled in another way."""
        profile = self.reader.profile
        known = profile.prediction.values if profile is not None and profile.prediction is not None else {}
        query = f"SELECT DISTINCT CAST(label AS VARCHAR) FROM {joined.relation} WHERE label IS NOT NULL LIMIT {_MOST}"  # noqa: S608 -- made by mlgate
        told = [str(row[0]) for row in self.reader.con.execute(query).fetchall()]
        found = Labels(frozenset(map(_class, known)), frozenset(map(_class, told)))
        return found if len(told) < _MOST and set(found.before) & set(found.now) else None

    def _so_far(self, waiting: Window) -> dict[str, str]:
        """Of windows whose truth is still coming: shown, and nothing hangs on it."""
        from mlgate.watch import performance  # noqa: PLC0415

        settings = self.reader.monitor.performance
        assert settings is not None  # noqa: S101 -- as above
        if waiting.since >= waiting.until:
            return {}
        try:
            joined, young = self._joined(waiting, self.reader.there, self.reader.apart(waiting))
        except MlgateError as error:
            return {"so far": str(error)}
        return performance.provisional(young, settings) if joined.known else {}

    def estimated(self, logged: Logged | None) -> Section | None:
        from mlgate.watch import answered, estimated, truth  # noqa: PLC0415

        if logged is None or logged.empty:
            return None
        found = answered.read(
            self.reader.con, truth.served(logged.relation), self._way,
            prediction=logged.prediction, score=logged.score, label=None,
        )  # fmt: skip
        rules = self.reader.monitor.performance.rules if self.reader.monitor.performance else {}
        return estimated.section(found, [rule.is_ or key for key, rule in rules.items()])

    def fairness_of_decisions(self, logged: Logged | None) -> Section | None:
        from mlgate.watch import answered, fair, truth  # noqa: PLC0415

        assert self.reader.monitor.fairness is not None  # noqa: S101 -- as above
        settings, _ = fair.parts(self.reader.monitor.fairness)
        if settings is None:
            return None
        if logged is None or logged.empty:
            return unread("fairness", "There are no rows." if logged is not None else "The logs could not be read.")
        edges = {key: [float(edge) for edge in some] for key, some in settings.edges.items()}
        found = answered.read(
            self.reader.con, truth.served(logged.relation), self._way, prediction=logged.prediction, score=logged.score,
            label=None, by=self._groups, edges=edges, features=logged.features,
        )  # fmt: skip
        return fair.section(found, settings, self._fair())

    def fairness_of_outcomes(self, window: Window, seen: Seen) -> Section | None:
        from mlgate.watch import fair, truth  # noqa: PLC0415

        assert self.reader.monitor.fairness is not None  # noqa: S101 -- as above
        _, settings = fair.parts(self.reader.monitor.fairness)
        if settings is None or self.reader.monitor.truth is None:
            return None
        due = truth.due(window, self.reader.monitor.truth)
        _, found = self._joined(due, self.reader.then(due.until), self.reader.apart(due), grouped=True)
        seen.facts["window of fairness with truth"] = str(due)
        return fair.section(found, settings, self._fair())

    def _fair(self) -> fair.Setting:
        from mlgate.watch import fair  # noqa: PLC0415

        return fair.Setting(
            confidence=float(self.reader.config.compare.confidence),
            locate=lambda key: self.reader.at(f"monitor.fairness.rules.{key}"),
        )


def _class(text: str) -> str:
    """`1` for 1.0, so that a class is one whatever type it was logged as."""
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def unread(kind: Kind, why: str) -> Section:
    """A section of which nothing could be measured."""
    measure = Measure(kind, kind, "unknown", reason=why)
    return Section(kind, "unknown", (measure,), (check(kind, kind, Verdict.INCONCLUSIVE, why, None),))


def check(
    what: str, title: str, verdict: Verdict, reason: str, at: Location | None, *, observed: float | None = None
) -> Check:
    return Check(
        id=f"watch.{what}", group="watch", title=title, verdict=verdict, reason=reason, observed=observed,
        location=at if at and at.file else None,
    )  # fmt: skip
