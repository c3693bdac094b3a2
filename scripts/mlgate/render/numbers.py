"""One way to show numbers: four significant digits, and always enough that different values never look equal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

MINUS = "\u2212"
THIN = "\u202f"  # narrow space that does not break: between a number and its unit

_DIGITS = 4
_HUGE = 1e308
_MOST_DIGITS = 17  # enough to tell any two floats apart
_HEX = re.compile(r"(?:[a-z0-9-]+:)?[0-9a-f]{32,}(?:\.dir)?", re.IGNORECASE)


def show(value: float) -> str:
    """A number on its own."""
    return together(value)[0]


def together(*values: float) -> list[str]:
    """Numbers that are read side by side: the same decimals, and as many as it takes to tell different ones apart."""
    different = len(set(values))
    texts: list[str] = []
    for digits in range(_DIGITS, _MOST_DIGITS + 1):
        texts = _at(values, digits)
        if len(set(texts)) == different:
            break
    return texts


def bound(limit: float, *, at_least: bool, beside: Iterable[float] = ()) -> str:
    """A limit as advice: rounded so that who meets the shown number also meets the real one."""
    exact = float(f"{limit:.12g}")  # 0.7000000000000001 is 0.7 to everyone
    others = [value for value in beside if value != limit]
    shown = ""
    for digits in range(_DIGITS, _MOST_DIGITS + 1):
        shown = _at([exact, *others], digits)[0]
        value = parse(shown)
        if value < exact if at_least else value > exact:
            if "e" in shown:
                continue
            places = max(0, digits - 1 - math.floor(math.log10(abs(exact))))
            side = ROUND_CEILING if at_least else ROUND_FLOOR
            shown = _fixed(float(Decimal(repr(exact)).quantize(Decimal(1).scaleb(-places), side)), places)
        if shown not in _at(others, digits):
            break
    return shown


def difference(change: float, *, relative: bool = False, decimals: int = 0, beside: Iterable[float] = ()) -> str:
    """A signed difference: `+3.1 %` when relative, else `decimals` or more; never the text of one `beside` it."""
    return _difference(change, relative=relative, decimals=decimals, beside=beside)[0]


def with_interval(
    change: float,
    interval: tuple[float, float],
    *,
    relative: bool = False,
    decimals: int = 0,
    beside: Iterable[float] = (),
) -> str:
    """`+3.1 % (+2.4 to +3.8)`."""
    shown, places = _difference(change, relative=relative, decimals=decimals, beside=beside)
    scale = 100.0 if relative else 1.0
    low, high = (_signed(_clamped(edge * scale), places) for edge in interval)
    return f"{shown} ({low} to {high})"


def fixed(value: float, decimals: int) -> str:
    """A number with that many digits after the point, or more where they would all be zero."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return _fixed(value, max(decimals, -size)) if -8 <= size < 15 else _scientific(value, _DIGITS)


def decimals_of(texts: Iterable[str]) -> int:
    """The most digits after the point in these shown numbers."""
    return max((len(t.partition(".")[2]) for t in texts if "e" not in t), default=0)


def percent(fraction: float) -> str:
    """A share of something, without a sign: `61 %`."""
    value = fraction * 100
    return f"{_fixed(value, 0 if abs(value) >= 10 or value == 0 else 1)}{THIN}%"


def points(value: float) -> str:
    """What is in percent already: `5 %`, `33.3 %`."""
    shown = _fixed(value, 1)
    return f"{shown.removesuffix('.0')}{THIN}%"


def count(n: int, one: str, many: str = "") -> str:
    """`1 row`, `6,057 rows`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def age(then: str, now: str) -> str:
    """How long ago, in one unit: `3 days`; "" when either time is missing or not ISO 8601."""
    try:
        seconds = (_time(now) - _time(then)).total_seconds()
    except (ValueError, TypeError):
        return ""
    if seconds < 60:
        return "just now"
    for limit, size, unit in (
        (5400, 60, "minute"),
        (129_600, 3600, "hour"),
        (1_814_400, 86_400, "day"),
        (7_776_000, 604_800, "week"),
        (63_072_000, 2_629_800, "month"),
    ):
        if seconds < limit:
            return count(max(1, int(seconds // size)), unit)
    return count(int(seconds // 31_557_600), "year")


def commit(sha: str) -> str:
    """A commit id as people read it."""
    return sha[:7] if re.fullmatch(r"[0-9a-f]{8,64}", sha) else sha


def digest(digests: Mapping[str, str]) -> str:
    """The first eight digits of the strongest digest there is; "" when there is none."""
    name = "sha256" if "sha256" in digests else min(digests, default="")
    return short(digests[name]) if name else ""


def short(value: str) -> str:
    """A long hexadecimal digest cut for reading; anything else as it is."""
    return f"{value.rpartition(':')[2][:8]}…" if _HEX.fullmatch(value) else value


def both_short(before: str, after: str) -> tuple[str, str]:
    """Two values side by side, digests cut unless that would make them look equal."""
    cut = short(before), short(after)
    return (before, after) if before != after and cut[0] == cut[1] else cut


def parse(shown: str) -> float:
    """The number that a text made here stands for."""
    return float(shown.replace(",", "").replace(MINUS, "-").replace("+", ""))


def _at(values: Iterable[float], digits: int) -> list[str]:
    numbers = list(values)
    sizes = [abs(v) for v in numbers if v]
    if sizes and (max(sizes) >= 1e15 or min(sizes) < 1e-4):
        return [_scientific(v, digits) if v and not 1e-4 <= abs(v) < 1e15 else _alone(v, digits) for v in numbers]
    if sizes and max(sizes) / min(sizes) >= 1e3:
        return [_alone(v, digits) for v in numbers]
    decimals = max((_decimals(v, digits) for v in numbers), default=0)
    return [_fixed(v, decimals) for v in numbers]


def _alone(value: float, digits: int) -> str:
    return _fixed(value, _decimals(value, digits))


def _decimals(value: float, digits: int) -> int:
    """Digits after the point that `digits` significant ones need, trailing zeros left out."""
    if value == int(value):
        return 0
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return len(f"{value:.{places}f}".partition(".")[2].rstrip("0"))


def _fixed(value: float, decimals: int) -> str:
    shown = f"{value:,.{decimals}f}"
    if not shown.strip("-0.,"):
        shown = shown.removeprefix("-")  # no negative zero
    return shown.replace("-", MINUS)


def _scientific(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}".replace("-", MINUS)


def _signed(value: float, decimals: int) -> str:
    size = math.floor(math.log10(abs(value))) if value else 0
    far = size < -8 or size >= 15
    shown = _scientific(value, max(2, decimals + size + 1 if size < 0 else 4)) if far else _fixed(value, decimals)
    return f"+{shown}" if value > 0 and shown.strip("0.,") else shown


def _difference(change: float, *, relative: bool, decimals: int, beside: Iterable[float]) -> tuple[str, int]:
    scale, unit = (100.0, f"{THIN}%") if relative else (1.0, "")
    value = _clamped(change * scale)
    others = [_clamped(o * scale) for o in beside if not math.isclose(o, change, rel_tol=1e-9, abs_tol=1e-15)]
    if value == 0:
        return f"0{unit}", decimals
    size = math.floor(math.log10(abs(value)))
    places = max(decimals, 1 - min(size, 0) - (size > 1)) if relative else max(decimals, 0 if size > 0 else -size)
    shown = _signed(value, places)
    while places < _MOST_DIGITS and any(shown == _signed(o, places) for o in others):
        places += 1
        shown = _signed(value, places)
    return shown + unit, places


def _clamped(value: float) -> float:
    """Products and quotients of floats can be infinite; nothing that is shown is."""
    return max(-_HUGE, min(_HUGE, value))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
