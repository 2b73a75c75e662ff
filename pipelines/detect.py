"""`babelbeam detect`: find the language and domain of the documents of a root, durably, and show the groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from models.detectors import DEFAULT_DOMAIN_THRESHOLD, DEFAULT_LANGUAGE_THRESHOLD, DEFAULT_LANGUAGES
from pipelines.failures import ConfigurationError, check_share
from pipelines.report import print_groups
from schemas.run import TableVersion
from schemas.work import Shard, Slice
from storage.files import Files
from storage.shards import grouped_slices
from storage.tables import snapshot
from transforms.detect import Detect, DetectionSettings, grouped_address

TAKES_BEAM_FLAGS = True


@dataclass(frozen=True)
class DetectionFlags:
    """How language and domain are detected where they are not declared."""

    language_detector: str = "py3langid"
    """py3langid, langdetect or lingua."""
    languages: tuple[str, ...] = DEFAULT_LANGUAGES
    """Languages the detector may answer; more than those with a model, or texts of others are taken for them."""
    language_threshold: float = DEFAULT_LANGUAGE_THRESHOLD
    """Confidence in [0, 1] under which a language is und."""
    domain_threshold: float = DEFAULT_DOMAIN_THRESHOLD
    """Confidence in [0, 1] under which a domain is und."""

    def settings(self) -> DetectionSettings:
        """Return the settings, checked; raise ConfigurationError where they name what there is not."""
        for name in ("language_threshold", "domain_threshold"):
            check_share(f"--{name.replace('_', '-')}", getattr(self, name))
        settings = DetectionSettings(
            self.language_detector, tuple(self.languages), self.language_threshold, self.domain_threshold
        )
        try:
            settings.language()
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        return settings


@dataclass(frozen=True)
class Options:
    """Find the language and domain of every document under a root.

    The result is kept as grouped shards, which `babelbeam classify` with the same flags starts from.

    Examples:
      babelbeam detect --root corpus
      babelbeam detect --root corpus --language-detector lingua
    """

    root: str
    """Folder or URL (s3://bucket/prefix) that holds everything."""
    detection: DetectionFlags = field(default_factory=DetectionFlags)


@contextmanager
def pipeline(beam_flags: list[str]) -> Iterator[beam.Pipeline]:
    """Open a Beam pipeline, on the local runner unless the flags name another; run it when the block ends."""
    local = [] if any(flag.split("=")[0] == "--runner" for flag in beam_flags) else ["--runner=FnApiRunner"]
    try:
        root = beam.Pipeline(options=PipelineOptions([*local, *beam_flags]))
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"Beam cannot make this pipeline: {error}") from error
    with root:
        yield root


def shards_of(files: Files, at: TableVersion | None) -> list[Shard]:
    """Return the shards of the documents table at a version; raise ConfigurationError where there are none."""
    found = snapshot(files, "documents", at).files
    if not found:
        raise ConfigurationError(f"there are no documents under {files.url()}; bring some with `babelbeam import`")
    return [Shard(file.address, file.size, file.rows, file.partition["source"]) for file in found]


def slices_of(files: Files, shards: list[Shard], settings: DetectionSettings) -> list[Slice]:
    """Return the Slices of the grouped shards that Detect has written for these shards."""
    found = (grouped_slices(files, grouped_address(shard, settings.name)) for shard in shards)
    return [piece for slices in found for piece in slices or ()]


def run(options: Options, beam_flags: list[str]) -> int:
    """Run the command; return the exit code."""
    files, settings = Files(options.root), options.detection.settings()
    shards = shards_of(files, None)
    with pipeline(beam_flags) as root:
        _ = root | "Shards" >> beam.Create(shards) | Detect(files, settings)
    print_groups(slices_of(files, shards, settings))
    return 0
