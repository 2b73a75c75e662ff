"""Detect: the language and domain of each Document, and the grouped shards that later steps read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from models.detectors import DomainDetector, LanguageDetector, language_detector
from schemas.document import digest
from schemas.group import Group, primary_language
from schemas.version import check_version, code_version
from schemas.work import Shard, Slice
from storage.files import Files
from storage.layout import grouped_shard
from storage.shards import grouped_slices, read_pieces, write_grouped


@cache
def _language_detector(name: str, languages: tuple[str, ...], threshold: float) -> LanguageDetector:
    return language_detector(name, languages, threshold)


@cache
def _domain_detector(threshold: float) -> DomainDetector:
    return DomainDetector(threshold=threshold)


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """How language and domain are detected. ``name`` names detectors, versions and all, for the grouped shards."""

    language_detector: str
    languages: tuple[str, ...]
    language_threshold: float
    domain_threshold: float

    def language(self) -> LanguageDetector:
        """Return the language detector; raise ValueError where the settings name what there is not."""
        return _language_detector(self.language_detector, self.languages, self.language_threshold)

    def domain(self) -> DomainDetector:
        """Return the domain detector."""
        return _domain_detector(self.domain_threshold)

    @property
    def name(self) -> str:
        """What decides the outcome of detection, in one line."""
        languages = ",".join(sorted(self.languages))
        return (
            f"{self.language().name} {languages} {self.language_threshold}; "
            f"{self.domain().name} {self.domain_threshold}; rows v1"
        )


def _decide(rows: pa.Table, what: str, detected: Sequence[str], confidences: Sequence[float]) -> dict[str, pa.Array]:
    """Return the value, confidence, source and detected value of ``what``: declared before source before detected."""
    declared, sourced = rows[what].combine_chunks(), rows[f"source_{what}"].combine_chunks()
    found = pa.array(detected, pa.string())
    by_detector = pc.and_(pc.is_null(declared), pc.is_null(sourced))
    origin = pc.if_else(pc.is_valid(declared), "declared", pc.if_else(by_detector, "detected", "source"))
    return {
        what: pc.coalesce(declared, sourced, found),
        f"{what}_confidence": pc.if_else(by_detector, pa.array(confidences, pa.float32()), pa.scalar(1, pa.float32())),
        f"{what}_source": origin,
        f"{what}_detected": found,
    }


def detect(documents: pa.Table, languages: LanguageDetector, domains: DomainDetector) -> pa.Table:
    """Return Documents with their Detection, in the same order.

    Declared values win over the source's, and these over detected ones; what was detected is recorded all the same.
    The columns that declared a language or a domain give way to those of Detection.
    """
    texts = documents["text"].to_pylist()
    language = _decide(documents, "language", *languages.detect(texts))
    domain = _decide(documents, "domain", *domains.detect(texts))
    language["language_tag"] = language["language"]
    tags = language["language"].dictionary_encode()
    primary = pa.array([primary_language(tag) for tag in tags.dictionary.to_pylist()], pa.string())
    language["language"] = primary.take(tags.indices)
    rows = documents.drop_columns(["language", "domain", "source_language", "source_domain"])
    for name, column in (language | domain).items():
        rows = rows.append_column(name, column)
    return rows


def by_group(rows: pa.Table) -> Iterator[tuple[Group, pa.Table]]:
    """Yield detected rows by Group, the Groups sorted, each Group's rows in the order they had."""
    keys = [("language", "ascending"), ("domain", "ascending")]
    ordered = rows.take(pc.sort_indices(rows, keys))
    sizes = rows.group_by(["language", "domain"]).aggregate([([], "count_all")]).sort_by(keys).to_pylist()
    start = 0
    for size in sizes:
        yield Group(size["language"], size["domain"]), ordered.slice(start, size["count_all"])
        start += size["count_all"]


def grouped_address(shard: Shard, settings: str) -> str:
    """Return the address of the grouped shard of a shard under detection settings of that name."""
    return grouped_shard(digest(shard.address, str(shard.size), settings))


def group_shard(
    files: Files, shard: Shard, settings: str, languages: LanguageDetector, domains: DomainDetector
) -> list[Slice]:
    """Write the grouped shard of a shard, unless it is there; return its Slices in order."""
    address = grouped_address(shard, settings)
    slices = grouped_slices(files, address)
    if slices is None:
        pieces = (
            rows.append_column("source", pa.array([shard.source] * rows.num_rows, pa.string()))
            for rows in read_pieces(files, shard.address)
        )
        detected = pa.concat_tables([detect(rows, languages, domains) for rows in pieces])
        slices = write_grouped(files, address, by_group(detected))
    return slices


class _DetectShard(beam.DoFn):
    def __init__(self, files: Files, settings: DetectionSettings, version: str) -> None:
        self._files = files
        self._settings = settings
        self._version = version

    def setup(self) -> None:
        check_version(self._version)
        self._languages = self._settings.language()
        self._domains = self._settings.domain()
        self._name = self._settings.name

    def process(self, shard: Shard) -> Iterable[Slice]:
        return group_shard(self._files, shard, self._name, self._languages, self._domains)


@dataclass
class Detect(beam.PTransform):
    """Shards of Documents in, the Slices of their grouped shards out, in any order; the grouped shards are durable."""

    files: Files
    settings: DetectionSettings

    def expand(self, shards: "beam.PCollection[Shard]") -> "beam.PCollection[Slice]":
        """Spread the Shards over the workers and detect each."""
        return (
            shards
            | "Spread shards" >> beam.Reshuffle()
            | "Detect" >> beam.ParDo(_DetectShard(self.files, self.settings, code_version())).with_output_types(Slice)
        )
