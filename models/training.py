"""Training: the weights of a linear model, and how well a detector does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import f1_score

from models.linear import Features, Linear, save_linear
from schemas.group import UNDETERMINED

LARGEST = 3_000_000
"""Bytes that a model's weights may have: they ship in the package and in the sdist that Beam stages."""

_ROUNDS = 20
_ALPHA = 1e-5  # the best of 3e-6 to 1e-4 on sources that were not trained on


@dataclass(frozen=True, slots=True)
class Trained:
    """A linear model: ``labels[i]`` is what its output ``i`` means, ``settings`` are those of its card."""

    linear: Linear
    labels: tuple[str, ...]
    settings: dict[str, float]

    def save(self, folder: Path) -> None:
        """Write the weights into a folder, which must be there."""
        save_linear(folder, self.linear.weights, self.linear.bias)


def train_linear(
    texts: Sequence[str],
    labels: Sequence[str],
    settings: Mapping[str, float],
    seed: int,
    weights: Sequence[float] | None = None,
) -> Trained:
    """Train a linear model, logistic and one against the rest; equal arguments give equal bits on any processor.

    ``weights`` say how much each text counts; without them every label counts the same. Raises ValueError where there
    are fewer than two labels, numbers of texts and labels differ, or the weights would have more than 3 MB.
    """
    names = sorted(set(labels))
    if len(names) < 2:  # noqa: PLR2004
        raise ValueError(f"labels {names}: a classifier needs at least two")
    if len(texts) != len(labels):
        raise ValueError(f"{len(texts)} texts have {len(labels)} labels")
    features = Features.of(settings)
    if features.width * len(names) * 2 > LARGEST:
        raise ValueError(f"{features.width} columns x {len(names)} labels x 2 bytes are more than {LARGEST}")
    mass = _balanced(labels) if weights is None else np.array(weights, np.float64)
    coefficients, bias = _fit(features, texts, labels, mass * len(mass) / mass.sum(), seed)
    rounded = coefficients.astype(np.float16).astype(np.float32)  # as they will be read back
    linear = Linear(features, rounded, bias, settings.get("temperature", 1.0))
    return Trained(linear, tuple(names), dict(settings))


def _balanced(labels: Sequence[str]) -> NDArray[np.float64]:
    _, where, counts = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[where], np.float64)


def _fit(
    features: Features,
    texts: Sequence[str],
    labels: Sequence[str],
    mass: NDArray[np.float64],
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (columns, labels) and (labels,); SGD has no sums by BLAS, whose order varies between processors."""
    model = SGDClassifier(
        loss="log_loss", alpha=_ALPHA, average=True, max_iter=_ROUNDS, tol=None, random_state=seed, n_jobs=1
    )
    model.fit(features.matrix(texts), np.array(labels), sample_weight=mass)
    coefficients, bias = model.coef_.T, model.intercept_
    if coefficients.shape[1] == 1:  # of two labels scikit-learn keeps the second's alone
        coefficients, bias = np.hstack([-coefficients, coefficients]) / 2, np.concatenate([-bias, bias]) / 2
    return coefficients.astype(np.float32), bias.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Scores:
    """How well labels were found: of ``rows``, the share that got one, and accuracy and macro-F1 of those."""

    rows: int
    coverage: float
    accuracy: float
    macro_f1: float


def score(truth: Sequence[str], found: Sequence[str]) -> Scores:
    """Compare labels with those found, of which ``und`` is none; raise ValueError where none was found at all."""
    pairs = [(right, label) for right, label in zip(truth, found, strict=True) if label != UNDETERMINED]
    if not pairs:
        raise ValueError(f"none of {len(truth)} rows got a label")
    right, labels = zip(*pairs, strict=True)
    accuracy = sum(one == other for one, other in pairs) / len(pairs)
    macro = f1_score(right, labels, labels=sorted(set(right)), average="macro", zero_division=0.0)
    return Scores(len(truth), len(pairs) / len(truth), accuracy, float(macro))
