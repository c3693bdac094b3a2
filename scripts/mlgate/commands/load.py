"""`mlgate load`: requests to a server, and how fast and how well it answered."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlgate.commands import _options
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    _Type = click.ParamType[Decimal]  # which older ones do not take at run time
    from mlgate.config.deploying import LoadTest
    from mlgate.image.traffic import Pressure
else:
    _Type = click.ParamType

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class _Value(_Type):
    """As mlgate.yaml writes it: a length of time, a share, an amount."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 -- `--help` does without

        from mlgate.config import values  # noqa: PLC0415

        of: dict[str, Any] = {"TIME": values.Span, "SHARE": values.Share, "NUMBER": values.Amount}
        given: Any = value
        if self.name == "NUMBER" and isinstance(value, str):
            given = _number(value)
        elif value == "0":
            given = 0
        elif self.name == "SHARE" and isinstance(value, str) and not value.strip().endswith("%"):
            given = _number(value)
        try:
            found: Decimal = TypeAdapter(of[self.name]).validate_python(given)
        except ValidationError as error:
            self.fail(f"{value!r} {error.errors()[0]['msg']}", param, ctx)
        return found


def _number(text: str) -> Any:
    try:
        return Decimal(text)
    except ArithmeticError:
        return text


TIME, SHARE, NUMBER = _Value("TIME"), _Value("SHARE"), _Value("NUMBER")


def _limit(name: str, kind: _Value, said: str) -> Callable[..., Any]:
    return click.option(f"--{name}", type=kind, envvar=f"MLGATE_{name.upper().replace('-', '_')}", help=said)


@click.command("load")
@click.argument("url")
@click.option("--rate", type=NUMBER, envvar="MLGATE_RATE", help="Requests per second, each when it is due. Or:")
@click.option(
    "--connections", type=click.IntRange(1, 1000), envvar="MLGATE_CONNECTIONS",
    help="Callers at once, who each wait for their answer. Default: 8.",
)  # fmt: skip
@click.option(
    "--duration",
    type=TIME,
    envvar="MLGATE_DURATION",
    default="30 s",
    show_default=True,
    help="How long, as `2 minutes`.",
)
@click.option(
    "--timeout", type=TIME, envvar="MLGATE_TIMEOUT", default="10 s", show_default=True, help="Patience for one answer."
)
@click.option("--method", type=click.Choice(_METHODS), help="Default: POST with a body, else GET.")
@click.option(
    "--body", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="What is sent. Default: for an address without a path, rows to predict.",
)  # fmt: skip
@click.option(
    "--header", "headers", multiple=True, metavar="NAME: VALUE",
    help="A header; can be repeated. A value like $TOKEN is read from that variable: no list of processes shows it.",
)  # fmt: skip
@_limit("latency-p50", TIME, "The slowest median allowed, as `20 ms`.")
@_limit("latency-p95", TIME, "The slowest 95th percentile allowed.")
@_limit("latency-p99", TIME, "The slowest 99th percentile allowed.")
@_limit("throughput-rps", NUMBER, "The fewest answers per second allowed.")
@_limit("error-rate", SHARE, "The largest share of errors allowed, as `0.1%`. Default: none.")
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as JSON.")
@click.option(
    "--environment", envvar="MLGATE_ENVIRONMENT", default="", metavar="NAME",
    help="The environment of mlgate.yaml whose `checks.load` holds. Default: none, and no mlgate.yaml is read.",
)  # fmt: skip
@_options.common
def command(  # noqa: PLR0917 -- click gives them by name
    url: str, rate: Decimal | None, connections: int | None, duration: Decimal, timeout: Decimal, method: str | None,
    body: Path | None, headers: tuple[str, ...], latency_p50: Decimal | None, latency_p95: Decimal | None,
    latency_p99: Decimal | None, throughput_rps: Decimal | None, error_rate: Decimal | None, as_json: bool,
    environment: str, config: str, working_directory: str, summary: bool, debug: bool,
) -> int:  # fmt: skip
    """Send requests to URL, and say how fast and how well it answered.

    With --environment, `checks.load` of that environment in mlgate.yaml says how much is asked and what has to hold,
    where no option does; and evidence is left.
    """
    from mlgate.commands import _loading  # noqa: PLC0415 -- typed settings are behind it
    from mlgate.config.deploying import LoadTest  # noqa: PLC0415
    from mlgate.image import traffic  # noqa: PLC0415
    from mlgate.model import worst  # noqa: PLC0415
    from mlgate.rollout.checks import load  # noqa: PLC0415

    traffic.address(url)
    run, read, known = _environment(environment, config, working_directory, summary=summary)
    asked: dict[str, Any] = {
        "latency_p50": latency_p50, "latency_p95": latency_p95, "latency_p99": latency_p99,
        "throughput_rps": throughput_rps, "error_rate": error_rate,
    }  # fmt: skip
    limits = (known or LoadTest()).model_copy(update={name: v for name, v in asked.items() if v is not None})
    pressure = _pressure(rate, connections, duration, timeout, known)
    seen = traffic.press(url, _loading.requests(url, method, body, headers, float(timeout)), pressure)
    checks = list(load.judge(seen, limits))
    if as_json:
        said = _loading.said(url, seen, checks)
        sys.stdout.write(json.dumps(said, indent=2, sort_keys=True, allow_nan=False) + "\n")
    if run is not None and read is not None:
        return _loading.finish(run, _loading.evidence(read, environment, seen, checks), quiet=as_json)
    if not as_json:
        click.echo(_loading.told(url, seen, checks))
    return worst(one.verdict for one in checks).exit_code


def _environment(name: str, config: str, working_directory: str, *, summary: bool) -> tuple[Any, Any, LoadTest | None]:
    """The run, the configuration and its limits; None without --environment."""
    if not name:
        return None, None, None
    from mlgate.commands._run import Run, Unloadable  # noqa: PLC0415

    run = Run.start(config, working_directory, summary=summary)
    files = run.config_files()
    if len(files) != 1:
        if not files:
            raise run.no_config()
        raise MlgateError(
            f"{len(files)} models are configured here, and one address has one.", fix=f"--config {files[0]}"
        )
    read = run.load(files[0])
    if isinstance(read, Unloadable):
        raise read.error
    found = read.deploy.environments.get(name)
    if found is None:
        there = ", ".join(read.deploy.environments) or "none"
        raise MlgateError(
            f"has no environment {name!r}.", file=read.file, key="deploy.environments", fix=f"It has: {there}."
        )
    return run, read, found.checks.load


def _pressure(
    rate: Decimal | None, connections: int | None, duration: Decimal, timeout: Decimal, known: LoadTest | None
) -> Pressure:
    from mlgate.image.traffic import Pressure  # noqa: PLC0415

    if rate is not None and connections is not None:
        raise MlgateError("--rate and --connections are two ways to ask.", fix="Choose one of them.")
    if rate is None and connections is None and known is not None:
        rate, connections = known.rate, known.connections
    if known is not None and _default("duration"):
        duration = known.duration
    if rate == 0 or not duration or not timeout:
        raise MlgateError("nothing would be asked: --rate, --duration and --timeout have to be above 0.")
    if rate is None and connections is None:
        connections = 8
    return Pressure(None if rate is None else float(rate), connections, float(duration), float(timeout))


def _default(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is click.core.ParameterSource.DEFAULT
