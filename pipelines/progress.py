"""Progress: rows, rate and time left of a running classify, read from storage, so also of one on a cluster."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from storage.background import in_background
from storage.files import Files
from storage.layout import GROUPED, staging
from transforms.route import read_plan

_TERMINAL_SECONDS = 0.5
_LINE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be watched: the Run, and the rows of its shards by the addresses of their grouped shards."""

    files: Files
    run: str
    shards: Mapping[str, int]


class _Done:
    """How far the work is, by what lies on storage."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._units: dict[str, int] = {}

    def look(self) -> tuple[str, int, int]:
        """Return what is being done, and the rows for which it is done and is to be done."""
        files, run = self._work.files, self._work.run
        if not self._units:
            plan = read_plan(files, run)
            if plan is None:
                written = set(files.names(GROUPED))
                detected = sum(rows for address, rows in self._work.shards.items() if address in written)
                return "detecting", detected, sum(self._work.shards.values())
            self._units = {unit.unit: unit.rows for unit in plan.units}
        names = files.names(staging(run, "receipts"))
        units = (name.rsplit("/", 1)[-1].removesuffix(".json") for name in names)
        return "classifying", sum(self._units.get(unit, 0) for unit in units), sum(self._units.values())


def _lines(done: _Done, stop: threading.Event) -> None:
    begun: dict[str, tuple[int, float]] = {}
    while not stop.wait(_LINE_SECONDS):
        what, rows, total = done.look()
        before, since = begun.setdefault(what, (rows, time.monotonic()))
        rate = (rows - before) / max(time.monotonic() - since, 1e-9)
        left = f" ({rate:,.0f} rows/s, {(total - rows) / rate:,.0f} s left)" if rate else ""
        print(f"{what}: {rows:,} of {total:,} rows{left}", flush=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} rows/s")


def _bar(done: _Done, stop: threading.Event) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}
        while not stop.wait(_TERMINAL_SECONDS):
            what, rows, total = done.look()
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=rows, total=total)


@contextmanager
def watch(work: Work) -> Iterator[None]:
    """Show the progress of a Run while the block runs: a bar on a terminal, a plain line now and then elsewhere."""
    done, show = _Done(work), _bar if sys.stderr.isatty() else _lines
    with in_background(lambda stop: show(done, stop), "progress"):
        yield
