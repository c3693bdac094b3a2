"""Great Expectations' Data Docs, in the worker: a page for the suite, one for its result, and an index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlgate.data.gx.worker import Session

_SHOWN = 20  # failing values on a page


def build(session: Session, request: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the site in the folder `site`, and says which page is the first. Raises whatever is raised."""
    core: Any = import_module("great_expectations.core")
    context, folder, private = session.context, Path(request["site"]), set(request["private"])
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    builder = {"class_name": "DefaultSiteIndexBuilder"}
    for other in list(context.get_site_names()):
        context.delete_data_docs_site(other)
    context.add_data_docs_site(
        site_name="mlgate",
        site_config={
            "class_name": "SiteBuilder",
            "store_backend": store,
            "site_index_builder": builder,
            "show_how_to_buttons": False,
        },
    )
    # Dots and slashes would be folders of the site.
    name = re.sub(r"[^\w-]+", "_", request["suite"]).strip("_") or "data"
    suite = context.suites.add(core.ExpectationSuite(name=name, notes=list(request["notes"])))
    results = []
    for one in request["expectations"]:
        # Of a private column, only whether it holds: its values stand nowhere.
        hidden = private & {*one["columns"]} or (private and "row_condition" in one["kwargs"])
        results.append(_result(session, suite, one, hidden=bool(hidden)))
    _keep(session, core, suite, results)
    context.build_data_docs()
    # What goes wrong with a page is only logged.
    lacking = [part for part in ("expectations", "validations") if not list((folder / part).rglob("*.html"))]
    if lacking:
        return {"raised": f"there is no page of the {lacking[0]}"}
    return {"page": "index.html", "version": session.version}


def _result(session: Session, suite: Any, one: Mapping[str, Any], *, hidden: bool) -> Any:
    from mlgate.data.gx import worker  # noqa: PLC0415

    asked = worker.expectation(one["type"], one["kwargs"])
    suite.add_expectation(asked)
    wanted = {"result_format": "BOOLEAN_ONLY" if hidden else "SUMMARY", "partial_unexpected_count": _SHOWN}
    seen: Any = None
    for batch in session.batches(one):
        found = batch.validate(asked, result_format=wanted)
        seen = found if seen is None or not worker.exception(found.exception_info) else seen
        if not worker.exception(seen.exception_info):
            break
    if hidden and worker.exception(seen.exception_info):
        seen.exception_info = {
            "raised_exception": True,
            "exception_message": "It is not shown, as it may quote the private column.",
            "exception_traceback": "",
        }
    # numpy's own bool and numbers cannot be written as JSON.
    seen.success = bool(seen.success)
    seen.result = {key: worker.simple(value) for key, value in (seen.result or {}).items()}
    return seen


def _keep(session: Session, core: Any, suite: Any, results: list[Any]) -> None:
    """Puts the result where the site is built from, as a validation of the whole suite would have."""
    ids: Any = import_module("great_expectations.data_context.types.resource_identifiers")
    run: Any = import_module("great_expectations.core.run_identifier")
    held = sum(result.success for result in results)
    now = datetime.now(UTC)
    run_id = run.RunIdentifier(run_name="mlgate", run_time=now)
    whole = core.ExpectationSuiteValidationResult(
        results=results,
        success=held == len(results),
        suite_name=suite.name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": held,
            "unsuccessful_expectations": len(results) - held,
            "success_percent": 100 * held / len(results),
        },
        meta={
            "great_expectations_version": session.version,
            "run_id": run_id,
            "validation_time": now.isoformat(),
            "active_batch_definition": {"batch_identifiers": {}},
        },
        batch_id=session.batch.id,
    )
    key = ids.ValidationResultIdentifier(
        expectation_suite_identifier=ids.ExpectationSuiteIdentifier(name=suite.name),
        run_id=run_id,
        batch_identifier=session.batch.id,
    )
    session.context.validation_results_store.set(key, whole)
