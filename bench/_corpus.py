"""What the benchmarks share: a corpus of any size made from the embedded one, commands run and measured, results."""

import csv
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

SEED = 20260131
SHORTEST = 40


def sentences() -> list[tuple[str, str]]:
    """Return the domain and the text of the codable rows of the embedded corpus."""
    corpus = files("pipelines").joinpath("demo", "corpus.csv").read_bytes().decode(errors="replace")
    rows = list(csv.DictReader(corpus.splitlines()))
    return [(row["domain"], row["text"]) for row in rows if not row["id"].startswith("bad-") and row["text"]]


def short_texts(count: int) -> Iterator[tuple[str, str]]:
    """Yield the domain and the text of ``count`` short texts, no two alike: one or two sentences, numbered."""
    chosen = random.Random(SEED)
    pieces = [(domain, part) for domain, text in sentences() for part in text.split(". ") if len(part) > SHORTEST]
    for number in range(count):
        domain, text = chosen.choice(pieces)
        yield domain, f"{text} ({number})."


def write_csv(path: Path, count: int) -> None:
    """Write ``count`` short texts as a researcher would bring them; a third of them declare their domain."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "domain", "text"])
        for number, (domain, text) in enumerate(short_texts(count)):
            writer.writerow([f"n{number:08}", domain if number % 3 == 0 else "", text])


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mib: float


def command(*words: str) -> list[str]:
    """Return the words of a babelbeam command that runs in this environment."""
    return [sys.executable, "-m", "pipelines", *words]


def run(*words: str) -> Measured:
    """Run a babelbeam command and measure the whole process; stop where it fails."""
    started = time.monotonic()
    with subprocess.Popen(command(*words), stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"babelbeam {' '.join(words)} ended with {process.returncode}")
    return Measured(time.monotonic() - started, usage.ru_maxrss / 1024)


def table(header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Print a table of right-aligned columns."""
    cells = [header, *(tuple(f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(header))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def last_line(**values: float) -> None:
    """Print the figures, as the last line: name=value pairs."""
    print(
        " ".join(
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
        )
    )
