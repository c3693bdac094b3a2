"""What the user's commands print, read strictly: a word that is misspelt must not look like a healthy model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, TypeAdapter
from pydantic import ValidationError as Invalid

from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Slot, Tally
from mlgate.rollout.targets import TargetError

_MOST_WEIGHT = 100.0
_FIX = "See docs/targets.md for what it has to print."


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


def _number(value: Any) -> Any:
    """Numbers of Python's JSON come as they are; `true` is none."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


Number = Annotated[float, BeforeValidator(_number)]


class Stood(_Closed):
    """One slot of `status`. `ready`: whether it answers, or how many of its replicas do."""

    slot: str = Field(min_length=1)
    image: str = ""
    ready: bool | NonNegativeInt
    replicas: NonNegativeInt | None = None
    weight: Annotated[NonNegativeFloat, BeforeValidator(_number)] = Field(le=_MOST_WEIGHT)
    url: str = ""

    def plain(self) -> Slot:
        ready = int(self.ready)
        replicas = max(1, ready) if self.replicas is None else self.replicas
        return Slot(self.slot, self.image, replicas, ready, self.weight)


class Did(_Closed):
    """One slot of `observe`. `times` in seconds, of each answer or as [seconds, how many]; `scores` alike."""

    requests: NonNegativeInt
    errors: NonNegativeInt
    times: list[Number | tuple[Number, NonNegativeInt]] = []
    scores: list[Number | str | tuple[Number | str, NonNegativeInt]] | None = None
    units: NonNegativeInt | None = None
    bad_units: NonNegativeInt | None = None
    refused: NonNegativeInt = 0


@dataclass(frozen=True)
class Told:
    """`why`: what the command says that its numbers leave out; empty for nothing."""

    tallies: Mapping[str, Tally]
    why: str = ""


_STATUS = TypeAdapter(list[Stood])
_DID = TypeAdapter(dict[str, Did])


def status(text: str, key: str) -> list[Stood]:
    """Raises TargetError, for a slot that is named twice too."""
    found: list[Stood] = _parsed(_STATUS, _json(text, key, list), key)
    names = [one.slot for one in found]
    if len(set(names)) < len(names):
        raise TargetError("names a slot twice.", key=key)
    for one in found:
        if one.replicas is not None and int(one.ready) > one.replicas:
            raise TargetError(f"says that more replicas of {one.slot} are ready than there are.", key=key)
    return found


def observed(text: str, slots: Sequence[str], key: str) -> Told:
    """Raises TargetError. A slot that is not named is one of which nothing is known: `why` says so."""
    data = _json(text, key, dict)
    why = data.pop("why", "")
    if not isinstance(why, str):
        raise TargetError("gives a `why` that is no text.", key=key)
    found: dict[str, Did] = _parsed(_DID, data, key)
    for slot, one in found.items():
        _consistent(slot, one, key)
    missing = [slot for slot in slots if slot not in found]
    if missing and not why:
        why = f"`observe` says nothing of {', '.join(missing)}"
    return Told({slot: _tally(found[slot]) for slot in slots if slot in found}, why)


def _consistent(slot: str, one: Did, key: str) -> None:
    problems = {
        "more errors than requests": one.errors > one.requests,
        "more refused than requests": one.refused > one.requests,
        "more times than requests": sum(many for _, many in map(_pair, one.times)) > one.requests,
        "a time below 0": any(seconds < 0 for seconds, _ in map(_pair, one.times)),
        "units without bad_units, or the other way round": (one.units is None) != (one.bad_units is None),
        "more bad_units than units": (one.bad_units or 0) > (one.units or 0),
    }
    for what, wrong in problems.items():
        if wrong:
            raise TargetError(f"says of {slot}: {what}.", key=key)


def _tally(one: Did) -> Tally:
    scores = None if one.scores is None else _histogram([(bins.score(value), n) for value, n in map(_pair, one.scores)])
    times = _histogram([(bins.latency(seconds), n) for seconds, n in map(_pair, one.times)])
    return Tally(one.requests, one.errors, times, scores, one.units, one.bad_units, one.refused)


def _pair(value: Any) -> tuple[Any, int]:
    return value if isinstance(value, tuple) else (value, 1)


def _histogram(found: Sequence[tuple[int | None, int]]) -> Histogram:
    counts: dict[int, int] = {}
    for bin_, many in found:
        if bin_ is not None and many:
            counts[bin_] = counts.get(bin_, 0) + many
    return Histogram(counts)


def _json(text: str, key: str, kind: type) -> Any:
    try:
        found = json.loads(text, parse_constant=_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise TargetError(f"printed no JSON ({error}).", key=key, fix=_FIX) from None
    if not isinstance(found, kind):
        shape = "a list" if kind is list else "an object"
        raise TargetError(f"has to print {shape} of JSON.", key=key, fix=_FIX)
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _parsed(adapter: TypeAdapter[Any], data: Any, key: str) -> Any:
    try:
        # As JSON, where a list may stand for a pair.
        return adapter.validate_json(json.dumps(data), strict=True)
    except Invalid as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = f"printed {where or 'something'} as it must not be: {first['msg'].lower()}."
        raise TargetError(said, key=key, fix=_FIX) from None
