"""Run: one execution and its counts; Rejection and Duplicate: the rows that it did not code, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Outcome = Literal["done", "failed", "abandoned"]

NO_MODEL = "no model"
NO_TERM = "no term found"
UNDETERMINED_LANGUAGE = "undetermined language"
EXPECTED_REASONS = (NO_MODEL, NO_TERM)
"""Reasons that say what the models cannot do, not that something is wrong with the rows."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that a step could not process; one row of the ``rejections`` table, whose partition is ``step``.

    A row that never became a Document is named by ``file`` and ``row`` (counting from 1, the header of a CSV being
    row 1). ``codebook`` is null where the step has none.
    """

    document_id: str | None
    version: int | None
    id: str | None
    file: str | None
    row: int | None
    codebook: str | None
    language: str | None
    domain: str | None
    reason: str
    detail: str
    run: str
    step: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that an earlier row or an earlier run already brought: same document_id, same text."""

    document_id: str
    file: str
    row: int
    duplicate_of: str
    run: str
    source: str


@dataclass(frozen=True, slots=True, order=True)
class CountKey:
    """What is counted: rows of one outcome (and reason), by Codebook and Group where there are any."""

    outcome: str
    codebook: str = ""
    language: str = ""
    domain: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows."""

    key: CountKey
    rows: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts by key, sorted, each key once: a value with a zero, ``Counts()``, and a plus."""

    counts: tuple[Count, ...] = ()

    def __add__(self, other: "Counts") -> "Counts":
        return Counts.of([*self.counts, *other.counts])

    @staticmethod
    def of(counts: Iterable[Count]) -> "Counts":
        """Add up what has the same key."""
        rows: dict[CountKey, int] = {}
        for count in counts:
            rows[count.key] = rows.get(count.key, 0) + count.rows
        return Counts(tuple(Count(key, rows[key]) for key in sorted(rows)))

    def rows(self, outcome: str, codebook: str | None = None, reasons: Iterable[str] | None = None) -> int:
        """Return the rows of an outcome, of all Codebooks and reasons unless named."""
        wanted = None if reasons is None else set(reasons)
        return sum(
            count.rows
            for count in self.counts
            if count.key.outcome == outcome
            and (codebook is None or count.key.codebook == codebook)
            and (wanted is None or count.key.reason in wanted)
        )


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A state of a table: its version in the Delta log (-1 before it exists) and how often runs published to it."""

    version: int = -1
    publishes: int = 0


@dataclass(frozen=True, slots=True)
class Begin:
    """What a Run is, pinned when it begins: a resumed Run has the same inputs and parameters."""

    run: str
    kind: str
    parameters: dict[str, str]
    inputs: dict[str, TableVersion]
    code_version: str
    who: str
    started: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process that works on a Run; the first began it, each later one took it over from a dead one."""

    number: int
    host: str
    process: int
    process_started: float
    started: datetime


@dataclass(frozen=True, slots=True)
class End:
    """How a Run ended. ``detail`` is empty unless it failed."""

    run: str
    outcome: Outcome
    detail: str
    counts: Counts
    outputs: dict[str, int]
    seconds: float
    ended: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One execution: what it is, who works or worked on it, and how it ended, if it has."""

    begin: Begin
    attempts: tuple[Attempt, ...] = ()
    end: End | None = None
    alive: bool = False

    @property
    def state(self) -> str:
        """``running``, ``interrupted`` (its process is gone, the same command resumes it), or how it ended."""
        if self.end is not None:
            return self.end.outcome
        return "running" if self.alive else "interrupted"
