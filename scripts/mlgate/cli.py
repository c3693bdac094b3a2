"""The command line. Commands are imported only when called, so that `mlgate --help` stays instant."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
from contextlib import suppress
from typing import NoReturn

import click

from mlgate import __version__

# pydantic would look through every installed package for plug-ins: slow, and nothing that could change a verdict.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

VERBS = {
    "init": "Write mlgate.yaml and the caller for this forge.",
    "doctor": "Find what would make the gate fail or lie, before it costs anything.",
    "validate-data": "Hold the data to its contract, and show the rows that break it.",
    "profile": "Describe training data and predictions, for production to be held against.",
    "train": "Prove what the model was made of: by the lock, by scoring it again, or by making it again.",
    "compare": "Judge the challenger against the champion by the rules of mlgate.yaml.",
    "register": "Give a model that passed its version, in the ledger and in model registries.",
    "build-image": "Build the image that serves a model that passed, prove it, and push it.",
    "deploy": "Bring a model into an environment step by step, judged by what it does there.",
    "rollback": "Put an earlier model back: by digest, at once, without building anything.",
    "monitor": "Read what production logged, and say whether data, predictions or performance have moved.",
    "notify": "Tell people what was found, once: by chat, pager, email, webhook, and in issues.",
    "retrain": "Decide whether a successor is trained now, and start the run that trains it.",
    "load": "Send requests to a server, and say how fast and how well it answered.",
    "serve": "Answer requests with a model, as its image does.",
    "trace": "Follow a version, an image or a prediction back to commit, data and decision.",
    "audit": "Read and verify the ledger: what was decided and done with each model.",
    "report": "Render all evidence: comment, summary, statuses, JUnit, OpenMetrics, HTML.",
}


class _Lazy(click.Group):
    """Knows the verbs and what they do without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"mlgate.commands.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            import difflib  # noqa: PLC0415 -- only on a mistake

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            ctx.fail(f"{args[0]!r} is not a verb." + (f" Did you mean `{near[0]}`?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mlgate", message="%(prog)s %(version)s")
def cli() -> None:
    """Quality gates for machine-learning models, in the CI you already have.

    Exit codes: 0 pass or warn, 1 fail, 2 could not measure (bad config, missing or corrupt file), 3 inconclusive.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run, and turn what goes wrong into one sentence and exit code 2."""
    arguments = sys.argv[1:] if args is None else args
    try:
        code = cli.main(arguments, prog_name="mlgate", standalone_mode=False)
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx:
            error.show()
        else:
            _say(error.format_message())
        code = 2
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 141
    except Exception as error:
        if "--debug" in arguments or _debug_asked():
            raise
        from mlgate.errors import MlgateError  # noqa: PLC0415

        if isinstance(error, MlgateError):
            _say(str(error))
        elif isinstance(error, OSError):
            _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        else:
            _say(
                f"a fault in mlgate itself ({type(error).__name__}: {error}). Run it again with --debug, and report it."
            )
        code = 2
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    """End without taking the interpreter apart: an eighth of a short run, and every file is written by now."""
    with suppress(Exception):
        atexit._run_exitfuncs()  # what was put into temporary folders is removed; os._exit would not call them
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 141
    except (OSError, ValueError):
        code = code or 2  # nobody saw what was found, so it is no pass
    os._exit(code)


def _debug_asked() -> bool:
    return os.environ.get("MLGATE_DEBUG", "").lower() in ("1", "true", "yes")


def _say(message: str) -> None:
    head, *rest = message.splitlines() or [""]
    click.echo("\n".join([f"error: {head}", *(f"       {line}" for line in rest)]), err=True)


if __name__ == "__main__":
    main()
