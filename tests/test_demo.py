import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from storage.files import Files
from storage.query import ask
from storage.tables import dataset, snapshot

EXPECTED = Path(__file__).parent / "data" / "demo_expected.csv"
CORPUS = Path(__file__).parent.parent / "pipelines" / "demo" / "corpus.csv"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("demo") / "root"
    words = [sys.executable, "-m", "pipelines", "demo", "--root", str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return root, done.stdout


def _rows(root: Path, table: str) -> list[dict[str, object]]:
    files = Files(str(root))
    return list(dataset(files, snapshot(files, table)).to_table().to_pylist())


def _outcomes(root: Path, codebook: str) -> dict[str, str]:
    """The code or the rejection reason of every row that has an id, by that id."""
    found: dict[str, str] = {}
    for row in _rows(root, "codings"):
        if row["codebook"] == codebook:
            assert found.setdefault(str(row["id"]), str(row["code"])) == row["code"]
    for row in _rows(root, "rejections"):
        if row["codebook"] == codebook:
            assert str(row["id"]) not in found
            found[str(row["id"])] = str(row["reason"])
    return found


def _expected(column: str) -> dict[str, str]:
    with EXPECTED.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row[column] for row in csv.DictReader(file)}


def _not_imported(root: Path) -> dict[int, str]:
    return {int(str(row["row"])): str(row["reason"]) for row in _rows(root, "rejections") if row["step"] == "import"}


@pytest.mark.parametrize("codebook", ["cap", "sentiment3"])
def test_named_rows_get_the_expected_code_or_reason(demo: tuple[Path, str], codebook: str) -> None:
    root, _ = demo
    bad = ("no text", "unknown language", "unknown domain", "ragged row", "undecodable bytes")
    expected = {name: code for name, code in _expected(codebook).items() if code not in bad}
    assert len(expected) >= 120
    assert _outcomes(root, f"{codebook}@1") == expected
    assert sum(code not in ("no model", "no term found", "undetermined language") for code in expected.values()) >= 100


def test_rows_that_cannot_be_imported_are_named_by_row_and_reason(demo: tuple[Path, str]) -> None:
    root, _ = demo
    assert _not_imported(root) == {
        174: "no text",
        175: "no id",
        176: "unknown language",
        177: "unknown domain",
        180: "id repeated with another text",
        182: "ragged row",
        183: "undecodable bytes",
    }


def test_the_row_that_stands_twice_is_a_duplicate_of_the_first(demo: tuple[Path, str]) -> None:
    root, _ = demo
    found = [(row["document_id"], row["row"], row["duplicate_of"]) for row in _rows(root, "duplicates")]
    ((document, row, earlier),) = found
    assert (document, row) == ("demo:en-001", 179)
    assert str(earlier).endswith("corpus.csv row 38")


def test_every_row_of_the_file_has_exactly_one_outcome(demo: tuple[Path, str]) -> None:
    root, _ = demo
    rows = len(CORPUS.read_bytes().splitlines()) - 1
    documents, duplicates = len(_rows(root, "documents")), len(_rows(root, "duplicates"))
    assert documents + duplicates + len(_not_imported(root)) == rows
    for codebook in ("cap@1", "sentiment3@1"):
        assert len(_outcomes(root, codebook)) == documents


def test_the_demo_ends_with_a_query_that_can_be_pasted(demo: tuple[Path, str]) -> None:
    root, printed = demo
    assert f"codings: {root}/codings" in printed
    sql = printed.split("$ duckdb\n")[1].split("LIMIT 8")[0] + "LIMIT 8"
    header, rows = ask(sql)
    for row in rows:
        assert re.search(r"\s+".join(re.escape(str(cell)) for cell in row), printed)
    assert header == ["label", "texts", "languages"]


def test_folders_are_partitions_that_any_reader_opens(demo: tuple[Path, str]) -> None:
    root, _ = demo
    _, rows = ask(f"SELECT count(*) FROM read_parquet('{root}/codings/**/*.parquet', hive_partitioning = true)")
    assert rows == [(len(_rows(root, "codings")),)]
    assert {path.name for path in (root / "codings").glob("codebook=*")} == {"codebook=cap@1", "codebook=sentiment3@1"}
    assert not list(root.glob("_staging/*/*"))
