"""Training: the same texts make the same bytes, and the shipped detector is what its command makes."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from models.detectors import DETECTOR_CARD, DOMAIN_DETECTOR, DomainDetector
from models.linear import WEIGHTS
from models.training import score, train_linear
from pipelines.train_starter import LANGUAGES, LICENCES, Options, run

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
SETTINGS = {"char_min": 3.0, "char_max": 3.0, "char_buckets": 256.0, "word_max": 1.0, "word_buckets": 256.0}
TEXTS = ["the court dismisses", "lol so funny", "the appeal is dismissed", "omg lol"] * 5
LABELS = ["judiciary", "social"] * 10


def trained_bytes(folder: Path, seed: int) -> bytes:
    folder.mkdir()
    train_linear(TEXTS, LABELS, SETTINGS, seed).save(folder)
    return (folder / WEIGHTS).read_bytes()


def test_equal_arguments_make_equal_bytes(tmp_path: Path) -> None:
    first, again, other = (trained_bytes(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first == again
    assert first != other


@pytest.mark.parametrize("kinds", [2, 3])
def test_two_labels_are_learned_as_well_as_three(kinds: int) -> None:
    texts, labels = ["alpha one", "beta two", "gamma three"][:kinds] * 9, ["media", "party", "social"][:kinds] * 9
    trained = train_linear(texts, labels, SETTINGS, seed=0)
    assert trained.labels == tuple(sorted(set(labels)))
    shares = trained.linear.probabilities(texts)
    assert [trained.labels[index] for index in shares.argmax(axis=1)] == labels


def test_a_rare_label_counts_as_much_as_a_common_one_unless_weights_say_otherwise() -> None:
    texts, labels = ["same"] * 30, ["media"] * 29 + ["party"]
    balanced = train_linear(texts, labels, SETTINGS, seed=0).linear.probabilities(["same"])[0]
    plain = train_linear(texts, labels, SETTINGS, seed=0, weights=[1.0] * 30).linear.probabilities(["same"])[0]
    assert balanced[1] > 0.3
    assert plain[1] < 0.2


@pytest.mark.parametrize(
    ("texts", "labels", "settings", "message"),
    [
        (["a"], ["media"], SETTINGS, "at least two"),
        (["a", "b"], ["media", "party", "social"], SETTINGS, "2 texts have 3 labels"),
        (["a", "b"], ["media", "party"], {**SETTINGS, "char_buckets": 2.0**20}, "more than 3000000"),
        (["a", "b"], ["media", "party"], {**SETTINGS, "char_max": 2.0}, "char_max=2"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    texts: list[str], labels: list[str], settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train_linear(texts, labels, settings, seed=0)


def test_scores_leave_out_what_was_not_found() -> None:
    found = score(["media", "media", "party", "social"], ["media", "party", "party", "und"])
    assert (found.rows, found.coverage, found.accuracy) == (4, 0.75, 2 / 3)
    assert found.macro_f1 == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="none of 1 rows"):
        score(["media"], ["und"])


def test_no_licence_that_forbids_shipping_is_in_the_list() -> None:
    for stated in LICENCES:
        assert not any(word in stated for word in ("NC", "NonCommercial", "GPL", "research", "may apply", "(c)"))


def test_phrases_are_written_for_every_language_and_domain_alike() -> None:
    files = sorted((DOMAIN_DETECTOR / "phrases").iterdir())
    assert [file.stem for file in files] == list(LANGUAGES)
    for file in files:
        phrases = tomllib.loads(file.read_text(encoding="utf-8"))
        assert len(phrases) == 8
        for several in phrases.values():
            assert len(several) == len(set(several)) >= 10


def test_shipped_weights_are_small_and_named_by_their_digest() -> None:
    assert (DOMAIN_DETECTOR / WEIGHTS).stat().st_size < 3_000_000
    card = DomainDetector().card
    assert card.licence == "CC-BY-SA-4.0"
    assert np.isfinite([evaluation.value for evaluation in card.evaluations]).all()


def test_a_folder_without_labelled_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no labelled texts"):
        run(Options(str(tmp_path), str(tmp_path)))


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
def test_the_shipped_detector_is_made_again_byte_for_byte(tmp_path: Path) -> None:
    assert run(Options(str(DATA), str(tmp_path))) == 0
    for name in (WEIGHTS, DETECTOR_CARD):
        assert (tmp_path / DOMAIN_DETECTOR.name / name).read_bytes() == (DOMAIN_DETECTOR / name).read_bytes(), name
