"""A classify that is killed when half of its Units are done, and the same command again: what is reused, what redone."""

import argparse
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from _corpus import command, last_line, run, table, write_csv

from schemas.work import Plan
from storage.files import Files
from storage.ledger import Ledger
from storage.tables import dataset, snapshot
from transforms.route import read_plan


def _receipts(root: Path) -> set[str]:
    return {path.stem for path in root.glob("_staging/*/receipts/*.json")}


def _started(root: Path) -> set[str]:
    return {path.stem.rsplit("-", 1)[-1] for path in root.glob("_staging/*/attempt-*/**/*.parquet")}


def kill_at_half(root: Path) -> tuple[Plan, set[str], set[str]]:
    """Start classify, kill it when half of its Units have a Receipt; return the plan, the Units done and those begun."""
    with subprocess.Popen(
        command("classify", "--root", str(root)), start_new_session=True, stdout=subprocess.DEVNULL
    ) as process:
        plan = None
        while process.poll() is None:
            (run_begun,) = (found for found in Ledger(Files(str(root))).runs() if found.begin.kind == "classify") or (
                None,
            )
            plan = plan or (read_plan(Files(str(root)), run_begun.begin.run) if run_begun else None)
            if plan and 2 * len(_receipts(root)) >= len(plan.units):
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.01)
    assert plan is not None
    done = _receipts(root)
    return plan, done, _started(root) - done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 texts instead of 400,000, within a minute")
    count = 100_000 if parser.parse_args().quick else 400_000
    with tempfile.TemporaryDirectory() as folder:
        file, root = Path(folder) / "texts.csv", Path(folder) / "root"
        write_csv(file, count)
        assert run("import", str(file), "--root", str(root), "--source", "bench").code == 0
        plan, done, begun = kill_at_half(root)
        assert run("classify", "--root", str(root)).code == 0
        files = Files(str(root))
        rows: Counter[str] = Counter()
        for name in ("codings", "rejections"):
            rows.update(dataset(files, snapshot(files, name)).to_table(["document_id"])["document_id"].to_pylist())
    table(("units", "done at the kill", "in hand", "documents"), [(len(plan.units), len(done), len(begun), count)])
    last_line(
        units=len(plan.units),
        reused=len(done),
        redone=len(begun),
        lost=count - len(rows),
        doubled=sum(number > 1 for number in rows.values()),
    )


if __name__ == "__main__":
    main()
