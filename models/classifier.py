"""Classifier: texts in, probabilities out; and the one place that makes one from its ModelCard."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.model_card import ModelCard


class ModelError(ValueError):
    """A model's folder is not what its card says, or may not be loaded: the run must not start or go on."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a Classifier says of ``n`` texts, in input order.

    ``probabilities`` is (n, len(card.codes)) float32, each row in [0, 1] with a sum of at most 1. ``windows`` is (n,)
    int32, the windows that each text was read in; ``truncated`` is (n,) bool, whether any of it was left unread.
    ``rejections[i]`` is the reason for which text ``i`` cannot be coded, or None; its probabilities then mean nothing.
    """

    probabilities: NDArray[np.float32]
    windows: NDArray[np.int32]
    truncated: NDArray[np.bool_]
    rejections: tuple[str | None, ...]


class Classifier(Protocol):
    """A model in memory."""

    card: ModelCard

    def classify(self, texts: Sequence[str], languages: Sequence[str]) -> Prediction:
        """Classify texts; ``languages[i]`` is the primary language of text ``i``, one of ``card.languages``.

        A text's result does not depend on its neighbours. Safe to call from several threads.
        """
        ...


def check_model(card: ModelCard) -> None:
    """Raise ModelError where the folder of a card is not what the card says, as far as that shows without torch."""
    if card.kind == "transformers":
        from models.checkpoint import Checkpoint

        Checkpoint(card)
        missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
        if missing:
            raise ModelError(f"model {card.name} needs {' and '.join(missing)}: pip install babelbeam[transformers]")
    else:
        load_classifier(card)


def load_classifier(card: ModelCard) -> Classifier:
    """Load the model of a card from ``card.address``; raise ModelError where the folder is not what the card says."""
    if card.kind == "transformers":
        from models.transformer import TransformerClassifier

        return TransformerClassifier(card)
    if card.kind == "linear":
        from models.linear import LinearClassifier

        return LinearClassifier(card)
    from models.dictionary import DictionaryClassifier

    return DictionaryClassifier(card)
