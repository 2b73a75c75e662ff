"""Peak memory of import, of classify and of a second classify that finds all settled, as the corpus grows tenfold.

growth = the peak of import and first classify at the larger size / the same at the smaller; again = that of the second.
"""

import argparse
import tempfile
from pathlib import Path

from _corpus import last_line, run, table, write_csv


def peaks(count: int) -> tuple[float, float, float]:
    """Return the peak memory of the import and of the two classify commands on ``count`` texts, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        file, root = Path(folder) / "texts.csv", f"{folder}/root"
        write_csv(file, count)
        imported = run("import", str(file), "--root", root, "--source", "bench")
        classified = run("classify", "--root", root)
        again = run("classify", "--root", root)
        return imported.peak_mib, classified.peak_mib, again.peak_mib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 and 100,000 texts, within a minute")
    counts = (10_000, 100_000) if parser.parse_args().quick else (100_000, 1_000_000)
    found = [peaks(count) for count in counts]
    rows = [(f"{count:,}", *peak) for count, peak in zip(counts, found, strict=True)]
    table(("texts", "import MiB", "classify MiB", "again MiB"), rows)
    (*smaller, smaller_again), (*larger, larger_again) = found
    growth, again = max(larger) / max(smaller), larger_again / smaller_again
    last_line(smaller=counts[0], larger=counts[1], growth=growth, again=again)


if __name__ == "__main__":
    main()
