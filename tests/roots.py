"""What the end-to-end tests share: a small corpus, commands run in this process, and what lies under a root."""

import csv
from collections.abc import Sequence
from pathlib import Path

from pipelines.__main__ import main
from storage.files import Files
from storage.tables import dataset, snapshot

SPEECHES = [
    ("a1", "en", "parlspeech", "Inflation and unemployment are rising and the budget deficit is a disaster."),
    ("a2", "en", "media", "The hospital hired nurses and patients wait less for surgery."),
    ("a3", "de", "parlspeech", "Die Inflation steigt und die Arbeitslosigkeit auch."),
    ("a4", "pl", "media", "Sejm przyjął ustawę o emeryturach po długiej debacie."),
    ("a5", "en", "media", "Nothing that anybody would look for stands here at all."),
    ("a6", "en", "media", "The hospital hired nurses and patients wait less for surgery."),
]


def write_csv(
    path: Path, rows: Sequence[tuple[str, ...]], header: tuple[str, ...] = ("id", "language", "domain", "text")
) -> str:
    """Write a CSV file; return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return str(path)


def babelbeam(*words: str) -> int:
    """Run a command in this process; return its exit code."""
    return main(list(words))


def imported(folder: Path, rows: Sequence[tuple[str, ...]] = SPEECHES) -> str:
    """Import a few documents under a new root; return the root."""
    root = str(folder / "root")
    file = write_csv(folder / "speeches.csv", rows)
    assert babelbeam("import", file, "--root", root, "--source", "test") == 0
    return root


def table(root: str, name: str, *columns: str) -> list[tuple[object, ...]]:
    """Return some columns of a published table, sorted."""
    files = Files(root)
    rows = dataset(files, snapshot(files, name)).to_table(list(columns)).to_pylist()
    return sorted((tuple(row[column] for column in columns) for row in rows), key=repr)


def published_files(root: str, name: str) -> list[str]:
    """Return the addresses of the files that lie in a table's folder, whatever the table says of them."""
    return [file for file in Files(root).find(name) if file.endswith(".parquet") and "_delta_log" not in file]
