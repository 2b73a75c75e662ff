"""The ledger: one live run on a root, dead ones resumed or settled, and an end that is written once."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import get_args

import pytest

from schemas.run import Attempt, Begin, Count, CountKey, Counts, Outcome, Run, TableVersion
from storage import ledger as module
from storage.files import Files, from_json, to_json
from storage.layout import run_file
from storage.ledger import SILENT, Claim, Ledger, RunRefused

ROOT = Path(__file__).parent.parent
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
INPUTS = {"codings": TableVersion(3, 2)}
COUNTS = Counts.of([Count(CountKey("coded"), 3)])
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(module, "code_version", lambda: "v1")  # the tree may change while the tests run
    return Files(str(tmp_path / "root"))


@pytest.fixture
def start(files: Files) -> Iterator[Start]:
    """Start processes that claim a run when a line is sent to them, and then live until another is."""
    started: list[subprocess.Popen[str]] = []

    def make(codebook: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", CHILD, files.root, codebook]
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield make
    for child in started:
        child.kill()
        child.communicate()


def said(child: "subprocess.Popen[str]") -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def go(child: "subprocess.Popen[str]") -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def claim(files: Files, codebook: str = "cap@1", settled: list[str] | None = None) -> Claim:
    """Claim a run, ending the dead others as abandoned and noting them in ``settled``."""

    def settle(run: Run) -> None:
        Ledger(files).end(run.begin.run, run.begin.started, "abandoned", Counts(), {})
        if settled is not None:
            settled.append(run.begin.run)

    return Ledger(files).claim("classify", {"codebook": codebook}, lambda: INPUTS, settle)


def by_hand(files: Files, run: str, host: str, started: datetime, attempt: int = 1) -> None:
    """Write a run of some host as its ledger files."""
    begin = Begin(run, "classify", {"codebook": "cap@1"}, {}, "v1", "eva@elsewhere", started)
    files.write_once(run_file(run, "begin.json"), to_json(begin))
    number = f"attempt-{attempt:03}.json"
    files.write_once(run_file(run, number), to_json(Attempt(attempt, host, 1, 1.0, started)))


def states(files: Files) -> list[str]:
    return [run.state for run in Ledger(files).runs()]


def test_a_claim_begins_a_run(files: Files) -> None:
    mine = claim(files)
    assert (mine.begin.kind, mine.begin.parameters, mine.begin.inputs) == ("classify", {"codebook": "cap@1"}, INPUTS)
    assert (mine.begin.code_version, mine.attempt.number, mine.resumed) == ("v1", 1, False)
    assert mine.begin.who.endswith(f"@{socket.gethostname()}")
    assert Ledger(files).runs() == [Run(mine.begin, (mine.attempt,), None, alive=True)]
    assert files.names(f"runs/{mine.run}") == [run_file(mine.run, name) for name in ("attempt-001.json", "begin.json")]


@pytest.mark.parametrize("codebook", ["cap@1", "manifesto@1"])
def test_a_second_claim_is_refused_while_the_first_is_alive(files: Files, start: Start, codebook: str) -> None:
    child = start("cap@1")
    assert said(child) == "ready"
    go(child)
    first = said(child)
    with pytest.raises(RunRefused, match=rf"run {first} \(classify, by .*@.*\) has been at work on this root since"):
        claim(files, codebook)
    assert states(files) == ["running"]


def killed(files: Files, start: Start, *, reaped: bool = True) -> str:
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


@pytest.mark.parametrize("reaped", [True, False])
def test_the_same_command_resumes_a_killed_run(files: Files, start: Start, reaped: bool) -> None:  # noqa: FBT001
    name = killed(files, start, reaped=reaped)
    settled: list[str] = []
    mine = claim(files, settled=settled)
    assert (mine.run, mine.attempt.number, mine.resumed, settled) == (name, 2, True, [])
    assert mine.begin.inputs == {}  # as pinned by the first attempt
    assert states(files) == ["running"]


def test_another_command_settles_a_killed_run_and_begins_anew(files: Files, start: Start) -> None:
    name = killed(files, start)
    settled: list[str] = []
    mine = claim(files, "manifesto@1", settled)
    assert (mine.run != name, mine.attempt.number, settled) == (True, 1, [name])
    assert states(files) == ["abandoned", "running"]


def test_other_code_settles_a_killed_run_and_begins_anew(
    files: Files, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = killed(files, start)
    monkeypatch.setattr(module, "code_version", lambda: "v2")
    settled: list[str] = []
    mine = claim(files, settled=settled)
    assert (mine.run != name, mine.begin.code_version, settled) == (True, "v2", [name])


def test_an_end_is_written_once_and_clears_the_staging_area(files: Files) -> None:
    mine = claim(files)
    files.write_once(f"_staging/{mine.run}/x", b"")
    first = Ledger(files).end(mine.run, mine.begin.started, "done", COUNTS, {"codings": 4})
    Ledger(files).end(mine.run, mine.begin.started, "failed", Counts(), {}, "later")
    assert Ledger(files).run(mine.run).end == first
    assert (first.outcome, first.counts, first.outputs, first.detail) == ("done", COUNTS, {"codings": 4}, "")
    assert files.find("_staging") == []
    assert claim(files).run != mine.run


def test_runs_are_told_by_state_the_oldest_first(files: Files) -> None:
    start, here = datetime.now(UTC) - timedelta(hours=1), socket.gethostname()
    for number, outcome in enumerate(get_args(Outcome)):
        by_hand(files, f"z{9 - number}", here, start + timedelta(minutes=number))
        Ledger(files).end(f"z{9 - number}", start, outcome, Counts(), {})
    by_hand(files, "a1", here, start + timedelta(minutes=4))
    by_hand(files, "a0", "elsewhere", datetime.now(UTC))
    files.write_once("runs/strange/file", b"")
    assert [run.begin.run for run in Ledger(files).runs()] == ["z9", "z8", "z7", "a1", "a0"]
    assert states(files) == ["done", "failed", "abandoned", "interrupted", "running"]


def test_an_unknown_run_is_named_with_the_newest(files: Files) -> None:
    with pytest.raises(ValueError, match=f"no run 'x' under {files.root}; newest runs: none yet"):
        Ledger(files).run("x")
    by_hand(files, "r1", "elsewhere", datetime.now(UTC))
    for name in ("x", "../runs/r1", ".", "..", ""):
        with pytest.raises(ValueError, match="newest runs: r1"):
            Ledger(files).run(name)


def test_a_silent_run_of_another_host_is_dead(files: Files) -> None:
    by_hand(files, "r1", "elsewhere", datetime.now(UTC) - SILENT + timedelta(seconds=20))
    assert states(files) == ["running"]
    with pytest.raises(RunRefused, match="run r1"):
        claim(files)
    by_hand(files, "r0", "elsewhere", datetime.now(UTC) - SILENT - timedelta(seconds=1))
    assert states(files) == ["interrupted", "running"]


def test_a_heartbeat_keeps_a_run_of_another_host_alive(files: Files) -> None:
    by_hand(files, "r1", "elsewhere", datetime.now(UTC) - timedelta(hours=1))
    for silent, state in ((timedelta(seconds=100), "running"), (timedelta(seconds=121), "interrupted")):
        with files.whole(run_file("r1", "heartbeat.json")) as file:
            file.write(to_json(datetime.now(UTC) - silent))
        assert states(files) == [state]
    assert claim(files).attempt.number == 2


def test_a_run_that_another_host_took_over_is_alive_before_its_first_heartbeat(files: Files) -> None:
    now = datetime.now(UTC)
    by_hand(files, "r1", "elsewhere", now - timedelta(hours=1))
    files.write_once(run_file("r1", "heartbeat.json"), to_json(now - timedelta(minutes=30)))
    by_hand(files, "r1", "third", now, attempt=2)
    # BUG: the dead attempt's last heartbeat counts, not the start of the attempt that came after it.
    assert states(files) == ["running"]


def test_the_process_id_of_a_dead_run_may_be_another_process_now(files: Files) -> None:
    mine = claim(files)
    files.delete(run_file(mine.run, "attempt-001.json"))
    other = replace(mine.attempt, process_started=mine.attempt.process_started - 5)
    files.write_once(run_file(mine.run, "attempt-001.json"), to_json(other))
    assert states(files) == ["interrupted"]


def test_a_heart_beats_while_the_block_runs(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    address = run_file((mine := claim(files)).run, "heartbeat.json")
    with Ledger(files).heartbeat(mine):
        while not files.exists(address):
            pass
    assert abs(from_json(files.read(address), datetime) - datetime.now(UTC)) < timedelta(seconds=5)


def test_of_several_processes_that_claim_at_once_one_wins(start: Start) -> None:
    children = [start("cap@1") for _ in range(4)]
    assert [said(child) for child in children] == ["ready"] * 4
    for child in children:
        go(child)
    won = [answer for child in children if (answer := said(child)) != "refused"]
    # BUG: often several win; see test_of_two_claims_one_of_which_overtakes_the_other_one_wins.
    assert len(won) == 1


def test_of_several_threads_that_take_over_one_wins(files: Files) -> None:
    by_hand(files, "r1", "elsewhere", datetime.now(UTC) - timedelta(hours=1))
    barrier = Barrier(4)

    def take(_: int) -> str:
        barrier.wait()
        try:
            return claim(files).run
        except RunRefused:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(take, range(4)))
    assert answers == ["r1", "refused", "refused", "refused"]


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


@pytest.mark.parametrize("before", ["begin.json", "attempt-001.json"])
@pytest.mark.parametrize("codebook", ["cap@1", "manifesto@1"])
def test_of_two_claims_one_of_which_overtakes_the_other_one_wins(
    files: Files, monkeypatch: pytest.MonkeyPatch, before: str, codebook: str
) -> None:
    # BUG: a run counts as older than one that began after it but was written first, and that one has won already;
    # and _begin does not look whether its own attempt was written.
    won = overtaken(files, monkeypatch, before, "cap@1", codebook)
    assert len(won) == 1
    assert [run.begin.run for run in Ledger(files).runs() if run.state == "running"] == won


def test_a_run_that_is_taken_over_is_not_settled_by_another(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(files, "r1", "elsewhere", datetime.now(UTC) - timedelta(hours=1))
    # BUG: a claim settles a dead run, and deletes its staging area, without having claimed it.
    assert len(overtaken(files, monkeypatch, "end.json", "manifesto@1", "cap@1")) == 1
