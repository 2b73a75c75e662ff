"""ModelPool: the Classifiers in memory, each loaded once per process and shared by its threads."""

import threading

from models.classifier import Classifier, load_classifier
from schemas.model_card import ModelCard


class ModelPool:
    """Loads a Classifier the first time its card is asked for, and keeps it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._classifiers: dict[tuple[str, str], Classifier] = {}

    def classifier(self, card: ModelCard) -> Classifier:
        """Return the Classifier of a card; raise ModelError where its folder is not what the card says."""
        with self._lock:
            key = (card.name, card.address)
            if key not in self._classifiers:
                self._classifiers[key] = load_classifier(card)
            return self._classifiers[key]
