"""The ledger: one live run on a root, dead ones resumed or settled, and an end that is written once."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any, get_args

import psutil
import pytest

from schemas.run import Attempt, Count, CountKey, Counts, Outcome, Run
from storage import ledger as module
from storage.files import Files, from_json, to_json
from storage.layout import CLAIMS, run_file
from storage.ledger import SILENT, Ledger, RunRefused
from tests.claims import INPUTS, Start, by_hand, children, claim, go, hold, killed, overtaken, said, states

COUNTS = Counts.of([Count(CountKey("coded"), 3)])
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(hours=1)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(module, "code_version", lambda: "v1")  # the tree may change while the tests run
    return Files(str(tmp_path / "root"))


@pytest.fixture
def start(files: Files) -> Iterator[Start]:
    with children(files) as make:
        yield make


def this_process(number: int = 1) -> Attempt:
    process = psutil.Process()
    return Attempt(number, socket.gethostname(), process.pid, process.create_time(), datetime.now(UTC))


def test_a_claim_begins_a_run(files: Files) -> None:
    mine = claim(files)
    assert (mine.begin.kind, mine.begin.parameters, mine.begin.inputs) == ("classify", {"codebook": "cap@1"}, INPUTS)
    assert (mine.begin.code_version, mine.attempt.number, mine.resumed) == ("v1", 1, False)
    assert mine.begin.who.endswith(f"@{socket.gethostname()}")
    assert Ledger(files).runs() == [Run(mine.begin, (mine.attempt,), None, alive=True)]
    assert files.names(f"runs/{mine.run}") == [run_file(mine.run, name) for name in ("attempt-001.json", "begin.json")]
    assert files.names(CLAIMS) == [f"{CLAIMS}/000001"]
    assert from_json(files.read(f"{CLAIMS}/000001"), dict[str, Any])["run"] == mine.run


@pytest.mark.parametrize("codebook", ["cap@1", "manifesto@1"])
def test_a_second_claim_is_refused_while_the_first_is_alive(files: Files, start: Start, codebook: str) -> None:
    child = start("cap@1")
    assert said(child) == "ready"
    go(child)
    first = said(child)
    holder = rf"run {first} \(process {child.pid} on {socket.gethostname()}\) has been at work on this root since 20"
    with pytest.raises(RunRefused, match=holder):
        claim(files, codebook)
    assert states(files) == ["running"]
    assert len(files.names(CLAIMS)) == 1


@pytest.mark.parametrize("codebook", ["cap@1", "manifesto@1"])
def test_a_process_that_died_before_it_wrote_its_run_down_does_not_block(files: Files, codebook: str) -> None:
    hold(files, "r1", Attempt(1, "elsewhere", 1, 1.0, NOW - SILENT - timedelta(seconds=1)))
    hold(files, "r2", replace(this_process(), process_started=1.0))
    settled: list[str] = []
    mine = claim(files, codebook, settled)
    assert (mine.attempt.number, settled, len(files.names(CLAIMS))) == (1, [], 3)
    assert [run.begin.run for run in Ledger(files).runs()] == [mine.run]


def test_a_process_that_has_not_yet_written_its_run_down_blocks(files: Files) -> None:
    hold(files, "r1", this_process())
    with pytest.raises(RunRefused, match="run r1"):
        claim(files)
    hold(files, "r2", Attempt(1, "elsewhere", 1, 1.0, datetime.now(UTC)))
    with pytest.raises(RunRefused, match="run r2"):
        claim(files)
    assert Ledger(files).runs() == []


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_a_run_that_has_ended_does_not_block_though_its_process_lives(
    files: Files, host: str, outcome: Outcome
) -> None:
    by_hand(files, "r1", "elsewhere", LONG_AGO)
    hold(files, "r1", replace(this_process(2), host=host))
    with pytest.raises(RunRefused, match="run r1"):
        claim(files)
    Ledger(files).end("r1", NOW, outcome, Counts(), {})
    mine = claim(files)
    assert (mine.run != "r1", mine.attempt.number, states(files)) == (True, 1, [outcome, "running"])


def test_only_the_last_claim_counts_and_claims_are_numbered_beyond_six_digits(files: Files) -> None:
    for number, run in ((999_999, "r1"), (1_000_000, "r2")):
        attempt = replace(this_process(), process_started=0.0 if run == "r2" else this_process().process_started)
        files.write_once(f"{CLAIMS}/{number:06}", to_json({"run": run, "attempt": attempt}))
    claim(files)
    assert f"{CLAIMS}/1000001" in files.names(CLAIMS)


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
        if state == "running":
            with pytest.raises(RunRefused, match=r"run r1 \(process 1 on elsewhere\)"):
                claim(files)
    assert claim(files).attempt.number == 2


def test_a_run_that_another_host_took_over_is_alive_before_its_first_heartbeat(files: Files) -> None:
    now = datetime.now(UTC)
    by_hand(files, "r1", "elsewhere", now - timedelta(hours=1))
    files.write_once(run_file("r1", "heartbeat.json"), to_json(now - timedelta(minutes=30)))
    by_hand(files, "r1", "third", now, attempt=2)
    assert states(files) == ["running"]
    with pytest.raises(RunRefused, match=r"run r1 \(process 1 on third\)"):
        claim(files)


def test_the_process_id_of_a_dead_run_may_be_another_process_now(files: Files) -> None:
    mine = claim(files)
    files.delete(run_file(mine.run, "attempt-001.json"))
    files.delete(CLAIMS, recursive=True)
    other = replace(mine.attempt, process_started=mine.attempt.process_started - 5)
    files.write_once(run_file(mine.run, "attempt-001.json"), to_json(other))
    hold(files, mine.run, other)
    assert states(files) == ["interrupted"]
    assert (claim(files).run, states(files)) == (mine.run, ["running"])


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


@pytest.mark.parametrize("before", ["000001", "begin.json", "attempt-001.json"])
@pytest.mark.parametrize("codebook", ["cap@1", "manifesto@1"])
def test_of_two_claims_one_of_which_overtakes_the_other_one_wins(
    files: Files, monkeypatch: pytest.MonkeyPatch, before: str, codebook: str
) -> None:
    won = overtaken(files, monkeypatch, before, "cap@1", codebook)
    assert len(won) == 1
    assert [run.begin.run for run in Ledger(files).runs() if run.state == "running"] == won


def test_a_run_that_is_taken_over_is_not_settled_by_another(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(files, "r1", "elsewhere", datetime.now(UTC) - timedelta(hours=1))
    assert len(overtaken(files, monkeypatch, "end.json", "manifesto@1", "cap@1")) == 1
