"""What the keys of images, serving, registration and papers may not say together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from mlgate.config.vocabulary import Finding, Path

if TYPE_CHECKING:
    from mlgate.config.settings import Config

_REPOSITORY = re.compile(
    r"(?P<host>[a-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?:=[A-Za-z0-9.+~:-]+)?")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9]+)?")


def findings(config: Config) -> Iterator[Finding]:
    yield from _image(config)
    yield from _limits(config)
    yield from _serve(config)
    yield from _papers(config)


def _image(config: Config) -> Iterator[Finding]:
    image = config.image
    if image.builder == "dockerfile" and not image.dockerfile:
        yield ("image", "builder"), "is `dockerfile`, and none is named.", "Add `dockerfile: <path>`."
    if image.builder != "dockerfile" and image.dockerfile:
        yield ("image", "dockerfile"), "is used by `builder: dockerfile` only.", "Add that, or remove it."
    if image.name and not _REPOSITORY.fullmatch(image.name.lower()):
        fix = "Write it like `ghcr.io/acme/visits`: no tag, no digest; the verb adds them."
        yield ("image", "name"), f"is `{image.name}`, which names no repository of images.", fix
    if image.platform and not _PLATFORM.fullmatch(image.platform):
        yield ("image", "platform"), f"is `{image.platform}`, which is no platform.", "Write it like `linux/arm64`."
    for index, name in enumerate(image.packages):
        if not _PACKAGE.fullmatch(name):
            yield (
                ("image", "packages", index),
                f"is `{name}`, which cannot name a package.",
                "Write it like `libgomp1`.",
            )
    if image.skew.tolerance >= 1:
        yield ("image", "skew", "tolerance"), "is 1 or more: any score would do.", "Write a small number."


def _limits(config: Config) -> Iterator[Finding]:
    for key, limit in config.image.rules.items():
        at: Path = ("image", "rules", key)
        if limit.threshold is None and limit.warn_threshold is None:
            yield at, "has no limit, so it would check nothing.", "Add `threshold: <number>`, or remove it."
        if limit.threshold is not None and limit.threshold <= 0:
            yield (*at, "threshold"), "is not above 0, and nothing costs less.", "Write what is allowed."
        if limit.threshold is not None and limit.warn_threshold is not None:
            stricter = limit.warn_threshold - limit.threshold
            if (stricter if key == "throughput_rps" else -stricter) <= 0:
                yield (*at, "warn_threshold"), "would never warn: `threshold` comes first.", "Make it the stricter one."


def _serve(config: Config) -> Iterator[Finding]:
    serve = config.serve
    if serve.port > 65_535:
        yield ("serve", "port"), f"is {serve.port}, and ports end at 65535.", ""
    if serve.port < 1024:
        yield ("serve", "port"), f"is {serve.port}, which a user that is not root cannot open.", "Use 8080."
    if serve.workers > 64:
        yield ("serve", "workers"), f"is {serve.workers}; more than 64 in one container are not started.", ""
    for key in ("timeout_seconds", "max_body_mb"):
        if getattr(serve, key) <= 0:
            yield ("serve", key), "is 0, so that nothing would be answered.", "Write how much is allowed."
    if serve.max_body_mb > 1024:
        yield ("serve", "max_body_mb"), f"is {serve.max_body_mb:f}; at most 1024 are read.", ""
    for name in sorted(set(serve.log.features) & set(serve.log.hashed)):
        fix = "Name it in one of the two."
        yield ("serve", "log", "hashed"), f"names `{name}`, whose values `features` logs as they are.", fix
    if serve.log.to == "none" and (serve.log.features or serve.log.hashed):
        yield ("serve", "log", "to"), "is `none`, and columns to log are named.", "Write `stdout` or `file`."
    if serve.replay is not None and not Decimal(0) < serve.replay.sample <= 1:
        fix = "Write a share like `1%`, or remove the section."
        yield ("serve", "replay", "sample"), "must be above 0 and at most 1.", fix


def _papers(config: Config) -> Iterator[Finding]:
    papers = config.governance
    if papers.sla.availability is not None and not 0 < papers.sla.availability < 1:
        fix = "Write a share like `99.9%`: nothing is always there."
        yield ("governance", "sla", "availability"), "must be above 0 and below 1.", fix
    for words, key in ((papers.require, ("governance", "require")), (config.register_.to, ("register", "to"))):
        if len(set(words)) != len(words):
            yield key, "names the same thing twice.", "Name each once."
