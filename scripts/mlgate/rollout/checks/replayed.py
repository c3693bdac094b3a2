"""What a shadow comes to: agreement with its interval, differences of scores, latency and errors. Pure.

A limit is met when its one-sided bound says so, and broken when the other bound does; between the two more requests are
needed. Rows of one request are not independent: a request counts for no more than one row, however many it has.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from mlgate.config.deploying import Replayed
from mlgate.image import costs, protocol, smoke
from mlgate.image.protocol import AnswerError, Answers
from mlgate.image.service import Answer
from mlgate.image.traffic import quantile
from mlgate.model import Check, Verdict
from mlgate.rollout.checks.nouns import check

TITLE = "answers real requests as the stable model does"
LEAST = 20  # requests below which nothing is decided
CONFIDENCE = 0.95
_MOST = 10_000_000  # what settles it is looked for up to here


@dataclass
class Pairs:
    """Both models over the same requests."""

    asked: int = 0
    left: int = 0  # the stable model gave no answer to hold the other against
    refused: int = 0  # by both, as the caller's mistake
    rows: list[int] = field(default_factory=list)  # of each request that both answered
    agreed: list[int] = field(default_factory=list)  # of these, with the same decision
    scores: list[float] = field(default_factory=list)  # differences, absolute, of each row that has some
    times: list[float] = field(default_factory=list)  # seconds, of the challenger
    before: list[float] = field(default_factory=list)  # seconds, of the stable model
    errors: Counter[str] = field(default_factory=Counter)  # of the challenger, where the stable model answered

    @property
    def compared(self) -> int:
        """Requests that the stable model answered: over these the challenger is judged."""
        return len(self.rows) + sum(self.errors.values())

    def add(self, stable: Answer | None, challenger: Answer | None) -> None:
        """The answers to one request; None: there was none."""
        self.asked += 1
        if stable is None or stable.status >= 500:
            self.left += 1
            return
        if stable.status >= 400:
            refused = challenger is not None and 400 <= challenger.status < 500
            if refused:
                self.refused += 1
            elif challenger is None or challenger.status >= 500:
                self.errors["no answer" if challenger is None else f"an answer of {challenger.status}"] += 1
            else:
                self.left += 1  # it answers what the other refuses: an addition
            return
        try:
            wanted = read(stable)
        except AnswerError:
            self.left += 1
            return
        if challenger is None:
            self.errors["no answer"] += 1
            return
        try:
            found = read(challenger)
            if len(found.prediction) != len(wanted.prediction):
                raise AnswerError(f"{len(found.prediction):,} predictions for {len(wanted.prediction):,}")
            if protocol.numberless(found.prediction) or protocol.numberless(found.probability or ()):
                raise AnswerError("null, NaN or an infinity")
        except AnswerError as error:
            bad = challenger.status != 200
            self.errors[f"an answer of {challenger.status}" if bad else str(error)] += 1
            return
        self.times.append(challenger.seconds)
        self.before.append(stable.seconds)
        self.rows.append(len(wanted.prediction))
        self.agreed.append(sum(smoke.near(a, b) for a, b in zip(wanted.prediction, found.prediction, strict=True)))
        self.scores += _apart(wanted, found)


def read(answer: Answer) -> Answers:
    """Of all three protocols that the server speaks. Raises AnswerError, without a word of what was answered."""
    if answer.status != 200:
        raise AnswerError(f"an answer of {answer.status}")
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise AnswerError("an answer that is no JSON") from None
    if isinstance(data, dict) and isinstance(data.get("outputs"), list):
        return _tensors(data["outputs"])
    try:
        return protocol.read(answer, None)
    except AnswerError:
        raise AnswerError("an answer without predictions") from None


def _tensors(outputs: Sequence[Any]) -> Answers:
    found = {one.get("name"): one.get("data") for one in outputs if isinstance(one, dict)}
    first = found.get("predict", found.get("prediction", next(iter(found.values()), None)))
    if not isinstance(first, list) or not first:
        raise AnswerError("an answer without predictions")
    other = next((found[name] for name in ("predict_proba", "probability") if isinstance(found.get(name), list)), None)
    if other is not None and len(other) % len(first) == 0:
        wide = len(other) // len(first)
        other = other if wide == 1 else [other[at : at + wide] for at in range(0, len(other), wide)]
        return Answers(first, other)
    return Answers(first)


def _apart(a: Answers, b: Answers) -> Iterator[float]:
    """How far the scores of each row are apart: probabilities, else predictions that are numbers."""
    both = (a.probability, b.probability)
    first, second = (both[0], both[1]) if both[0] is not None and both[1] is not None else (a.prediction, b.prediction)
    for x, y in zip(first, second, strict=False):
        xs, ys = (one if isinstance(one, list) else [one] for one in (x, y))
        numbers = len(xs) == len(ys) and all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in (*xs, *ys)
        )
        if numbers:
            yield max((abs(p - q) for p, q in zip(xs, ys, strict=True)), default=0.0)


def agreement(pairs: Pairs) -> tuple[float, float] | None:
    """The share of rows with the same decision, and of how many independent ones it is worth; None of none."""
    rows = sum(pairs.rows)
    if not rows:
        return None
    return sum(pairs.agreed) / rows, rows * rows / sum(one * one for one in pairs.rows)


def wilson(share: float, count: float, confidence: float) -> tuple[float, float]:
    """Wilson (1927), Journal of the American Statistical Association 22, 209-212; each bound with this confidence."""
    z = NormalDist().inv_cdf(confidence)
    wide = z * z / count
    centre = (share + wide / 2) / (1 + wide)
    half = z / (1 + wide) * math.sqrt(share * (1 - share) / count + wide / (4 * count))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def facts(pairs: Pairs) -> dict[str, str | float]:
    """For people."""
    found: dict[str, str | float] = {
        "shadow_requests": float(pairs.asked), "shadow_compared": float(pairs.compared),
        "shadow_rows": float(sum(pairs.rows)),
    }  # fmt: skip
    if (share := agreement(pairs)) is not None:
        found["shadow_agreement"] = round(share[0], 6)
    for name, values in (
        ("score_difference", pairs.scores),
        ("latency", pairs.times),
        ("stable_latency", pairs.before),
    ):
        ordered, times = sorted(values), 1 if name == "score_difference" else 1000
        for word, part in (("p50", 0.5), ("p95", 0.95)):
            value = quantile(ordered, part)
            if value is not None:
                found[f"shadow_{name}_{word}{'' if times == 1 else '_ms'}"] = round(value * times, 6)
    return found


# -- rules -------------------------------------------------------------------------------------------------------------


def judge(pairs: Pairs, limits: Replayed, left: Mapping[str, int] | None = None) -> Iterator[Check]:
    """`left`: lines of the log that were not replayed, and why."""
    few = _few(pairs, limits, left or {})
    yield few
    if few.verdict is not Verdict.PASS:
        if pairs.errors:
            yield _errors(pairs, float(limits.error_rate))
        return
    yield _errors(pairs, float(limits.error_rate))
    yield _agreement(pairs, None if limits.agreement is None else float(limits.agreement))
    if limits.score_difference is not None:
        yield _score(pairs, float(limits.score_difference))
    if limits.latency_p95 is not None:
        yield _latency(pairs, float(limits.latency_p95))


def _few(pairs: Pairs, limits: Replayed, left: Mapping[str, int]) -> Check:
    lost = sum(left.values())
    said = "; ".join(f"{count:,} times {why}" for why, count in sorted(left.items()))
    parts = [f"{lost:,} lines of the log were not replayed ({said})"] if lost else []
    parts += (
        [f"{pairs.left:,} requests the stable model itself did not answer, or only it refuses"] if pairs.left else []
    )
    parts += [f"{pairs.refused:,} both refuse"] if pairs.refused else []
    reason = "; ".join(parts)
    reason = f"{reason[:1].upper()}{reason[1:]}." if reason else ""
    verdict, least = Verdict.PASS, min(LEAST, limits.requests)
    if not pairs.asked:
        verdict = Verdict.INCONCLUSIVE
        reason = (
            f"The stable model's log has no request that could be answered again, so nothing is known. {reason} "
            "Switch it on with `serve.replay`, and wait until it was asked."
        )
    elif pairs.compared < least:
        verdict = Verdict.INCONCLUSIVE
        reason = f"{pairs.compared:,} requests are too few to decide: {least} are needed. {reason}"
    return check(
        "shadow.requests", TITLE, verdict, " ".join(reason.split()), rows=pairs.compared, observed=pairs.compared,
        expected=f"the latest {limits.requests:,} requests",
    )  # fmt: skip


def _errors(pairs: Pairs, limit: float) -> Check:
    wrong, count = sum(pairs.errors.values()), pairs.compared + pairs.refused
    share = wrong / count
    low, high = wilson(share, count, CONFIDENCE)
    verdict, reason = Verdict.PASS, ""
    if wrong:
        said = "; ".join(f"{why} ({times:,} times)" for why, times in pairs.errors.most_common(3))
        reason = f"{wrong:,} of {count:,} requests were not answered as requests: {said}."
    if share > limit:
        verdict = Verdict.FAIL
    return check(
        "shadow.error_rate", "answers what the stable model answers", verdict, reason, observed=round(share, 6),
        limit=limit, interval=(low, high), rows=count, unexpected=wrong or None, method="Wilson",
        expected=f"at most {limit:.3%} errors" if limit else "no error", greater_is_better=False,
    )  # fmt: skip


def _agreement(pairs: Pairs, limit: float | None) -> Check:
    found = agreement(pairs)
    title, word = "decides as the stable model does", "shadow.agreement"
    if found is None:
        reason = "No request was answered by both, so nothing is known of their agreement."
        return check(word, title, Verdict.INCONCLUSIVE, reason)
    share, count = found
    low, high = wilson(share, count, CONFIDENCE)
    verdict, reason, needed = Verdict.PASS, "", None
    if limit is not None and low < limit:
        reason = f"{share:.2%} of the decisions are the same; at least {limit:.2%} are wanted."
        if high < limit:
            verdict = Verdict.FAIL
        else:
            verdict, needed = Verdict.INCONCLUSIVE, _needed(share, limit)
            more = f"about {needed:,} requests like these" if needed else "more requests"
            reason = f"{reason} Not decided: the interval reaches from {low:.2%} to {high:.2%}; {more} would settle it."
    return check(
        word, title, verdict, reason, observed=round(share, 6), limit=limit, interval=(low, high),
        rows=sum(pairs.rows), needed=needed, method="Wilson", greater_is_better=True,
        expected="" if limit is None else f"at least {limit:.2%}",
    )  # fmt: skip


def _needed(share: float, limit: float) -> int | None:
    """Requests with which the bound would leave the limit on one side; None where there are too many."""
    if share == limit:
        return None
    count = 1
    while count <= _MOST:
        low, high = wilson(share, count, CONFIDENCE)
        if low >= limit or high < limit:
            return count
        count = math.ceil(count * 1.1)
    return None


def _score(pairs: Pairs, limit: float) -> Check:
    word, title = "shadow.score_difference", "95th percentile of the difference of scores"
    values = sorted(pairs.scores)
    if not values:
        reason = "Their answers have no scores that could be held against each other."
        return check(word, title, Verdict.INCONCLUSIVE, reason)
    return _quantile(word, title, values, limit, unit="", times=1.0)


def _latency(pairs: Pairs, limit: float) -> Check:
    word, title = "shadow.latency_p95", "latency_p95 over real requests"
    if not pairs.times:
        return check(word, title, Verdict.INCONCLUSIVE, "No request was answered by both.")
    found = _quantile(word, title, sorted(pairs.times), limit, unit=" ms", times=1000.0)
    return found.model_copy(update={"champion": round((quantile(sorted(pairs.before), 0.95) or 0.0) * 1000, 6)})


def _quantile(word: str, title: str, ordered: Sequence[float], limit: float, *, unit: str, times: float) -> Check:
    value = quantile(ordered, 0.95) or 0.0
    low, high = costs.interval(ordered, 0.95, CONFIDENCE)
    verdict, reason = Verdict.PASS, ""
    if len(ordered) < 60:
        high = math.inf  # the largest of so few says nothing of those above it
    if high > limit:
        reason = f"It is {value * times:.4g}{unit}; at most {limit * times:.4g}{unit} are allowed."
        verdict = Verdict.FAIL
        if low <= limit:
            verdict = Verdict.INCONCLUSIVE
            reason += " Not decided: more requests would settle it."
    return check(
        word, title, verdict, reason, observed=round(value * times, 6), limit=limit * times, rows=len(ordered),
        expected=f"at most {limit * times:.4g}{unit}", method="order of the values", greater_is_better=False,
        interval=None if math.isinf(high) else (low * times, high * times),
    )  # fmt: skip
