"""Classify: the texts of a Unit through its model; codings, rejections and a Receipt in the staging area."""

import json
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.shared import Shared
from numpy.typing import NDArray

from models.classifier import Classifier, Prediction
from models.pool import ModelPool
from models.registry import Registry, open_registry
from schemas.arrow import table_of
from schemas.codebook import codebook
from schemas.coding import Coding
from schemas.run import Count, CountKey, Counts, Rejection
from schemas.version import check_version, code_version
from schemas.work import Receipt, Unit
from storage.files import Files, from_json, to_json
from storage.layout import receipt_file
from storage.shards import Staging, read_slice
from transforms.detect import by_group

_KEPT = (
    *("document_id", "version", "translated_from", "id", "title", "url", "source", "published", "year"),
    *("language", "domain", "language_tag", "language_confidence", "language_source", "language_detected"),
    *("domain_confidence", "domain_source", "domain_detected", "text"),
)
_STEP = "classify"


@dataclass(frozen=True, slots=True)
class ClassifySettings:
    """What Classify works by: the Run, the folder of models, and whether codings carry texts and all probabilities."""

    run: str
    models: str | None
    with_text: bool
    probabilities: bool


def distinct(rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the first of equal texts in one language, and for each row the number of its own."""
    keys = pc.binary_join_element_wise(rows["text_digest"], rows["language"], " ").combine_chunks()
    inverse = keys.dictionary_encode().indices.to_numpy()
    return np.unique(inverse, return_index=True)[1], inverse


def predict(rows: pa.Table, classifier: Classifier) -> Prediction:
    """Classify rows in order; equal texts are classified once."""
    first, inverse = distinct(rows)
    unique = rows.select(["text", "language"]).take(first)
    found = classifier.classify(unique["text"].to_pylist(), unique["language"].to_pylist())
    rejections = tuple(found.rejections[number] for number in inverse)
    return Prediction(found.probabilities[inverse], found.windows[inverse], found.truncated[inverse], rejections)


def _ranked(probabilities: NDArray[np.float32], codes: tuple[str, ...]) -> dict[str, pa.Array]:
    """Return code, score, code_2 … score_3; of equal probabilities the code listed first; null where there is none."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    columns: dict[str, pa.Array] = {}
    for rank, suffix in enumerate(("", "_2", "_3")):
        if rank >= order.shape[1]:
            columns |= {f"code{suffix}": pa.nulls(len(order), pa.string())}
            columns |= {f"score{suffix}": pa.nulls(len(order), pa.float32())}
            continue
        best = order[:, rank]
        scores = np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0]
        none = (scores <= 0) & (rank > 0)
        columns[f"code{suffix}"] = pa.array(np.array(codes, object)[best], pa.string(), mask=none)
        columns[f"score{suffix}"] = pa.array(scores, pa.float32(), mask=none)
    return columns


def _vectors(probabilities: NDArray[np.float32], codes: tuple[str, ...]) -> pa.Array:
    """Return each row as a JSON object from code to probability, to six decimals: flat, as CSV and Stata take it."""
    rounded = probabilities.astype(np.float64).round(6).tolist()
    return pa.array([json.dumps(dict(zip(codes, row, strict=True))) for row in rounded], pa.string())


def codings(rows: pa.Table, found: Prediction, classifier: Classifier, settings: ClassifySettings) -> pa.Table:
    """Return the Codings of rows none of which the model rejected, with the noun's columns in the noun's order."""
    card, size = classifier.card, rows.num_rows
    columns = {name: rows[name] for name in (*_KEPT, "route")}
    columns |= _ranked(found.probabilities, card.codes)
    labels = {code: codebook(card.codebook).label(code) for code in card.codes}
    columns["label"] = pa.array([labels[code] for code in columns["code"].to_pylist()], pa.string())
    columns["windows"] = pa.array(found.windows, pa.int32())
    columns["truncated"] = pa.array(found.truncated, pa.bool_())
    if not settings.with_text:
        columns["text"] = pa.nulls(size, pa.string())
    wanted = settings.probabilities
    columns["probabilities"] = _vectors(found.probabilities, card.codes) if wanted else pa.nulls(size, pa.string())
    return table_of(
        Coding,
        size,
        columns,
        model=card.model,
        revision=card.revision,
        codebook=codebook(card.codebook).id,
        segment="document",
        parent_id=None,
        sequence=0,
        run=settings.run,
    )


def rejections(rows: pa.Table, book: str, reasons: list[str], run: str) -> pa.Table:
    """Return the Rejections of rows, each with its own reason and, from its column ``route``, its detail."""
    columns = {name: rows[name] for name in ("document_id", "version", "id", "language", "domain")}
    columns |= {"reason": pa.array(reasons, pa.string()), "detail": rows["route"]}
    nothing = dict.fromkeys(("file", "row"))
    return table_of(Rejection, rows.num_rows, columns, codebook=book, run=run, step=_STEP, **nothing)


def _counts(outcome: str, rows: pa.Table, book: str, reason: str | None = None) -> Iterator[Count]:
    by = ["language", "domain", "reason"] if reason is None else ["language", "domain"]
    for row in rows.group_by(by).aggregate([([], "count_all")]).to_pylist():
        key = CountKey(outcome, book, row["language"], row["domain"], row.get("reason", reason or ""))
        yield Count(key, row["count_all"])


def _read_unit(files: Files, unit: Unit) -> pa.Table:
    parts = []
    for piece, route in zip(unit.slices, unit.routes, strict=True):
        columns = [*_KEPT, "text_digest"] if unit.model else ["document_id", "version", "id", "language", "domain"]
        rows = read_slice(files, piece, columns)
        parts.append(rows.append_column("route", pa.array([route] * rows.num_rows, pa.string())))
    return pa.concat_tables(parts)


def _stage(staging: Staging, unit: Unit, coded: pa.Table | None, rejected: pa.Table) -> Counts:
    counts = list(_counts("rejected", rejected, unit.codebook))
    staging.write("rejections", {"step": _STEP}, unit.unit, rejected)
    for group, rows in by_group(coded) if coded is not None else ():
        partition = {"codebook": unit.codebook, "language": group.language, "domain": group.domain}
        staging.write("codings", partition, unit.unit, rows)
        counts += _counts("coded", rows, unit.codebook, reason="")
    return Counts.of(counts)


def classify(
    files: Files, unit: Unit, registry: Registry, pool: ModelPool, settings: ClassifySettings, staging: Staging
) -> Counts:
    """Code every row of a Unit or reject it with a reason; stage both; return the counts."""
    rows = _read_unit(files, unit)
    if not unit.model:
        rejected = rejections(rows, unit.codebook, [unit.reason] * rows.num_rows, settings.run)
        return _stage(staging, unit, None, rejected)
    classifier = pool.classifier(registry.card(unit.model, unit.revision))
    found = predict(rows, classifier)
    good = np.array([reason is None for reason in found.rejections], np.bool_)
    kept = Prediction(found.probabilities[good], found.windows[good], found.truncated[good], ())
    coded = codings(rows.filter(pa.array(good)), kept, classifier, settings)
    bad = rows.filter(pa.array(~good))
    details = pc.binary_join_element_wise(classifier.card.name, bad["route"], ": ")
    bad = bad.set_column(bad.schema.get_field_index("route"), "route", details)
    reasons = [reason for reason in found.rejections if reason is not None]
    return _stage(staging, unit, coded, rejections(bad, unit.codebook, reasons, settings.run))


def read_receipt(files: Files, run: str, unit: str) -> Receipt | None:
    """Return the Receipt of a Unit, or None where it is not done."""
    try:
        return from_json(files.read(receipt_file(run, unit)), Receipt)
    except FileNotFoundError:
        return None


def classify_once(files: Files, unit: Unit, registry: Registry, pool: ModelPool, settings: ClassifySettings) -> Receipt:
    """Classify a Unit unless its Receipt is there; of several that do it at once, one Receipt and its files count."""
    receipt = read_receipt(files, settings.run, unit.unit)
    if receipt is not None:
        return receipt
    started = time.monotonic()
    staging = Staging(files, settings.run, f"attempt-{secrets.token_hex(4)}")
    counts = classify(files, unit, registry, pool, settings, staging)
    receipt = Receipt(unit.unit, unit.codebook, tuple(staging.staged), counts, time.monotonic() - started)
    if files.write_once(receipt_file(settings.run, unit.unit), to_json(receipt)):
        return receipt
    staging.discard()
    return from_json(files.read(receipt_file(settings.run, unit.unit)), Receipt)


class _ClassifyUnit(beam.DoFn):
    def __init__(self, files: Files, settings: ClassifySettings, version: str) -> None:
        self._files = files
        self._settings = settings
        self._version = version
        self._shared = Shared()

    def setup(self) -> None:
        check_version(self._version)
        self._registry = open_registry(self._settings.models)
        self._pool = self._shared.acquire(ModelPool)

    def process(self, unit: Unit) -> Iterable[str]:
        yield classify_once(self._files, unit, self._registry, self._pool, self._settings).unit


@dataclass
class Classify(beam.PTransform):
    """Units in, the names of the Units done out, in any order; what they did is in their Receipts."""

    files: Files
    settings: ClassifySettings

    def expand(self, units: "beam.PCollection[Unit]") -> "beam.PCollection[str]":
        """Classify each Unit in the process that holds the ModelPool."""
        return units | "Classify" >> beam.ParDo(
            _ClassifyUnit(self.files, self.settings, code_version())
        ).with_output_types(str)
