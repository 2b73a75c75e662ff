"""The dictionary classifier: terms of each code, matched at the beginnings of words; the most matches win."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import ahocorasick
import msgspec
import numpy as np
from numpy.typing import NDArray

from models.classifier import ModelError, Prediction
from models.digest import check_digest
from schemas.model_card import ModelCard
from schemas.run import NO_TERM

_WORDS = re.compile(r"\w+")


class _Bare(dict[int, int | None]):
    """What becomes of a character: nothing of a combining mark or a soft hyphen. Filled as characters are met."""

    def __missing__(self, point: int) -> int | None:
        character = chr(point)
        gone = unicodedata.combining(character) or unicodedata.category(character) == "Cf"
        return self.setdefault(point, None if gone else point)


_BARE = _Bare()


def fold(text: str) -> str:
    """Return the text's words without case, combining marks or soft hyphens, with a space round each.

    Words are runs of letters, digits and '_'. NFKD takes the accents off é and ő; ß becomes ss; æ and ø stay.
    """
    bare = text if text.isascii() else unicodedata.normalize("NFKD", text).translate(_BARE)
    return f" {' '.join(_WORDS.findall(bare.casefold()))} "


class _Terms:
    """The terms of one language, as an automaton over folded text."""

    def __init__(self, terms: Mapping[str, Sequence[str]], codes: Sequence[str], origin: str) -> None:
        self._automaton = ahocorasick.Automaton()
        for code, words in terms.items():
            if code not in codes:
                raise ModelError(f"{origin}: code {code!r} is not in the card's list {list(codes)}")
            for word in words:
                self._add(word, codes.index(code), origin)
        if not len(self._automaton):
            raise ModelError(f"{origin}: no terms")
        self._automaton.make_automaton()

    def _add(self, word: str, index: int, origin: str) -> None:
        whole = fold(word.removesuffix("$"))
        if not whole.strip():
            raise ModelError(f"{origin}: term {word!r} has no letter or digit")
        key = whole if word.endswith("$") else whole.rstrip()
        if key in self._automaton:
            raise ModelError(f"{origin}: term {word!r} stands twice")
        self._automaton.add_word(key, (len(key), index))

    def counts(self, text: str, width: int) -> NDArray[np.float32]:
        """Return how often the terms of each code match; of terms that overlap only the first and longest counts."""
        found = np.zeros(width, np.float32)
        longest: dict[int, tuple[int, int]] = {}
        for last, (length, index) in self._automaton.iter(fold(text)):
            start = last - length + 1
            if start not in longest or longest[start][0] < length:
                longest[start] = (length, index)
        free = 0
        for start, (length, index) in sorted(longest.items()):
            if start >= free:
                found[index] += 1
                free = start + length - 1  # the space after a whole word may begin the next term
        return found


class DictionaryClassifier:
    """Terms per language and code, from one TOML file a language in the card's folder (``hu.toml``, ``[terms]``).

    The probability of a code is its share of the matches, with one match more in the denominator, so that a single
    match is 0.5 and doubt shrinks as matches grow. A text without a match is rejected: that is not "no content".
    """

    def __init__(self, card: ModelCard) -> None:
        check_digest(card)
        self.card = card
        self._terms = {language: self._read(language) for language in card.languages}

    def _read(self, language: str) -> _Terms:
        path = Path(self.card.address) / f"{language}.toml"
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            terms = msgspec.convert(data["terms"], dict[str, list[str]])
        except FileNotFoundError:
            raise ModelError(f"model {self.card.name}: {path} is missing, but the card codes {language!r}") from None
        except (KeyError, ValueError) as error:
            raise ModelError(f"model {self.card.name}: {path} is not a TOML file with [terms]: {error}") from error
        return _Terms(terms, self.card.codes, str(path))

    def classify(self, texts: Sequence[str], languages: Sequence[str]) -> Prediction:
        """Count the terms of each text's own language; equal counts go to the code that the card lists first."""
        width = len(self.card.codes)
        counts = [self._terms[language].counts(text, width) for text, language in zip(texts, languages, strict=True)]
        found = np.stack(counts) if counts else np.zeros((0, width), np.float32)
        total = found.sum(axis=1)
        return Prediction(
            probabilities=found / (total + 1)[:, None],
            windows=np.ones(len(texts), np.int32),
            truncated=np.zeros(len(texts), np.bool_),
            rejections=tuple(None if matches else NO_TERM for matches in total),
        )
