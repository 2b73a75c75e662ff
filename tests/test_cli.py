import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.__main__ import COMMANDS
from tests.roots import SPEECHES, babelbeam, imported, published_files, table, write_csv


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        assert "CI" not in os.environ, "mounting a file system is not permitted here, and CI must not skip this"
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _command(*words: str) -> tuple[int, str]:
    """Run a command in a process of its own; return its exit code and what it printed as errors."""
    done = subprocess.run([sys.executable, "-m", "pipelines", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert babelbeam(name, "--help") == 0
    printed = capsys.readouterr().out
    assert f"usage: babelbeam {name}" in printed
    assert f"babelbeam {name}" in printed.split("Examples:")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "unknown command 'nonsense'"),
        (["classify"], "--root"),
        (["classify", "--root", "r", "--codebok", "cap"], "unknown flags: --codebok cap"),
        (["runs", "--root", "r", "--runner", "FnApiRunner"], "--runner"),
        (
            ["classify", "--root", "r", "--codebook", "kap"],
            "unknown codebook 'kap'; codebooks: cap-media2@1, cap-minor@1",
        ),
        (["classify", "--root", "r", "--language-detector", "guess"], "unknown language detector 'guess'; detectors:"),
        (["classify", "--root", "r", "--languages", "hu", "qq"], "'qq'"),
        (
            ["classify", "--root", "r", "--language-threshold", "2"],
            "--language-threshold is 2.0 but should be in [0, 1]",
        ),
        (["classify", "--root", "r", "--max-rejected", "7"], "--max-rejected is 7.0 but should be in [0, 1]"),
        (["classify", "--root", "r", "--input", "f.csv"], "--input and --source go together"),
        (["classify", "--root", "r", "--models", "nowhere"], "nowhere does not exist"),
        (["classify", "--root", "r"], "there are no documents under"),
        (["classify", "--root", ""], "the root is empty"),
        (["report", "--root", "r"], "there are no runs under"),
        (["report", "x", "--root", "r"], "no run 'x' under"),
        (["codebooks", "kap"], "unknown codebook 'kap'"),
        (["route", "--language", "Martian"], "language 'martian' is not a primary language"),
        (["import", "nowhere.csv", "--root", "r", "--source", "s"], "no such file: nowhere.csv"),
        (["import", "nowhere.csv", "--root", "r", "--source", "../s"], "source '../s' is not allowed"),
        (["import", "--root", "r", "--source", "s"], "no file is named"),
    ],
)
def test_bad_usage_ends_with_2_and_says_what_is_allowed(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert babelbeam(*words) == 2
    printed = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert message in printed
    assert "Traceback" not in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty"),
        ("header.csv", b"id,text\n", "a header but no rows"),
        ("columns.csv", b"id,speech\n1,x\n", "id, speech"),
        ("twice.csv", b"id,text,text\n1,x,y\n", "more than one column is called 'text'"),
        ("broken.parquet", b"PAR1 this is no footer PAR1", "broken.parquet"),
        ("broken.xlsx", b"this is no workbook", "broken.xlsx"),
        ("speeches.docx", b"words", "of no known format"),
        ("wide.csv", "id,text\n1,x\n".encode("utf-16"), "utf-16"),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_2_before_anything_is_written(
    name: str, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert babelbeam("import", str(tmp_path / name), "--root", str(tmp_path / "root"), "--source", "s") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


def test_a_file_in_another_encoding_is_rejected_row_by_row_and_read_once_the_encoding_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "latin.csv"
    file.write_bytes("id,text\n1,Les élèves étudient à l'école.\n2,Les médecins soignent.\n".encode("latin-1"))
    words = ("import", str(file), "--root", str(tmp_path / "root"), "--source", "s")
    assert babelbeam(*words) == 1
    assert "all 2 rows were rejected: undecodable bytes (2)" in capsys.readouterr().err.splitlines()[0]
    assert babelbeam(*words, "--encoding", "latin-1") == 0
    texts = table(str(tmp_path / "root"), "documents", "text")
    assert texts == [("Les élèves étudient à l'école.",), ("Les médecins soignent.",)]


def test_a_column_of_ids_that_comes_too_late_is_not_overlooked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, root = tmp_path / "late.jsonl", str(tmp_path / "root")
    lines = ['{"text": "A speech."}'] * 6000 + ['{"text": "Another speech.", "id": "7"}']
    file.write_text("\n".join(lines), encoding="utf-8")
    assert babelbeam("import", str(file), "--root", root, "--source", "s") == 1
    assert "columns id first appear near row 5001; put a row that has every column first" in capsys.readouterr().err
    assert table(root, "documents", "document_id") == []


def test_damage_under_the_root_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    (document,) = published_files(root, "documents")
    Path(root, document).unlink()
    (grouped,) = Path(root, "grouped").iterdir()
    grouped.write_bytes(b"PAR1 damaged PAR1")
    capsys.readouterr()
    code, errors = _command("classify", "--root", root)
    assert (code, errors.count("\n")) == (1, 1)
    assert f"cannot open {root}/{document}: No such file or directory" in errors


def test_a_root_that_cannot_be_written_ends_with_1(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "speeches.csv", SPEECHES)
    with _mounted(tmp_path / "mount", "ro") as root:
        code, errors = _command("import", file, "--root", str(root), "--source", "s")
    assert code == 1
    assert "Read-only file system" in errors
    assert "Traceback" not in errors


def test_a_disk_that_fills_publishes_nothing_by_half_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with _mounted(tmp_path / "mount", "size=2m") as mount:
        root = imported(mount)
        ballast = mount / "ballast"
        free = os.statvfs(mount)
        ballast.write_bytes(b"x" * (free.f_bavail * free.f_bsize - 60_000))
        code, errors = _command("classify", "--root", root, "--codebook", "cap", "sentiment3")
        assert code == 1
        assert "full" in errors or "No space left" in errors
        assert "Traceback" not in errors
        assert table(root, "codings", "document_id") == []
        ballast.unlink()
        code, errors = _command("classify", "--root", root, "--codebook", "cap", "sentiment3")
        assert (code, errors) == (0, "")
        assert len(table(root, "codings", "document_id")) == 5


def test_runs_and_report_say_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    capsys.readouterr()
    assert babelbeam("runs", "--root", root) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "test" in line or "done" in line]
    assert [(words[1], words[4], words[5:8]) for words in lines] == [
        ("import", "done", ["6", "0", "0"]),
        ("classify", "done", ["4", "2", "0"]),
    ]
    assert babelbeam("report", lines[1][0], "--root", root) == 0
    printed = capsys.readouterr().out
    for row in (
        "cap@1 en media 2",
        "cap@1 de parlspeech 1",
        "cap@1 pl media no model 1",
        "cap@1 en media no term found 1",
    ):
        assert row in [" ".join(line.split()) for line in printed.splitlines()]
    assert f"codings: {root}/codings (version 0)" in printed


def test_classify_can_import_first(tmp_path: Path) -> None:
    file, root = write_csv(tmp_path / "speeches.csv", SPEECHES), str(tmp_path / "root")
    assert babelbeam("classify", "--root", root, "--input", file, "--source", "test") == 0
    assert len(table(root, "codings", "document_id")) == 4


def test_detect_shows_the_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = imported(tmp_path)
    capsys.readouterr()
    assert babelbeam("detect", "--root", root) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    sizes = {
        group: sum(len(row[3]) for row in SPEECHES if row[1:3] == group) for group in {row[1:3] for row in SPEECHES}
    }
    counts = {group: sum(row[1:3] == group for row in SPEECHES) for group in sizes}
    for (language, domain), characters in sizes.items():
        assert f"{language} {domain} {counts[language, domain]} {characters}" in rows
