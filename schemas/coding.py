"""Coding: one model's decision about one Document under one Codebook; Annotation: the same by a person."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Segment = Literal["document"]
"""What was coded; paragraphs and sentences are to come."""


@dataclass(frozen=True, slots=True)
class Coding:
    """One row of the published ``codings`` table; analysts write these names into their scripts.

    ``code_2`` and ``code_3`` are the runners-up, null where the Codebook or the model has no more. ``score`` is the
    probability of ``code``. ``route`` says why this model was chosen. ``windows`` is the number of windows the text
    was read in, ``truncated`` whether any of it was left unread. ``text`` is there with ``--with-text`` and
    ``probabilities``, a JSON object from code to probability, with ``--probabilities``, else null. The last three are
    the partitions.
    """

    document_id: str
    version: int
    code: str
    label: str
    score: float
    code_2: str | None
    score_2: float | None
    code_3: str | None
    score_3: float | None
    model: str
    revision: str
    route: str
    language_tag: str
    language_confidence: float
    language_source: str
    language_detected: str
    domain_confidence: float
    domain_source: str
    domain_detected: str
    segment: Segment
    parent_id: str | None
    sequence: int
    windows: int
    truncated: bool
    translated_from: str | None
    id: str | None
    title: str | None
    url: str | None
    source: str
    published: date | None
    year: int | None
    run: str
    text: str | None
    probabilities: str | None
    codebook: str
    language: str
    domain: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """One row of the ``annotations`` table: a code that a person gave, as it came with an imported file."""

    document_id: str
    code: str
    label: str
    coder: str
    source: str
    run: str
    codebook: str
