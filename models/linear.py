"""The linear classifier: hashed n-grams times weights; and the model that the domain detector shares with it."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.sparse import csr_array, hstack  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import HashingVectorizer

from models.classifier import ModelError, Prediction
from models.digest import check_digest
from schemas.model_card import ModelCard

WEIGHTS = "weights.safetensors"
WINDOW = 2000
"""Characters that are looked at together; a longer text is read in several windows."""

_BATCH = 512
_LONGEST = 8  # characters or words in an n-gram
_WORD = r"\w+|[^\w\s]"  # marks such as § # ? are words: they tell a law from a tweet
_ADDRESS = re.compile(r"https?://\S+|@\w+")
_PICTURES = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]+")
_PLAIN: dict[int, int | str] = {
    **str.maketrans("123456789", "000000000"),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}


def windows(text: str, size: int = WINDOW) -> list[str]:
    """Cut a text into pieces of at most ``size`` characters, between words wherever a word is not longer than that.

    All but white space between pieces is in exactly one of them; a text without any other character is one piece.
    """
    pieces, start = [], len(text) - len(text.lstrip())
    while len(text) - start > size:
        space = next((end for end in range(start + size, start, -1) if text[end].isspace()), start + size)
        pieces.append(text[start:space].rstrip())
        start = next((begin for begin in range(space, len(text)) if not text[begin].isspace()), len(text))
    return [*pieces, text[start:]] if start < len(text) or not pieces else pieces


def _plain(text: str) -> str:
    """Make all digits 0, all web addresses one, all users one and all pictographs one: which they are tells little.

    Surrogates, which are no characters and cannot be hashed, become U+FFFD.
    """
    text = text.translate(_PLAIN)
    if "@" in text or "://" in text:
        text = _ADDRESS.sub(lambda match: " @0 " if match[0].startswith("@") else " http ", text)
    return text if text.isascii() else _PICTURES.sub(" ☺ ", text)


def _scaled(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 + log of counts from a table: numpy's own log differs in the last bit between processors."""
    whole = counts.astype(np.int64)
    table = [0.0, *(1 + math.log(count) for count in range(1, int(whole.max(initial=0)) + 1))]
    return np.array(table, np.float32)[whole]


@dataclass(frozen=True, slots=True)
class Features:
    """Counts of hashed n-grams of characters within words and of words; ``*_max = 0`` leaves a kind out.

    Raises ValueError where a number is out of range. Nothing is learned, so equal Features mean equal columns.
    """

    char_min: int = 3
    char_max: int = 4
    char_buckets: int = 2**15
    word_max: int = 2
    word_buckets: int = 2**15

    def __post_init__(self) -> None:
        if self.char_max and not 1 <= self.char_min <= self.char_max <= _LONGEST:
            raise ValueError(f"char_min={self.char_min}, char_max={self.char_max}; allowed: 1 to {_LONGEST}")
        if not 0 <= self.word_max <= _LONGEST or not (self.char_max or self.word_max):
            raise ValueError(f"word_max={self.word_max}; allowed: 0 to {_LONGEST}, and not 0 along with char_max")
        for name in ("char_buckets", "word_buckets"):
            if not 1 <= getattr(self, name) <= 2**22:
                raise ValueError(f"{name}={getattr(self, name)}; allowed: 1 to {2**22}")

    @staticmethod
    def of(settings: Mapping[str, float]) -> "Features":
        """Take the numbers that are Features from a card's settings; raise ValueError where one is not whole."""
        known = {field.name: settings[field.name] for field in fields(Features) if field.name in settings}
        for name, value in known.items():
            if value != int(value):
                raise ValueError(f"{name}={value} but should be a whole number")
        return Features(**{name: int(value) for name, value in known.items()})

    @property
    def width(self) -> int:
        """The number of columns."""
        return (self.char_buckets if self.char_max else 0) + (self.word_buckets if self.word_max else 0)

    def _vectorizers(self) -> Iterator[HashingVectorizer]:
        shared = {"alternate_sign": False, "norm": None, "dtype": np.float32}
        if self.char_max:
            lengths = (self.char_min, self.char_max)
            yield HashingVectorizer(analyzer="char_wb", ngram_range=lengths, n_features=self.char_buckets, **shared)
        if self.word_max:
            lengths, columns = (1, self.word_max), self.word_buckets
            yield HashingVectorizer(token_pattern=_WORD, ngram_range=lengths, n_features=columns, **shared)

    def matrix(self, texts: Sequence[str]) -> csr_array:
        """Return one row of float32 per text: 1 + log(count) of each n-gram, of length 1 unless there are none."""
        plain = [_plain(text) for text in texts]
        blocks = [vectorizer.transform(plain) for vectorizer in self._vectorizers()]
        counts = csr_array(hstack(blocks, format="csr", dtype=np.float32))
        counts.data = _scaled(counts.data)
        rows = np.repeat(np.arange(len(texts)), np.diff(counts.indptr))
        lengths = np.sqrt(np.bincount(rows, counts.data.astype(np.float64) ** 2, minlength=len(texts)))
        counts.data /= lengths[rows].astype(np.float32)
        return counts


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear model in memory: ``weights`` is (features.width, classes), ``bias`` (classes,), both float32."""

    features: Features
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, classes) float32; a text's row does not depend on its neighbours."""
        batches = [self._batch(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
        return np.concatenate(batches) if batches else np.zeros((0, len(self.bias)), np.float32)

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        scores = (self.features.matrix(texts) @ self.weights + self.bias) / np.float32(self.temperature)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True), dtype=np.float32)
        shares: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return shares


def save_linear(folder: Path, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    """Write ``weights.safetensors`` into a folder, the weights as float16; equal arrays make equal bytes."""
    arrays: dict[str, NDArray[Any]] = {
        "weights": weights.astype(np.float16, order="C"),
        "bias": bias.astype(np.float32, order="C"),
    }
    (folder / WEIGHTS).write_bytes(save(arrays))  # which takes memory as it lies: a transposed array would be scrambled


def load_linear(folder: Path, settings: Mapping[str, float], classes: int) -> Linear:
    """Read a linear model of ``classes`` classes; raise ModelError, naming the file, where it is not what it should."""
    path = folder / WEIGHTS
    try:
        features, arrays = Features.of(settings), load_file(path)
        temperature = settings.get("temperature", 1.0)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} but should be over 0")
        weights = _array(arrays, "weights", (features.width, classes))
        return Linear(features, weights, _array(arrays, "bias", (classes,)), temperature)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path}: {error}") from error


def _array(arrays: Mapping[str, NDArray[np.float32]], name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in arrays:
        raise ValueError(f"there is no {name!r}, only {sorted(arrays)}")
    array = arrays[name]
    if array.shape != shape or array.dtype not in (np.float16, np.float32):
        raise ValueError(f"{name} is {array.dtype} {array.shape} but should be float16 or float32 {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return array.astype(np.float32)


class LinearClassifier:
    """A model of kind ``linear``: ``weights.safetensors`` in the card's folder, its Features in the card's settings.

    A text of more than 2,000 characters is read in windows; its probabilities are the mean of theirs by length.
    """

    def __init__(self, card: ModelCard) -> None:
        check_digest(card)
        self.card = card
        self._linear = load_linear(Path(card.address), card.settings, len(card.codes))

    def classify(self, texts: Sequence[str], languages: Sequence[str]) -> Prediction:  # noqa: ARG002
        """Classify texts of any of the card's languages alike; none is rejected or left unread in part."""
        pieces = [windows(text) for text in texts]
        counts = np.array([len(piece) for piece in pieces], np.int32)
        shares = self._linear.probabilities([window for piece in pieces for window in piece])
        lengths = np.array([max(len(window), 1) for piece in pieces for window in piece], np.float32)
        probabilities = np.zeros((len(texts), len(self.card.codes)), np.float32)
        rows = np.repeat(np.arange(len(texts)), counts)
        np.add.at(probabilities, rows, shares * lengths[:, None])
        probabilities /= np.bincount(rows, lengths, minlength=len(texts)).astype(np.float32)[:, None]
        return Prediction(probabilities, counts, np.zeros(len(texts), np.bool_), (None,) * len(texts))
