"""What a registration writes into the ledger. Decided on the entries as they are: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.commands._model import Decided
from mlgate.errors import MlgateError
from mlgate.ledger import query, registrations
from mlgate.ledger.branch import Decide
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Entry, Image, Promotion, Registration
from mlgate.ledger.registrations import Bump, Known
from mlgate.signing import statement as images
from mlgate.signing.statement import Statement

PRODUCTION = "production"  # the environment whose model is the champion


@dataclass(frozen=True)
class Claim:
    """One model that is to be a version of a name."""

    who: Mapping[str, Any]  # the fields of an entry, with the model's own commit
    model: str
    name: str
    subject: Mapping[str, str]
    decided: Decided
    image: Statement | None = None
    version: str = ""  # as somebody asked for; empty: the next one
    bump: Bump = "minor"
    taken: frozenset[str] = field(default_factory=frozenset)  # versions that registries have, and the ledger has not
    tagged: str = ""  # the version that a tag gives the model's commit already
    champion: bool = False

    def entries(self, records: Sequence[Record]) -> list[Entry]:
        """What is to be written behind these. Raises MlgateError where the gate, or the ledger, does not allow it."""
        self._passed(records)
        versions = registrations.known((record.entry for record in records), self.name)
        found = registrations.of_model(versions, self.subject)
        made: list[Entry] = [*self._image(records)]
        image = dict(self.image.subject[0].digest) if self.image else {}
        if found is None:
            version = self._next(versions)
            made.append(self._registration(version, image=image))
        else:
            version = found.version
            if self.version not in ("", version):
                raise MlgateError(
                    f"this model is {version} of {self.name} already, so it cannot be {self.version} as well.",
                    fix="Leave --version out: a model has one version.",
                )
            if image and image != dict(found.image):
                made.append(self._registration(version, image=image))
        return [*made, *self._promotion(records, versions, version)]

    def completion(self, version: Known, registries: Mapping[str, str]) -> Decide:
        """What says where else a version is known now; nothing where the ledger, or another job, has said so."""
        entry = self._registration(version.version, registries=dict(registries))

        def decide(records: Sequence[Record]) -> list[Entry]:
            versions = registrations.known((record.entry for record in records), self.name)
            there = next((one.registries for one in versions if one.version == version.version), {})
            return [entry] if any(there.get(kind) != number for kind, number in registries.items()) else []

        return decide

    def _registration(self, version: str, **more: Any) -> Registration:
        return Registration(
            **self.who,
            model=self.model,
            subject=dict(self.subject),
            name=self.name,
            version=version,
            decision=self.decided.statement.digest,
            **more,
        )

    def _passed(self, records: Sequence[Record]) -> None:
        """Raises MlgateError unless the decision is still the last word on this model."""
        found = query.decision(records, self.model, dict(self.subject))
        if found is None or found.entry.id != self.decided.entry.entry.id:
            raise MlgateError(
                f"the ledger has another decision about this {self.model} than a moment ago.", fix="Run it again."
            )
        later = query.failed_since(records, found)
        if later:
            raise MlgateError(
                f"this {self.model} was judged again on {later[-1].entry.at[:10]}, after its decision, and failed: "
                "nothing was registered.",
                fix="Judge it again on the default branch (`mlgate compare`), or register another model.",
            )

    def _image(self, records: Sequence[Record]) -> list[Entry]:
        if self.image is None:
            return []
        there = (record.entry for record in records)
        if any(isinstance(entry, Image) and entry.statement == self.image.digest for entry in there):
            return []
        return [images.entry(self.image, self.who)]

    def _next(self, versions: Sequence[Known]) -> str:
        mine = {one.version for one in versions}
        if self.version:
            if self.version in mine | self.taken and self.version != self.tagged:
                raise MlgateError(
                    f"{self.version} of {self.name} is another model already.", fix="Leave --version out, or raise it."
                )
            return self.version
        if self.tagged and self.tagged not in mine:
            return self.tagged  # somebody gave this very commit its version by hand
        return registrations.following(mine | self.taken, self.bump)

    def _promotion(self, records: Sequence[Record], versions: Sequence[Known], version: str) -> list[Entry]:
        if not self.champion:
            return []
        now = query.current(records, self.model, PRODUCTION)
        if now is not None and query.same_model(now.entry.subject, dict(self.subject)):
            return []
        there = registrations.of_model(versions, now.entry.subject) if now else None
        order = [one.version for one in versions]
        if there is not None and version in order and order.index(there.version) > order.index(version):
            raise MlgateError(
                f"{there.version} is in production, and {version} is older: that would be a rollback.",
                fix="Put an older model back with `mlgate rollback`, which says why in the ledger.",
            )
        return [
            Promotion(
                **self.who,
                model=self.model,
                environment=PRODUCTION,
                subject=dict(self.subject),
                version=version,
                decision=self.decided.entry.entry.id,
            )
        ]
