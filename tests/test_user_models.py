"""Models that a user brings: a folder is refused before anything starts, or routed before the starter models."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.model_card import ModelCard
from tests.roots import SPEECHES, babelbeam, imported, table
from tests.tiny_models import Bomb, one_thread, train_tiny_model

pytest.importorskip("torch", reason="a transformers model needs torch")

TEXTS = [text for _, language, _, text in SPEECHES if language == "en"][:3]
CODES = ("999", "1", "3")


def _write_card(folder: Path, **changes: str) -> None:
    lines = {
        "model": '"test/tiny"',
        "revision": '"1"',
        "kind": '"transformers"',
        "codebook": '"cap@1"',
        "languages": '["en"]',
        "domains": '["*"]',
        "codes": str(list(CODES)).replace("'", '"'),
        "licence": '"none"',
        "description": '"memorises three texts"',
        "max_tokens": "64",
        "stride": "8",
    } | changes
    folder.joinpath("card.toml").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a model that has learnt by heart that its first text is 999, its second 1 and its third 3."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    with one_thread():
        card: ModelCard = train_tiny_model(folder, TEXTS, CODES, "cap@1")
    assert card.codes == CODES
    _write_card(folder)
    return folder


@pytest.fixture
def models(tiny: Path, tmp_path: Path) -> Path:
    """Return a folder of models with a copy of the tiny one, to be spoiled."""
    copy = tmp_path / "models" / "tiny"
    copy.mkdir(parents=True)
    for path in tiny.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return tmp_path / "models"


def test_a_language_model_of_the_user_codes_before_the_pooled_starter(models: Path, tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root, "--models", str(models)) == 0
    reason = "language transformers model, chosen from 2"
    assert table(root, "codings", "document_id", "code", "model", "route") == [
        ("test:a1", "999", "test/tiny", reason),
        ("test:a2", "1", "test/tiny", reason),
        ("test:a3", "1", "babelbeam/cap-dictionary", "pooled dictionary model"),
        ("test:a5", "3", "test/tiny", reason),
        ("test:a6", "1", "test/tiny", reason),
    ]


def test_what_another_model_found_nothing_in_is_coded_when_a_model_comes(models: Path, tmp_path: Path) -> None:
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root) == 0
    before = table(root, "codings", "document_id", "code", "model")
    assert babelbeam("classify", "--root", root, "--models", str(models)) == 0
    assert table(root, "codings", "document_id", "code", "model") == sorted([*before, ("test:a5", "3", "test/tiny")])
    assert babelbeam("classify", "--root", root, "--models", str(models)) == 0
    assert len(table(root, "codings", "document_id")) == len(before) + 1


def test_routes_of_the_user_overrule_the_preference(models: Path, tmp_path: Path) -> None:
    row = {"codebook": "cap", "language": "en", "domain": "media", "model": "babelbeam/cap-dictionary"}
    lines = "".join(f'{key} = "{value}"\n' for key, value in row.items())
    models.joinpath("routes.toml").write_text(f"[[route]]\n{lines}")
    root = imported(tmp_path)
    assert babelbeam("classify", "--root", root, "--models", str(models)) == 0
    assert table(root, "codings", "document_id", "model") == [
        ("test:a1", "test/tiny"),
        ("test:a2", "babelbeam/cap-dictionary"),
        ("test:a3", "babelbeam/cap-dictionary"),
        ("test:a6", "babelbeam/cap-dictionary"),
    ]


def _pickled(folder: Path) -> None:
    folder.joinpath("pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    folder.joinpath("model.safetensors").unlink()


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickled": (_pickled, "pickled"),
    "narrow": (lambda folder: _write_card(folder, codes='["999", "1"]'), "3 labels .* but the card has 2 codes"),
    "no tokenizer": (lambda folder: folder.joinpath("tokenizer.json").unlink(), "there is no tokenizer"),
    "no codebook": (lambda folder: _write_card(folder, codebook='"kap"'), "unknown codebook 'kap'"),
    "no card key": (lambda folder: _write_card(folder, colour='"red"'), "unknown keys \\['colour'\\]"),
    "not its digest": (lambda folder: _write_card(folder, digest='"00"'), "the digest of its files is"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_model_that_is_not_what_its_card_says_is_refused_before_the_run(
    name: str, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, message = SPOILT[name]
    spoil(models / "tiny")
    root = imported(tmp_path)
    capsys.readouterr()
    assert babelbeam("classify", "--root", root, "--models", str(models)) == 2
    errors = capsys.readouterr().err
    assert re.search(message, errors)
    assert "Traceback" not in errors
    assert [kind for (kind,) in table(root, "codings", "document_id")] == []
    assert len(list(Path(root, "runs").glob("*-classify-*"))) == 0
