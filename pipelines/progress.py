"""Progress: rows, rate and time left of a running classify, read from its Receipts, so also of one on a cluster."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from storage.files import Files
from storage.layout import staging
from transforms.route import read_plan

_TERMINAL_SECONDS = 0.5
_LINE_SECONDS = 15


class _Done:
    """How many rows of the plan have a Receipt."""

    def __init__(self, files: Files, run: str) -> None:
        self._files = files
        self._run = run
        self._rows: dict[str, int] = {}

    def look(self) -> tuple[int, int] | None:
        """Return the rows done and the rows planned, or None before there is a plan."""
        if not self._rows:
            plan = read_plan(self._files, self._run)
            if plan is None:
                return None
            self._rows = {unit.unit: unit.rows for unit in plan.units}
        names = self._files.names(staging(self._run, "receipts"))
        units = (name.rsplit("/", 1)[-1].removesuffix(".json") for name in names)
        return sum(self._rows.get(unit, 0) for unit in units), sum(self._rows.values())


def _lines(done: _Done, stop: threading.Event) -> None:
    started, before = time.monotonic(), None
    while not stop.wait(_LINE_SECONDS):
        seen = done.look()
        if seen is None:
            print("detecting languages and domains", flush=True)
            continue
        rows, total = seen
        before = before or (rows, time.monotonic())
        rate = (rows - before[0]) / max(time.monotonic() - before[1], 1e-9)
        left = f", {(total - rows) / rate:,.0f} s left" if rate else ""
        seconds = time.monotonic() - started
        print(f"{rows:,} of {total:,} rows classified after {seconds:,.0f} s ({rate:,.0f} rows/s{left})", flush=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} rows/s")


def _bar(done: _Done, stop: threading.Event) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("detecting", total=None)
        while not stop.wait(_TERMINAL_SECONDS):
            if (seen := done.look()) is not None:
                progress.update(task, description="classifying", completed=seen[0], total=seen[1])


@contextmanager
def watch(files: Files, run: str) -> Iterator[None]:
    """Show the progress of a Run while the block runs: a bar on a terminal, a plain line now and then elsewhere."""
    stop = threading.Event()
    show = _bar if sys.stderr.isatty() else _lines
    thread = threading.Thread(target=show, args=(_Done(files, run), stop), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
