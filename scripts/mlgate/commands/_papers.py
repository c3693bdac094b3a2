"""`mlgate audit papers` and `mlgate audit checklist`: the papers of a model, and whether they are all there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mlgate import __version__
from mlgate.commands import _explaining
from mlgate.commands._held import PAPERS, Gatherer
from mlgate.commands._proving import Asked
from mlgate.commands._run import STATE, Run, Unloadable, failed, off, relative, say, unloadable, write_text
from mlgate.commands._training import Trainer
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.governance import card, checklist, explain, service, sheet, words
from mlgate.governance.explain import Explanation
from mlgate.governance.nouns import BIAS, CARD, EXPLAINED, SERVICE, SHEET, Held
from mlgate.model import Check, Evidence, Named, Source, Tool, Verdict, worst
from mlgate.render import card as card_page
from mlgate.render import papers as pages
from mlgate.train.process import ended_cleanly

GROUP = "papers"
CHECKLIST = "checklist"
HOW = ("auto", "always", "never", "only")


@dataclass(eq=False)
class Writer:
    """Makes the papers of every model of a run. `explain`: when project code is asked which columns it goes by."""

    run: Run
    explain: str = "auto"
    python: str = ""
    pull: bool = True
    gatherer: Gatherer = field(init=False)
    trainer: Trainer = field(init=False)

    def __post_init__(self) -> None:
        self.gatherer = Gatherer(self.run)
        self.trainer = Trainer(self.run, Asked(pull=self.pull, python=self.python))

    def papers(self) -> int:
        """The exit code, after the papers and their evidence are written."""
        self.run.forget(PAPERS)
        try:
            with ended_cleanly():
                evidences = [self._one(config) for config in configs(self.run)]
        finally:
            self.trainer.close()
        if self.explain == "only":
            return self._only(evidences)
        return self.run.finish(PAPERS, evidences, {"papers": relative(self.run.cwd / STATE / PAPERS)})

    def _only(self, evidences: list[Evidence]) -> int:
        """In the job that runs project code: the report is left for the next job, and no evidence that could count."""
        for evidence in evidences:
            said = evidence.checks[-1].reason if evidence.checks else evidence.title
            say(self.run.forge, f"{evidence.model}: {evidence.verdict.value}: {said}\n")
        return max((evidence.exit_code for evidence in evidences), default=2)

    def _one(self, config: Config | Unloadable) -> Evidence:
        if isinstance(config, Unloadable):
            return unloadable(PAPERS, config)
        if config.mode == "off":
            return off(PAPERS, config)
        try:
            held = self.gatherer.held(config)
        except MlgateError as error:
            return replaced(failed(PAPERS, config.model, error), config)
        checks = [self._explained(config, held)]
        if self.explain != "only":
            held = replace(held, papers=dict(self._folder(held)))
            checks += [
                self._bias(held),
                self._made(
                    held, CARD, "model card", lambda: _both(card.make(_populated(held, "card")), card_page.markdown)
                ),
                self._made(
                    held, SHEET, "data sheet", lambda: _both(sheet.make(_populated(held, "data_sheet")), pages.sheet)
                ),
                self._made(held, SERVICE, "service", lambda: _both(service.make(held), pages.service)),
            ]
        if not config.governance.model_fields_set:
            checks = [_asked_for_nothing(check) for check in checks]
        written = sorted(self._folder(held))
        verdict = worst(check.verdict for check in checks)
        wrong = [check for check in checks if check.verdict is not Verdict.PASS]
        return Evidence(
            kind=PAPERS,
            model=config.model,
            title=wrong[0].reason if wrong else f"The papers are in {STATE}/{PAPERS}/{config.model}.",
            verdict=verdict,
            mode=config.mode,
            fail_on=config.fail_on,
            subject=held.subject,
            inputs=[Named(name=f"{PAPERS}/{held.model}/{n}", digest=_sha256(d), role="paper") for n, d in written],
            checks=checks,
            artifacts=[f"{STATE}/{PAPERS}/{held.model}/{name}" for name, _ in written],
        )

    # -- one paper ---------------------------------------------------------------------------------------------------

    def _explained(self, config: Config, held: Held) -> Check:
        there = self._there(held)
        try:
            if self.explain == "never" and there is None:
                raise MlgateError(
                    "there is no explainability report of this model here.",
                    fix="Run `mlgate audit papers --explain only` where project code may run, and bring `.mlgate`.",
                )
            if config.governance.explain.report is not None:
                found = _explaining.given(self.trainer, self.gatherer, config, held)
            elif there is not None and self.explain in ("auto", "never"):
                found = there
            else:
                found = _explaining.made(self.trainer, config, held)
        except MlgateError as error:
            self._remove(held, EXPLAINED)
            return _check(EXPLAINED, "explainability report", Verdict.ERROR, _said(error), error.fix)
        self._write(held, EXPLAINED, found.to_json(), pages.explanation(found))
        wrong = list(explain.problems(found, held.subject.digest, (held.commit, held.head), _evaluations(held)))
        if wrong:
            return _check(EXPLAINED, "explainability report", Verdict.FAIL, f"It does not count: {wrong[0]}.")
        first = ", ".join(one.name for one in found.features[:3])
        return _check(EXPLAINED, "explainability report", Verdict.PASS, f"The model goes by {first} first.")

    def _there(self, held: Held) -> Explanation | None:
        """The one that lies there, where it is about this model and was made as mlgate.yaml says now."""
        data = held.papers.get(f"{EXPLAINED}.json")
        if data is None:
            return None
        try:
            found = explain.parse(data, f"{EXPLAINED}.json")
        except MlgateError:
            return None
        said = held.config.governance.explain
        repeats = said.repeats if said.by == "permutation" else 1
        same = (found.method, found.repeats) == (said.by, repeats) and found.rows == min(int(said.rows), found.of)
        same = same and len(found.examples) == min(int(said.examples), found.rows)
        wrong = any(explain.problems(found, held.subject.digest, (held.commit, held.head), _evaluations(held)))
        return found if same and not wrong else None

    def _bias(self, held: Held) -> Check:
        """That of `compare`, taken as it is."""
        page = self.run.cwd / STATE / "bias" / held.model / f"{BIAS}.md"
        if held.bias is None or page.is_symlink() or not page.is_file():
            self._remove(held, BIAS)
            return _check(
                BIAS, "bias report", Verdict.FAIL, "`mlgate compare` left no bias report here.",
                "compare: {fairness: {by: [sex], min_rows: 300, rules: {disparate_impact_ratio: {threshold: 0.8}}}}",
            )  # fmt: skip
        try:
            commit = str(json.loads(held.bias)["commit"])
        except (ValueError, TypeError, KeyError, RecursionError):
            self._remove(held, BIAS)
            return _check(BIAS, "bias report", Verdict.ERROR, "What is in .mlgate/bias cannot be read.")
        if other := held.other_commit(commit):
            self._remove(held, BIAS)
            return _check(BIAS, "bias report", Verdict.FAIL, f"The bias report is about {other}.", "mlgate compare")
        self._write(held, BIAS, held.bias.decode(), page.read_text("utf-8"))
        return _check(BIAS, "bias report", Verdict.PASS, "As `mlgate compare` left it.")

    def _made(self, held: Held, name: str, title: str, make: Callable[[], tuple[str, str]]) -> Check:
        try:
            text, page = make()
        except MlgateError as error:
            self._remove(held, name)
            verdict = Verdict.ERROR if held.wrong_words else Verdict.FAIL
            return _check(name, title, verdict, _said(error), error.fix)
        self._write(held, name, text, page)
        return _check(name, title, Verdict.PASS, f"{STATE}/{PAPERS}/{held.model}/{name}.md")

    def _write(self, held: Held, name: str, text: str, page: str) -> None:
        folder = self.run.cwd / STATE / PAPERS / held.model
        write_text(folder / f"{name}.json", text)
        write_text(folder / f"{name}.md", page)

    def _remove(self, held: Held, name: str) -> None:
        """An earlier one must not be taken for this one's."""
        folder = self.run.cwd / STATE / PAPERS / held.model
        if not any(path.is_symlink() for path in (folder, *folder.parents)):
            for ending in ("json", "md"):
                (folder / f"{name}.{ending}").unlink(missing_ok=True)

    def _folder(self, held: Held) -> list[tuple[str, bytes]]:
        folder = self.run.cwd / STATE / PAPERS / held.model
        return [
            (f"{name}.{ending}", path.read_bytes())
            for name in (CARD, SHEET, EXPLAINED, BIAS, SERVICE)
            for ending in ("json", "md")
            if (path := folder / f"{name}.{ending}").is_file() and not path.is_symlink()
        ]


def _both(made: card.Card | sheet.Sheet | service.Service, page: Callable[..., str]) -> tuple[str, str]:
    return made.to_json(), page(made)


def _evaluations(held: Held) -> list[dict[str, str]]:
    return [dict(one.digest) for one in held.tables if one.role.startswith("evaluation data") and one.digest]


def _populated(held: Held, key: str) -> Held:
    """Words that say something, or none at all. Raises MlgateError for those of a template: they make no paper."""
    said = held.card if key == "card" else held.sheet
    if said is not None and (wrong := list(words.problems(said))):
        found = ", ".join(f"`{name}` {why}" for name, why in wrong)
        raise MlgateError(f"{found}.", file=getattr(held.config.governance, key) or "", fix="Write what is true of it.")
    return held


def _said(error: MlgateError) -> str:
    """What is wrong, and where; how to mend it has a place of its own."""
    return str(error).removesuffix(error.fix).rstrip()


def _check(name: str, title: str, verdict: Verdict, reason: str, fix: str = "") -> Check:
    return Check(id=f"papers.{name}", title=title, verdict=verdict, group=GROUP, reason=reason, fix=fix)


def _asked_for_nothing(check: Check) -> Check:
    if check.verdict.rank <= Verdict.WARN.rank:
        return check
    return check.model_copy(update={"verdict": Verdict.WARN})


def _sha256(data: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(data).hexdigest()}


# -- the list --------------------------------------------------------------------------------------------------------


def standing(run: Run) -> int:
    """`mlgate audit checklist`: all six of every model, with their evidence. The exit code is the verdict's."""
    run.forget(CHECKLIST)
    gatherer = Gatherer(run)
    evidences = []
    for config in configs(run):
        if isinstance(config, Unloadable):
            evidences.append(unloadable(CHECKLIST, config))
        elif config.mode == "off":
            evidences.append(off(CHECKLIST, config))
        else:
            try:
                evidences.append(listed(gatherer.held(config)))
            except MlgateError as error:
                evidences.append(replaced(failed(CHECKLIST, config.model, error), config))
    return run.finish(CHECKLIST, evidences)


def listed(held: Held) -> Evidence:
    """The evidence of the list itself: each check, and by digest every file that it rests on."""
    items = checklist.items(held)
    checks = [item.check for item in items]
    config = held.config
    wrong = [item.name for item in items if item.check.verdict is not Verdict.PASS]
    title = "All six hold." if not wrong else f"{len(checks) - len(wrong)} of {len(checks)} hold; {_and(wrong)} not."
    if not config.governance.required:
        title += " mlgate.yaml has no `governance`, so nothing is required."
    inputs = {one.name: one for item in items for one in item.evidence}
    return Evidence(
        kind=CHECKLIST,
        model=held.model,
        title=title,
        verdict=worst(check.verdict for check in checks),
        mode=config.mode,
        fail_on=config.fail_on,
        subject=held.subject,
        inputs=[inputs[name] for name in sorted(inputs)],
        checks=checks,
        source=Source(commit=held.commit),
        tool=Tool(version=__version__),
    )


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def replaced(evidence: Evidence, config: Config) -> Evidence:
    return evidence.model_copy(update={"mode": config.mode, "fail_on": config.fail_on})


def configs(run: Run) -> list[Config | Unloadable]:
    """Every configuration that the options name. Raises MlgateError where there is none."""
    found = [run.load(file) for file in run.config_files()]
    if not found:
        raise run.no_config()
    return found
