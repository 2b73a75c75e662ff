"""Claims for tests: runs of this process, of processes that can be killed, and of other machines, as their files."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest

from schemas.run import Attempt, Begin, Counts, Run, TableVersion
from storage.files import Files, to_json
from storage.layout import CLAIMS, run_file
from storage.ledger import Claim, Ledger, RunRefused

ROOT = Path(__file__).parent.parent
INPUTS = {"codings": TableVersion(3, 2)}
CHILD = """
import sys
from storage import ledger
from storage.files import Files
ledger.code_version = lambda: "v1"
print("ready", flush=True)
sys.stdin.readline()
try:
    claim = ledger.Ledger(Files(sys.argv[1])).claim("classify", {"codebook": sys.argv[2]}, dict, str)
    print(claim.run, flush=True)
except ledger.RunRefused:
    print("refused", flush=True)
sys.stdin.readline()
"""
Child = subprocess.Popen[str]
Start = Callable[[str], Child]


@contextmanager
def children(files: Files) -> Iterator[Start]:
    """Start processes that claim a run when a line is sent to them, and then live until another is."""
    started: list[Child] = []

    def make(codebook: str) -> Child:
        command = [sys.executable, "-c", CHILD, files.root, codebook]
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield make
    for child in started:
        child.kill()
        child.communicate()


def said(child: Child) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def go(child: Child) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def killed(files: Files, start: Start, *, reaped: bool = True) -> str:
    """Kill a process that has claimed a run; return the run."""
    child = start("cap@1")
    said(child)
    go(child)
    name = said(child)
    child.kill()
    if reaped:
        child.wait()
    else:  # a zombie; wait until it is one
        while states(files) == ["running"]:
            pass
    assert states(files) == ["interrupted"]
    return name


def claim(files: Files, codebook: str = "cap@1", settled: list[str] | None = None) -> Claim:
    """Claim a run, ending the dead others as abandoned and noting them in ``settled``."""

    def settle(run: Run) -> None:
        Ledger(files).end(run.begin.run, run.begin.started, "abandoned", Counts(), {})
        if settled is not None:
            settled.append(run.begin.run)

    return Ledger(files).claim("classify", {"codebook": codebook}, lambda: INPUTS, settle)


def hold(files: Files, run: str, attempt: Attempt) -> None:
    """Write the next claim of the root, for an attempt on a run."""
    number = len(files.names(CLAIMS)) + 1
    assert files.write_once(f"{CLAIMS}/{number:06}", to_json({"run": run, "attempt": attempt}))


def by_hand(files: Files, run: str, host: str, started: datetime, attempt: int = 1) -> None:
    """Write a run that some host has claimed as its ledger files."""
    begin = Begin(run, "classify", {"codebook": "cap@1"}, {}, "v1", "eva@elsewhere", started)
    mine = Attempt(attempt, host, 1, 1.0, started)
    hold(files, run, mine)
    files.write_once(run_file(run, "begin.json"), to_json(begin))
    files.write_once(run_file(run, f"attempt-{attempt:03}.json"), to_json(mine))


def states(files: Files) -> list[str]:
    return [run.state for run in Ledger(files).runs()]


def overtaken(files: Files, monkeypatch: pytest.MonkeyPatch, before: str, first: str, second: str) -> list[str]:
    """Claim for two codebooks, the second just before the first writes a file; return the runs of those that won."""
    won: list[str] = []
    write_once = Files.write_once

    def write(self: Files, address: str, data: bytes) -> bool:
        if address.endswith(before):
            monkeypatch.setattr(Files, "write_once", write_once)
            with suppress(RunRefused):
                won.append(claim(files, second).run)
        return write_once(self, address, data)

    monkeypatch.setattr(Files, "write_once", write)
    with suppress(RunRefused):
        won.append(claim(files, first).run)
    return won
