"""`babelbeam report`: what a run did: counts by codebook, language, domain and reason, and where the results lie."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.failures import ConfigurationError
from schemas.run import Count, Counts, End, Run
from schemas.work import Slice
from storage.files import Files
from storage.ledger import Ledger

_READING = {
    "imported": "new documents",
    "coded": "coded",
    "rejected": "rejected",
    "duplicate": "duplicate",
    "settled": "settled by an earlier run",
    "superseded": "superseded by a newer version",
    "annotated": "annotations by people",
    "unannotated": "codes not taken",
}
_WIDE = 1_000
_KEYS = ("codebook", "language", "domain", "reason")


@dataclass(frozen=True)
class Options:
    """Print what a run did.

    Examples:
      babelbeam report --root corpus
      babelbeam report 20260131t020000-classify-a1b2c3 --root corpus
    """

    root: str
    """Folder or URL (s3://bucket/prefix) that holds everything."""
    run: Annotated[str, tyro.conf.Positional] = ""
    """Id of the run; the newest unless given."""


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Print a table; whole numbers are aligned to the right. No column is ever cut."""
    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(header):
        numeric = bool(rows) and all(isinstance(row[number], int) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
    Console(file=sys.stdout, width=_WIDE).print(table)


def print_groups(slices: Iterable[Slice]) -> None:
    """Print the rows and characters of each Group."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for piece in slices:
        rows, characters = found.get((piece.group.language, piece.group.domain), (0, 0))
        found[piece.group.language, piece.group.domain] = (rows + piece.rows, characters + piece.characters)
    print_table(
        "documents by group",
        ("language", "domain", "rows", "characters"),
        ((*group, *numbers) for group, numbers in sorted(found.items())),
    )


def _count_rows(counts: Counts, outcome: str) -> list[tuple[str | int, ...]]:
    found = [count for count in counts.counts if count.key.outcome == outcome and count.rows]
    return [(*(getattr(count.key, name) for name in _KEYS), count.rows) for count in found]


def _summary(counts: Counts) -> list[tuple[str, str, int]]:
    books = sorted({count.key.codebook for count in counts.counts})
    lines = [
        (book, reading, sum(c.rows for c in counts.counts if (c.key.outcome, c.key.codebook) == (outcome, book)))
        for book in books
        for outcome, reading in _READING.items()
    ]
    return [line for line in lines if line[2]]


def _without_groups(counts: Counts) -> Counts:
    return Counts.of(Count(replace(count.key, language="", domain=""), count.rows) for count in counts.counts)


def print_counts(counts: Counts, *, groups: bool) -> None:
    """Print what became of the rows and why some were rejected; with ``groups`` also by language and domain."""
    print_table("rows", ("codebook", "outcome", "rows"), _summary(counts))
    for outcome in ("coded", "rejected") if groups else ("rejected",):
        rows = _count_rows(counts if groups else _without_groups(counts), outcome)
        if rows:
            names = (*_KEYS, "rows")
            kept = [number for number in range(len(names)) if any(row[number] for row in rows)]
            header = [names[number] for number in kept]
            print_table(outcome, header, ([row[number] for number in kept] for row in rows))


def print_end(files: Files, end: End, *, groups: bool = False) -> int:
    """Print how a Run ended and return its exit code: 0 if it is done, else 1, the reason first."""
    if end.outcome != "done":
        print(f"run {end.run} {end.outcome}: {end.detail}", file=sys.stderr)
    print_counts(end.counts, groups=groups)
    print(f"run {end.run} {end.outcome} in {end.seconds:.1f} s")
    for table, version in end.outputs.items():
        print(f"  {table}: {files.url(table)} (version {version})")
    return 0 if end.outcome == "done" else 1


def newest(files: Files, name: str) -> Run:
    """Return the Run of that id, or the newest one; raise ConfigurationError where there is none."""
    ledger = Ledger(files)
    try:
        if name:
            return ledger.run(name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    runs = ledger.runs()
    if not runs:
        raise ConfigurationError(f"there are no runs under {files.url()}")
    return runs[-1]


def run(options: Options) -> int:
    """Run the command; return the exit code."""
    files = Files(options.root)
    found = newest(files, options.run)
    begin = found.begin
    print(f"run {begin.run}: {begin.kind} by {begin.who}, begun {begin.started:%Y-%m-%d %H:%M:%S} UTC, {found.state}")
    for name, value in begin.parameters.items():
        print(f"  {name}: {value}")
    if found.end is None:
        print("it has not ended" if found.alive else "its process is gone; the same command goes on where it stopped")
        return 0
    print_end(files, found.end, groups=True)
    return 0
