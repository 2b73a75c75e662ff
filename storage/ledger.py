"""Ledger: who runs what on a root, since when, and how it ended. Files written once each; no database, no locks."""

import getpass
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil

from schemas.run import Attempt, Begin, Counts, End, Outcome, Run, TableVersion
from schemas.version import code_version
from storage.background import in_background
from storage.files import Files, from_json, to_json
from storage.layout import CLAIMS, RUNS, STAGING, run_file, staging

HEARTBEAT_SECONDS = 10
SILENT = timedelta(minutes=2)
"""A run of another machine that has been silent for so long is dead."""


class RunRefused(RuntimeError):
    """Another run is at work on the root."""


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who may work on the root: an attempt on a Run. Each is a file of the next number, which only one can create."""

    run: str
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a Run: as the process that began it, or as one that took it over from a dead one."""

    begin: Begin
    attempt: Attempt

    @property
    def run(self) -> str:
        """The id of the Run."""
        return self.begin.run

    @property
    def resumed(self) -> bool:
        """Whether an earlier process began the Run."""
        return self.attempt.number > 1


def _now() -> datetime:
    return datetime.now(UTC)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _this_attempt(number: int) -> Attempt:
    process = psutil.Process()
    return Attempt(number, socket.gethostname(), process.pid, process.create_time(), _now())


class Ledger:
    """The Runs of one root."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def runs(self) -> list[Run]:
        """Return every Run, the oldest first."""
        names = (address.removeprefix(f"{RUNS}/") for address in self._files.names(RUNS))
        found = [run for name in names if (run := self._read(name)) is not None]
        return sorted(found, key=lambda run: (run.begin.started, run.begin.run))

    def run(self, name: str) -> Run:
        """Return a Run by its id; raise ValueError, naming the newest, where there is none."""
        found = self._read(name)
        if found is None:
            newest = ", ".join(run.begin.run for run in self.runs()[-5:]) or "none yet"
            raise ValueError(f"no run {name!r} under {self._files.url()}; newest runs: {newest}")
        return found

    def _read(self, name: str) -> Run | None:
        if not name or "/" in name or name.startswith("."):
            return None
        inside = {address.rsplit("/", 1)[-1] for address in self._files.names(f"{RUNS}/{name}")}
        if "begin.json" not in inside:
            return None
        begin = from_json(self._files.read(run_file(name, "begin.json")), Begin)
        attempts = tuple(
            from_json(self._files.read(run_file(name, file)), Attempt)
            for file in sorted(inside)
            if file.startswith("attempt-")
        )
        end = from_json(self._files.read(run_file(name, "end.json")), End) if "end.json" in inside else None
        return Run(begin, attempts, end, alive=end is None and bool(attempts) and self._alive(name, attempts[-1]))

    def _alive(self, name: str, attempt: Attempt) -> bool:
        if attempt.host == socket.gethostname():
            try:
                process = psutil.Process(attempt.process)
                same = abs(process.create_time() - attempt.process_started) < 1
                return bool(same and process.status() != psutil.STATUS_ZOMBIE)
            except psutil.NoSuchProcess:
                return False
        return _now() - max(self._heartbeat(name) or attempt.started, attempt.started) < SILENT

    def _heartbeat(self, name: str) -> datetime | None:
        try:
            return from_json(self._files.read(run_file(name, "heartbeat.json")), datetime)
        except FileNotFoundError:
            return None

    def claim(
        self,
        kind: str,
        parameters: dict[str, str],
        inputs: Callable[[], dict[str, TableVersion]],
        settle: Callable[[Run], object],
    ) -> Claim:
        """Begin a Run, or take over the dead one of the same kind, parameters and code.

        ``settle`` is given the dead others first; then, where a new Run begins, ``inputs`` is asked for the state of
        the tables. Raises RunRefused, naming the other, where a live one is at work on the root.
        """
        number = self._free_number()
        unfinished = [run for run in self.runs() if run.end is None]
        mine = (kind, parameters, code_version())
        same = [run for run in unfinished if (run.begin.kind, run.begin.parameters, run.begin.code_version) == mine]
        name = same[-1].begin.run if same else f"{_now():%Y%m%dt%H%M%S}-{kind}-{secrets.token_hex(3)}"
        attempt = _this_attempt(len(same[-1].attempts) + 1 if same else 1)
        if not self._files.write_once(_claim_file(number), to_json(_Holder(name, attempt))):
            raise RunRefused(_at_work(from_json(self._files.read(_claim_file(number)), _Holder)))
        self._sweep({run.begin.run for run in unfinished})
        for run in unfinished:
            if run.begin.run != name:
                settle(run)
        begin = same[-1].begin if same else Begin(name, kind, parameters, inputs(), code_version(), _who(), _now())
        self._files.write_once(run_file(name, "begin.json"), to_json(begin))
        self._files.write_once(run_file(name, f"attempt-{attempt.number:03}.json"), to_json(attempt))
        return Claim(begin, attempt)

    def _sweep(self, unfinished: set[str]) -> None:
        """Delete what ended Runs left in the staging area when they were killed between their end and the deletion."""
        for address in self._files.names(STAGING):
            if _last_name(address) not in unfinished:
                self._files.delete(address, recursive=True)

    def _free_number(self) -> int:
        """Return the number of the next claim; raise RunRefused where the holder of the last is at work."""
        claims = [int(name) for name in map(_last_name, self._files.names(CLAIMS)) if name.isdecimal()]
        if not claims:
            return 1
        holder = from_json(self._files.read(_claim_file(max(claims))), _Holder)
        if not self._files.exists(run_file(holder.run, "end.json")) and self._alive(holder.run, holder.attempt):
            raise RunRefused(_at_work(holder))
        return max(claims) + 1

    def end(
        self, name: str, started: datetime, outcome: Outcome, counts: Counts, outputs: dict[str, int], detail: str = ""
    ) -> End:
        """Record how a Run ended, once; its staging area is deleted."""
        ended = _now()
        end = End(name, outcome, detail, counts, outputs, (ended - started).total_seconds(), ended)
        self._files.write_once(run_file(name, "end.json"), to_json(end))
        self._files.delete(staging(name), recursive=True)
        return end

    @contextmanager
    def heartbeat(self, claim: Claim) -> Iterator[None]:
        """Tell other machines, while the block runs, that the Run is alive."""
        address = run_file(claim.run, "heartbeat.json")

        def beat(stop: threading.Event) -> None:
            while not stop.wait(HEARTBEAT_SECONDS):
                with (
                    suppress(OSError),
                    self._files.whole(address) as file,
                ):  # the work itself will meet what ails storage
                    file.write(to_json(_now()))

        with in_background(beat, "heartbeat"):
            yield


def _claim_file(number: int) -> str:
    return f"{CLAIMS}/{number:06}"


def _last_name(address: str) -> str:
    return address.rsplit("/", 1)[-1]


def _at_work(holder: _Holder) -> str:
    return (
        f"run {holder.run} (process {holder.attempt.process} on {holder.attempt.host}) has been at work on this root "
        f"since {holder.attempt.started:%Y-%m-%d %H:%M:%S} UTC; wait for it to end"
    )
