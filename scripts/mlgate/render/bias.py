"""The bias report for people: the groups, what was measured in each, how far they lie apart, and what that proves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlgate.judge.bias import FOUR_FIFTHS, Bias, Group, Metric, Slice, Table, Value
from mlgate.model import Verdict
from mlgate.render import escape, layout, numbers

_MOST = 300  # rows of one table; the JSON has them all
_RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")
_HEADS = ("Selection rate", "True positive rate", "False positive rate", "Precision")
_WORST = {verdict.value: -verdict.rank for verdict in Verdict}


def markdown(bias: Bias) -> str:
    """The whole report. Whatever others wrote (names of models, columns and groups) cannot leave its cell."""
    parts = [
        f"# Bias report: {escape.text(bias.model)}",
        _against(bias),
        *_checks(bias),
        *(part for table in bias.tables for part in _table(table)),
        *_slices(bias.slices),
    ]
    if bias.notes:
        parts += ["## Not measured", "\n".join(f"- {escape.prose(note)}" for note in bias.notes)]
    return "\n\n".join([*parts, "## How to read this", _reading(bias)]) + "\n"


def _against(bias: Bias) -> str:
    own = f"Model of commit {escape.code(numbers.commit(bias.commit))}" if bias.commit else "This model"
    other = f"the champion of {escape.code(numbers.commit(bias.champion))}" if bias.champion else "no champion"
    return f"{own}, held against {other}."


def _checks(bias: Bias) -> list[str]:
    told = [one for one in bias.checks if one.verdict != Verdict.PASS]
    if not bias.checks:
        return ["No rule was judged."]
    kept = len(bias.checks) - len(told)
    said = f"{numbers.count(kept, 'check')} passed." if kept else ""
    if not told:
        return [said]
    lines = [
        (_verdict(one.verdict), escape.text(one.title), escape.prose(one.reason))
        for one in sorted(told, key=lambda one: _WORST[one.verdict])
    ]
    return ["## What was found", _rows(("", "Check", "Why"), lines, ":--"), *([said] if said else [])]


def _table(table: Table) -> Iterable[str]:
    of = f", {escape.text(table.set)}" if table.set else ""
    yield f"## By {escape.text(table.by)}{of}"
    compared = any(group.champion is not None for group in table.groups)
    how = " Rates: champion → this model." if compared else ""
    yield f"{numbers.count(table.rows, 'row')}; groups with fewer than {table.min_rows:,} are not judged.{how}"
    yield _rows(
        ("Group", "Rows", "Base rate", *_HEADS, "Judged"),
        [_group(group) for group in sorted(table.groups, key=lambda group: (-group.rows, group.name))],
        ":--",
    )
    heads = ("Metric", "Champion", "This model", "Lowest group", "Highest group", "Change", "Limits")
    yield _rows(heads, [_metric(metric) for metric in table.metrics], ":--")
    small = [(name, why, metric.name) for metric in table.metrics for name, why in metric.not_judged]
    if small:
        yield "Also not judged:"
        yield "\n".join(
            f"- {escape.text(name)} by {escape.code(metric)}: {escape.text(why)}" for name, why, metric in small[:_MOST]
        )


def _group(group: Group) -> tuple[str, ...]:
    rates = []
    for name in _RATES:
        own = getattr(group.challenger, name)
        other = getattr(group.champion, name) if group.champion else None
        rates.append(_number(own) if group.champion is None else f"{_number(other)} → {_number(own)}")
    said = f"no: {escape.text(group.not_judged)}" if group.not_judged else "yes"
    return (escape.text(group.name), f"{group.rows:,}", _number(group.base_rate), *rates, said)


def _metric(metric: Metric) -> tuple[str, ...]:
    own = metric.challenger
    limits = ", ".join(f"{escape.code(word)} {escape.text(value)}" for word, value in metric.limits.items())
    return (
        escape.code(metric.name),
        _value(metric.champion),
        _value(own) if own else f"not measured: {escape.text(metric.reason)}",
        escape.text(own.lowest) if own else "",
        escape.text(own.highest) if own else "",
        _change(metric.change),
        limits,
    )


def _slices(slices: Sequence[Slice]) -> list[str]:
    if not slices:
        return []
    ordered = sorted(slices, key=lambda one: _WORST[one.verdict])
    heads = ("", "Metric", "Group", "Champion", "This model", "Difference", "Allowed", "Rows")
    lines = [
        (
            _verdict(one.verdict),
            escape.code(f"{one.metric}{f' ({one.set})' if one.set else ''}"),
            escape.text(one.group),
            _number(one.champion),
            _number(one.challenger),
            _difference(one),
            escape.text(one.expected),
            "" if one.rows is None else f"{one.rows:,}",
        )
        for one in ordered[:_MOST]
    ]
    rest = len(ordered) - len(lines)
    more = [f"{numbers.count(rest, 'more line')}, all of them within the limits or less severe: see the JSON."]
    return ["## Slices", _rows(heads, lines, ":--"), *(more if rest else [])]


def _difference(one: Slice) -> str:
    if one.change is None:
        return ""
    if one.interval is None:
        return numbers.difference(one.change, relative=one.relative, decimals=0 if one.relative else 4)
    decimals = 0 if one.relative else 4
    return numbers.with_interval(one.change, one.interval, relative=one.relative, decimals=decimals)


def _reading(bias: Bias) -> str:
    confidence = numbers.percent(bias.confidence)
    return (
        f"Metrics are over the groups that are judged. In brackets: two bounds, each one-sided at {confidence}. The "
        "largest gap between many groups is large even by chance, so the bound on the side of less harm allows for all "
        "pairs of groups. A limit fails only where the rows prove that it is broken, among all slices and fairness "
        "metrics of the run (false discovery rate); where only the measured value breaks it, that is a warning. The "
        "bounds cover other rows of the same kind, not other training runs, and not what the labels themselves get "
        f"wrong.\n\n{FOUR_FIFTHS}"
    )


def _value(value: Value | None) -> str:
    return "" if value is None else f"{_number(value.value)} ({_number(value.lower)} to {_number(value.upper)})"


def _change(value: Value | None) -> str:
    return "" if value is None else numbers.with_interval(value.value, (value.lower, value.upper), decimals=3)


def _number(value: float | None) -> str:
    """Rates and gaps, all to three places: they are read below each other."""
    return "–" if value is None else f"{value:.3f}".replace("-", numbers.MINUS)


def _verdict(verdict: str) -> str:
    return f"{layout.SYMBOL[Verdict(verdict)]} {verdict}"


def _rows(heads: Sequence[str], lines: Sequence[Sequence[str]], align: str) -> str:
    shown = [heads, [align] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in shown)
