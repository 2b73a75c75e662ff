import json
from pathlib import Path
from typing import Any

import pytest

from models.pool import ModelPool
from models.registry import open_registry
from pipelines.detect import DetectionFlags
from schemas.coding import Coding
from schemas.run import Counts
from schemas.work import Unit
from storage.files import Files
from storage.ledger import Ledger
from storage.tables import dataset, snapshot
from tests.roots import SPEECHES, babelbeam, imported, published_files, table, write_csv
from transforms import classify as classify_transform

CODED = [
    ("test:a1", "cap@1", "en", "parlspeech", "1"),
    ("test:a2", "cap@1", "en", "media", "3"),
    ("test:a3", "cap@1", "de", "parlspeech", "1"),
    ("test:a6", "cap@1", "en", "media", "3"),
]
REJECTED = [
    ("test:a4", "cap@1", "pl", "media", "no model"),
    ("test:a5", "cap@1", "en", "media", "no term found"),
]


def _codings(root: str) -> list[tuple[object, ...]]:
    return table(root, "codings", "document_id", "codebook", "language", "domain", "code")


def _rejections(root: str) -> list[tuple[object, ...]]:
    return table(root, "rejections", "document_id", "codebook", "language", "domain", "reason")


def test_every_document_is_coded_or_rejected(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    assert (_codings(root), _rejections(root)) == (CODED, REJECTED)
    assert published_files(root, "_staging") == []


def test_the_pipeline_publishes_what_the_functions_compute(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root, "--codebook", "cap", "sentiment3") == 0
    settings = DetectionFlags().settings()
    texts = [text for *_, text in SPEECHES]
    detected = settings.language().detect(texts)[0]
    expected = []
    for card in open_registry().cards:
        known = [row for row in SPEECHES if row[1] in card.languages]
        found = ModelPool().classifier(card).classify([row[3] for row in known], [row[1] for row in known])
        for row, scores, rejected in zip(known, found.probabilities, found.rejections, strict=True):
            if rejected is None:
                best = int(scores.argmax())
                said = detected[SPEECHES.index(row)]
                expected.append(
                    (f"test:{row[0]}", card.codebook, card.codes[best], float(scores[best]), card.model, said)
                )
    columns = ("document_id", "codebook", "code", "score", "model", "language_detected")
    assert table(root, "codings", *columns) == sorted(expected, key=repr)


def test_the_same_command_again_codes_nothing_anew(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    before = published_files(root, "codings")
    assert babelbeam("classify", "--root", root) == 0
    assert published_files(root, "codings") == before
    assert _rejections(root) == REJECTED


def test_the_same_file_again_adds_nothing(tmp_path: Path) -> None:
    root = imported(tmp_path)
    before = published_files(root, "documents")
    assert imported(tmp_path) == root
    assert published_files(root, "documents") == before
    duplicates = table(root, "duplicates", "document_id", "row")
    assert duplicates == [(f"test:{row[0]}", number) for number, row in enumerate(SPEECHES, 2)]


def test_late_documents_are_coded_and_the_others_left_alone(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    before = published_files(root, "codings")
    late = write_csv(tmp_path / "late.csv", [("b1", "en", "media", "The school hired teachers for its pupils.")])
    assert babelbeam("import", late, "--root", root, "--source", "test") == 0
    assert babelbeam("classify", "--root", root) == 0
    assert _codings(root) == [*CODED, ("test:b1", "cap@1", "en", "media", "6")]
    assert set(before) < set(published_files(root, "codings"))


def test_another_codebook_is_settled_by_itself(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    assert babelbeam("classify", "--root", root, "--codebook", "sentiment3", "--max-rejected", "1") in (0, 1)
    books = {book for (book,) in table(root, "codings", "codebook") + table(root, "rejections", "codebook")}
    assert books == {"cap@1", "sentiment3@1"}
    assert [row for row in _codings(root) if row[1] == "cap@1"] == CODED


def test_a_changed_text_becomes_the_next_version_and_its_coding_is_replaced(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    changed = write_csv(tmp_path / "new.csv", [("a2", "en", "media", "The school hired teachers for its pupils.")])
    assert babelbeam("import", changed, "--root", root, "--source", "test") == 1
    assert ("test:a2", "known id with another text") in table(root, "rejections", "document_id", "reason")
    assert babelbeam("import", changed, "--root", root, "--source", "test", "--replace") == 0
    assert babelbeam("classify", "--root", root) == 0
    assert table(root, "codings", "document_id", "version", "code") == [
        ("test:a1", 1, "1"),
        ("test:a2", 2, "6"),
        ("test:a3", 1, "1"),
        ("test:a6", 1, "3"),
    ]


def test_what_is_detected_anew_leaves_its_old_partition(tmp_path: Path) -> None:
    undeclared = [(name, "", domain, text) for name, _, domain, text in SPEECHES[:3]]
    root = imported(tmp_path, undeclared)
    assert babelbeam("classify", "--root", root) == 0
    assert _codings(root) == CODED[:3]
    sure = ["--language-threshold", "1", "--max-rejected", "1"]
    assert babelbeam("classify", "--root", root, *sure) == 1
    assert _codings(root) == []
    assert _rejections(root) == [
        (document, "cap@1", "und", domain, "undetermined language") for document, _, _, domain, _ in CODED[:3]
    ]
    assert published_files(root, "codings") == []
    assert babelbeam("classify", "--root", root) == 0
    assert _codings(root) == CODED[:3]


def test_the_public_columns_are_those_of_the_noun_and_flat(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    files = Files(root)
    found = dataset(files, snapshot(files, "codings")).to_table()
    assert found.column_names == list(Coding.__dataclass_fields__)
    assert set(found["text"].to_pylist()) | set(found["probabilities"].to_pylist()) == {None}


def test_declared_wins_over_the_source_and_both_over_the_detectors(tmp_path: Path) -> None:
    text = "O hospital contratou enfermeiros e os pacientes esperam menos pela cirurgia."
    rows = [("p1", "pt-BR", "news", text), ("p2", "", "", text), ("p3", "es", "", text)]
    file, root = write_csv(tmp_path / "saude.csv", rows), str(tmp_path / "root")
    words = ("import", file, "--root", root, "--source", "test", "--domain", "social media", "--language", "Portuguese")
    assert babelbeam(*words) == 0
    assert babelbeam("classify", "--root", root) == 0
    columns = ("id", "language", "language_tag", "language_source", "language_detected", "language_confidence")
    assert table(root, "codings", *columns) == [
        ("p1", "pt", "pt-BR", "declared", "pt", 1.0),
        ("p2", "pt", "pt", "source", "pt", 1.0),
        ("p3", "es", "es", "declared", "pt", 1.0),
    ]
    assert table(root, "codings", "id", "domain", "domain_source") == [
        ("p1", "media", "declared"),
        ("p2", "social", "source"),
        ("p3", "social", "source"),
    ]


@pytest.mark.parametrize("detector", ["langdetect", "lingua"])
def test_every_detector_drops_in_by_one_flag(detector: str, tmp_path: Path) -> None:
    pytest.importorskip(detector)
    root = imported(tmp_path, [(name, "", domain, text) for name, _, domain, text in SPEECHES])
    assert babelbeam("classify", "--root", root, "--language-detector", detector) == 0
    assert _codings(root) == CODED


def test_codes_that_people_gave_go_to_a_table_of_their_own(tmp_path: Path) -> None:
    header = ("id", "year", "major_topic", "text")
    rows = [("1", "2019", "3", SPEECHES[1][3]), ("2", "2020", "77", SPEECHES[0][3]), ("3", "2020", "", SPEECHES[4][3])]
    file, root = write_csv(tmp_path / "coded.csv", rows, header), str(tmp_path / "root")
    assert babelbeam("import", file, "--root", root, "--source", "test", "--coder", "anna") == 0
    annotations = table(root, "annotations", "document_id", "codebook", "code", "label", "coder")
    assert annotations == [("test:1", "cap@1", "3", "Health", "anna")]
    assert table(root, "rejections", "document_id", "codebook", "step", "reason", "detail") == [
        ("test:2", "cap@1", "annotate", "unknown code", "77")
    ]
    assert table(root, "documents", "document_id", "year") == [("test:1", 2019), ("test:2", 2020), ("test:3", 2020)]
    assert table(root, "codings", "document_id") == []


def test_texts_and_probabilities_are_published_on_request(tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root, "--with-text", "--probabilities") == 0
    texts = {f"test:{name}": text for name, _, _, text in SPEECHES}
    for document, text, code, score, probabilities in table(
        root, "codings", "document_id", "text", "code", "score", "probabilities"
    ):
        assert text == texts[str(document)]
        vector = json.loads(str(probabilities))
        assert vector[str(code)] == pytest.approx(score, abs=1e-6)
        assert len(vector) == 21


def test_a_failing_run_says_so_first_and_publishes_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = imported(tmp_path, [SPEECHES[3]])
    assert babelbeam("classify", "--root", root) == 1
    assert "cap@1: nothing was coded; all 1 rows were rejected: no model (1)" in capsys.readouterr().err.splitlines()[0]
    assert _rejections(root) == REJECTED[:1]
    assert [run.state for run in Ledger(Files(root)).runs()] == ["done", "failed"]


def test_an_error_leaves_a_run_that_the_same_command_finishes_without_redoing_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = imported(tmp_path)
    done: list[str] = []
    real = classify_transform.classify

    def failing(files: Files, unit: Unit, *rest: Any) -> Counts:
        if len(done) == 1:
            raise OSError("the plug was pulled")
        counts = real(files, unit, *rest)
        done.append(unit.unit)
        return counts

    monkeypatch.setattr(classify_transform, "classify", failing)
    with pytest.raises(Exception, match="the plug was pulled"):
        babelbeam("classify", "--root", root, "--codebook", "cap", "sentiment3")
    assert _codings(root) == []
    again: list[str] = []

    def counting(files: Files, unit: Unit, *rest: Any) -> Counts:
        again.append(unit.unit)
        return real(files, unit, *rest)

    monkeypatch.setattr(classify_transform, "classify", counting)
    attempts = [run for run in Ledger(Files(root)).runs() if run.begin.kind == "classify"]
    assert [(run.end, len(run.attempts)) for run in attempts] == [(None, 1)]
    _pretend_dead(root)
    assert babelbeam("classify", "--root", root, "--codebook", "cap", "sentiment3") == 0
    assert set(done).isdisjoint(again)
    assert [row for row in _codings(root) if row[1] == "cap@1"] == CODED
    (run,) = (run for run in Ledger(Files(root)).runs() if run.begin.kind == "classify")
    assert (run.state, len(run.attempts)) == ("done", 2)


def _pretend_dead(root: str) -> None:
    """Let the last to claim the root look like a process that is gone."""
    path = max((Path(root) / "runs" / "_claims").iterdir())
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"process": ', '"process": 9999'), encoding="utf-8")
