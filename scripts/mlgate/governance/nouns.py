"""What lies there about one model at one commit, gathered by whoever asks; the rest of this room is pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.config import Config
from mlgate.governance.words import CardWords, SheetWords
from mlgate.judge.record import Statement
from mlgate.ledger.query import same_model
from mlgate.model import Digests, Evidence, Named
from mlgate.signing.statement import Statement as ImageStatement

CARD, SHEET, EXPLAINED, BIAS, SERVICE = "model_card", "data_sheet", "explainability", "bias_report", "service"


@dataclass(frozen=True)
class Table:
    """One data file of the model, by what the commit and its contract say of it."""

    path: str
    role: str  # training data, evaluation data of holdout, data
    digest: Digests
    size: int | None = None  # octets, where the lock says so
    contract: str = ""
    private: tuple[str, ...] = ()  # columns that the contract calls private


@dataclass(frozen=True)
class Document:
    """A sentence, or the document that mlgate.yaml names in its place."""

    said: str = ""  # what is there, or the text of the document
    file: str = ""  # the document's path, repository-relative
    key: str = ""
    missing: bool = False  # it is named, and not in the commit
    sha256: str = ""


@dataclass(frozen=True)
class Held:
    """One model at one commit. `evidence`, `papers` and `bias` are only what this folder has, of whatever commit."""

    config: Config
    commit: str  # that the model is known by: of its decision, else the one that is checked out
    head: str  # that is checked out
    committed_at: str
    subject: Named  # the model: its path, and its digests in every kind that is known
    evidence: Mapping[str, Evidence] = field(default_factory=dict)  # by verb
    papers: Mapping[str, bytes] = field(default_factory=dict)  # of .mlgate/papers/<model>, by name
    bias: bytes | None = None  # bias_report.json, as `compare` left it
    decision: Statement | None = None
    decided: Mapping[str, str] = field(default_factory=dict)  # at, by, run, entry: of the ledger's entry
    no_decision: str = ""  # why the ledger gave none
    image: ImageStatement | None = None
    image_at: str = ""  # when the ledger took up just this statement, about just this model; empty where it did not
    card: CardWords | None = None
    sheet: SheetWords | None = None
    wrong_words: Mapping[str, str] = field(default_factory=dict)  # card, data_sheet -> why it cannot be read
    rollback: Document = field(default_factory=Document)
    retirement: Document = field(default_factory=Document)
    tables: Sequence[Table] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the lock's stages behind the model
    private: frozenset[str] = frozenset()  # columns, folded

    @property
    def model(self) -> str:
        return self.config.model

    def other_commit(self, commit: str) -> str:
        """In words, where a commit is neither that of the decision nor the one that is checked out."""
        if commit and commit in (self.commit, self.head):
            return ""
        return f"{f'commit {commit[:7]}' if commit else 'no commit'}, and this is {self.commit[:7]}"

    def foreign(self, evidence: Evidence) -> str:
        """Why evidence is not about this very commit and model; empty where it is.

        A later commit may have the same model: what was found there counts, too.
        """
        if why := self.other_commit(evidence.source.commit):
            return f"is about {why}"
        if evidence.source.dirty:
            return "was made in a working tree with changes that are in no commit"
        if evidence.subject is None or not evidence.subject.digest:
            return "does not say by digest which model it is about"
        if not same_model(dict(evidence.subject.digest), dict(self.subject.digest)):
            return "is about another model: its digest differs"
        return ""

    def of_this(self, verb: str) -> Evidence | None:
        """The evidence of a verb where it is about this very commit and model."""
        found = self.evidence.get(verb)
        return found if found is not None and not self.foreign(found) else None

    def named(self, verb: str) -> Named | None:
        """Evidence by the digest of its file."""
        found = self.evidence.get(verb)
        if found is None:
            return None
        digest = hashlib.sha256(found.to_json().encode()).hexdigest()
        return Named(name=f"evidence/{self.model}/{verb}.json", digest={"sha256": digest}, role=verb)
