"""Kills of whole process groups at random moments: the same command again ends with the same rows."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.files import Files
from storage.ledger import Ledger
from tests.roots import table

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]

KILLS = 10
CORPUS = Path(__file__).parent.parent / "pipelines" / "demo" / "corpus.csv"
Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 4,500 rows of the embedded corpus, with a few that repeat."""
    path = tmp_path_factory.mktemp("upload") / "texts.csv"
    rows = list(csv.reader(CORPUS.read_text(encoding="utf-8", errors="replace").splitlines()))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        for number in range(30):
            writer.writerows([f"{row[0]}-{number}", *row[1:]] for row in rows[1:151])
        writer.writerows(rows[1:3])
    return path


def _words(root: Path, upload: Path) -> list[str]:
    command = [sys.executable, "-m", "pipelines", "classify", "--root", str(root), "--input", str(upload)]
    return [*command, "--source", "test", "--codebook", "cap", "sentiment3"]


def _published(root: Path) -> Rows:
    return {
        "documents": table(str(root), "documents", "document_id", "version", "text_digest"),
        "codings": table(str(root), "codings", "document_id", "codebook", "language", "domain", "code", "score"),
        "rejections": table(str(root), "rejections", "document_id", "row", "codebook", "reason", "step"),
        "duplicates": table(str(root), "duplicates", "document_id", "row"),
    }


def _run_or_kill(words: list[str], seconds: float | None) -> bool:
    """Run a command to its end, or kill its process group after some seconds; say whether it was killed."""
    with subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        try:
            assert process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return True
    return False


def test_random_kills_lose_nothing_and_double_nothing(upload: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    assert not _run_or_kill(_words(tmp_path / "undisturbed", upload), None)
    seconds = time.monotonic() - started
    expected = _published(tmp_path / "undisturbed")
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments, kills, roots = random.Random(seed), 0, 0
    while kills < KILLS:
        root = tmp_path / f"root-{roots}"
        roots += 1
        while _run_or_kill(_words(root, upload), moments.uniform(0.1, 1.1) * seconds):
            kills += 1
        assert _published(root) == expected
        assert [run.state for run in Ledger(Files(str(root))).runs() if run.state != "done"] == []
        assert not list(root.glob("_staging/*/*"))
    print(f"kills={kills} roots={roots}")
