"""A classify that is killed when half of its Units are done, and the same command again: what is reused, what redone.

A Unit is reused if its published files were written before the kill, redone if it was begun before the kill and is not
reused.
"""

import argparse
import os
import signal
import subprocess
import sys
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


def _units(files: list[Path]) -> set[str]:
    return {path.stem.rsplit("-", 1)[-1] for path in files}


def _plan(files: Files) -> Plan | None:
    runs = [found.begin.run for found in Ledger(files).runs() if found.begin.kind == "classify"]
    return read_plan(files, runs[-1]) if runs else None


def kill_at_half(root: Path) -> tuple[Plan, set[str]]:
    """Start classify, kill it when half of its Units have a Receipt; return the plan and the Units it had begun."""
    words = command("classify", "--root", str(root))
    with subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        plan = None
        while process.poll() is None:
            plan = plan or _plan(Files(str(root)))
            if plan and 2 * len(list(root.glob("_staging/*/receipts/*.json"))) >= len(plan.units):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return plan, _units(list(root.glob("_staging/*/attempt-*/**/*.parquet")))
            time.sleep(0.01)
    sys.exit("classify ended before half of its units were seen done")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 texts instead of 400,000, within a minute")
    count = 100_000 if parser.parse_args().quick else 400_000
    with tempfile.TemporaryDirectory() as folder:
        file, root = Path(folder) / "texts.csv", Path(folder) / "root"
        write_csv(file, count)
        run("import", str(file), "--root", str(root), "--source", "bench")
        plan, begun = kill_at_half(root)
        killed = time.time()
        run("classify", "--root", str(root))
        published = [path for name in ("codings", "rejections") for path in root.glob(f"{name}/**/*.parquet")]
        reused = _units([path for path in published if path.stat().st_mtime < killed])
        rows: Counter[str] = Counter()
        for name in ("codings", "rejections"):
            found = dataset(Files(str(root)), snapshot(Files(str(root)), name)).to_table(["document_id"])
            rows.update(found["document_id"].to_pylist())
    redone = begun - reused
    table(
        ("units", "begun", "reused", "redone", "documents"),
        [(len(plan.units), len(begun), len(reused), len(redone), count)],
    )
    doubled = sum(number > 1 for number in rows.values())
    last_line(units=len(plan.units), reused=len(reused), redone=len(redone), lost=count - len(rows), doubled=doubled)


if __name__ == "__main__":
    main()
