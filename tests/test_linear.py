"""The linear classifier: what it looks at, how long texts are read, and which folders it refuses."""

from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file

from models.classifier import ModelError, Prediction, load_classifier
from models.linear import WEIGHTS, Features, LinearClassifier, save_linear, windows
from models.training import train_linear
from schemas.model_card import ModelCard

CODES = ("negative", "neutral", "positive")
SETTINGS = {"char_min": 3.0, "char_max": 4.0, "char_buckets": 512.0, "word_max": 1.0, "word_buckets": 512.0}
TEXTS = [
    "a terrible disaster",
    "a meeting on Tuesday",
    "a wonderful success",
    "bad and ugly",
    "at noon",
    "good and fine",
]
ENGLISH = ["en"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    train_linear(TEXTS, [*CODES, *CODES], SETTINGS, seed=1).save(made)
    return made


def card(folder: Path, codes: tuple[str, ...] = CODES, **settings: float) -> ModelCard:
    kept = {**SETTINGS, **settings}
    return ModelCard("m", "1", "linear", "sentiment3@1", ("en",), ("*",), codes, "none", "", str(folder), settings=kept)


def classify(folder: Path, *texts: str, **settings: float) -> Prediction:
    return LinearClassifier(card(folder, CODES, **settings)).classify(texts, ENGLISH * len(texts))


def test_a_model_read_back_says_what_it_was_trained_to_say(folder: Path) -> None:
    found = load_classifier(card(folder)).classify(TEXTS, ENGLISH * len(TEXTS))
    assert [CODES[index] for index in found.probabilities.argmax(axis=1)] == [*CODES, *CODES]
    assert found.probabilities.dtype == np.float32
    assert np.allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
    assert found.windows.tolist() == [1] * 6
    assert not found.truncated.any()
    assert found.rejections == (None,) * 6


def test_a_result_does_not_depend_on_neighbours_or_on_the_batch(folder: Path) -> None:
    alone = classify(folder, TEXTS[0]).probabilities[0]
    among = classify(folder, *["word " * count for count in range(600)], TEXTS[0]).probabilities[-1]
    assert alone.tobytes() == among.tobytes()


def test_no_texts_have_no_probabilities(folder: Path) -> None:
    assert classify(folder).probabilities.shape == (0, 3)


def test_threads_get_what_one_thread_gets(folder: Path) -> None:
    model, results = LinearClassifier(card(folder)), list[bytes]()

    def work() -> None:
        results.append(model.classify(TEXTS * 20, ENGLISH * 120).probabilities.tobytes())

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 4


def test_a_long_text_is_read_to_its_end_in_windows(folder: Path) -> None:
    good, bad = "wonderful success " * 111, "terrible disaster " * 111
    found = classify(folder, good + bad, good, bad)
    assert found.windows.tolist() == [2, 1, 1]
    assert not found.truncated.any()
    both, first, second = found.probabilities
    assert np.allclose(both, (first + second) / 2, atol=1e-3)


def test_windows_weigh_by_their_length(folder: Path) -> None:
    good, bad = "wonderful success " * 111, "terrible disaster"
    both, first, second = classify(folder, good + bad, good, bad).probabilities
    assert np.allclose(both, (first * 1997 + second * 17) / 2014, atol=1e-3)


@given(st.text(), st.integers(1, 20))
def test_windows_keep_every_character_but_white_space(text: str, size: int) -> None:
    pieces = windows(text, size)
    assert pieces
    assert all(len(piece) <= size for piece in pieces) or not text.strip()
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_windows_end_between_words() -> None:
    assert windows("one two three four", 9) == ["one two", "three", "four"]
    assert windows("abcdefgh", 3) == ["abc", "def", "gh"]
    assert windows("  ", 3) == [""]


@pytest.mark.parametrize("text", ["", " \n", "\0", "\ud800", "😀" * 3000, "x" * 10_000])
def test_any_text_is_classified(folder: Path, text: str) -> None:
    assert np.isfinite(classify(folder, text).probabilities).all()


def test_a_temperature_makes_a_model_less_sure(folder: Path) -> None:
    sure = classify(folder, TEXTS[0]).probabilities.max()
    assert classify(folder, TEXTS[0], temperature=3.0).probabilities.max() < sure


def test_counts_are_scaled_and_rows_have_length_one() -> None:
    matrix = Features(char_max=0, word_max=1, word_buckets=64).matrix(["a a a b", ""])
    values = sorted(matrix[[0]].data.tolist())
    assert values[1] / values[0] == pytest.approx(1 + np.log(3))
    assert sum(value**2 for value in values) == pytest.approx(1)
    assert matrix[[1]].nnz == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [("§ 12", "§ 98"), ("see https://a.b/c", "see https://x.y"), ("@anna hi", "@bob hi"), ("wow 😀", "wow 🎉🎉")],
)
def test_which_number_address_user_or_picture_it_is_does_not_matter(one: str, other: str) -> None:
    first, second = Features().matrix([one, other]).toarray()
    assert (first == second).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"char_min": 5.0}, "char_min=5"),
        ({"word_max": 9.0}, "word_max=9"),
        ({"word_buckets": 0.0}, "word_buckets=0"),
        ({"char_buckets": 512.5}, "char_buckets=512.5"),
        ({"temperature": 0.0}, "temperature=0"),
        ({"char_buckets": 256.0}, "should be float16 or float32 (768, 3)"),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder: Path, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        classify(folder, "", **settings)
    assert message in str(caught.value)
    assert WEIGHTS in str(caught.value)


def test_weights_for_other_codes_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"weights is float16 \(1024, 3\) but should be .* \(1024, 2\)"):
        LinearClassifier(card(folder, CODES[:2]))


def test_a_folder_without_readable_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=WEIGHTS):
        LinearClassifier(card(tmp_path))
    (tmp_path / WEIGHTS).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=WEIGHTS):
        LinearClassifier(card(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"bias": np.zeros(3, np.float32)}, "no 'weights'"),
        ({"weights": np.zeros((1024, 3), np.float32)}, "no 'bias'"),
        ({"weights": np.zeros((1024, 3), np.int8), "bias": np.zeros(3, np.float32)}, "int8"),
        ({"weights": np.zeros((1024, 3), np.float32), "bias": np.zeros(1, np.float32)}, "bias is float32 (1,)"),
        ({"weights": np.full((1024, 3), np.nan, np.float32), "bias": np.zeros(3, np.float32)}, "not finite"),
    ],
)
def test_wrong_tensors_are_refused(tmp_path: Path, arrays: dict[str, NDArray[Any]], message: str) -> None:
    save_file(arrays, tmp_path / WEIGHTS)
    with pytest.raises(ModelError) as caught:
        LinearClassifier(card(tmp_path))
    assert message in str(caught.value)


def test_a_transposed_array_is_saved_as_it_reads(tmp_path: Path) -> None:
    weights = np.arange(3072, dtype=np.float32).reshape(3, 1024).T / np.float32(3072)
    save_linear(tmp_path, weights, np.zeros(3, np.float32))
    assert np.allclose(LinearClassifier(card(tmp_path))._linear.weights, weights, atol=1e-3)
