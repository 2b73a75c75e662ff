"""`babelbeam classify`: detect, route and classify the documents of a root, and publish their codings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import apache_beam as beam
import tyro

from models.classifier import check_model
from models.digest import folder_state
from models.registry import Registry, open_registry
from pipelines import importing
from pipelines.accounting import account, judge
from pipelines.detect import DetectionFlags, pipeline, shards_of
from pipelines.failures import ConfigurationError, check_share
from pipelines.progress import Work, watch
from pipelines.report import print_end
from pipelines.running import claimed, publish_once
from schemas.codebook import codebook
from schemas.document import digest
from schemas.run import Counts
from schemas.work import Receipt, Shard
from storage.files import Files
from storage.ledger import Claim
from storage.publication import Publication
from storage.replacing import replace_rows
from storage.shards import Staging
from storage.tables import snapshot
from transforms.classify import Classify, ClassifySettings, read_receipt
from transforms.detect import Detect, DetectionSettings, grouped_address
from transforms.route import Route, RouteSettings, read_plan

TAKES_BEAM_FLAGS = True


@dataclass(frozen=True)
class Options:
    """Code the documents under a root into codebooks, and publish the codings as Parquet.

    Codes what no earlier run has coded or rejected. The same command after a kill goes on where it stopped.
    Flags that are not listed here go to Apache Beam, for example --direct_running_mode multi_processing.

    Examples:
      babelbeam classify --root corpus --codebook cap sentiment3
      babelbeam classify --root corpus --input speeches.csv --source speeches --codebook cap
    """

    root: str
    """Folder or URL (s3://bucket/prefix) that holds everything."""
    codebook: tuple[str, ...] = ("cap",)
    """Codebooks, by name (latest version) or id (cap@1)."""
    input: tuple[str, ...] = ()
    """Files to import first, as `babelbeam import` does."""
    source: str = ""
    """Source of the --input files."""
    models: str | None = None
    """Folder of model folders, each with a card.toml; beside the starter models."""
    detection: DetectionFlags = field(default_factory=DetectionFlags)
    with_text: bool = False
    """Publish the texts with the codings."""
    probabilities: bool = False
    """Publish the probability of every code."""
    max_rejected: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 0.5
    """Fail, with everything published, where a larger share is rejected for other reasons than the models' limits."""

    def __post_init__(self) -> None:
        check_share("--max-rejected", self.max_rejected)
        if not self.codebook:
            raise ConfigurationError("--codebook names none; `babelbeam codebooks` lists them")
        if bool(self.input) != bool(self.source):
            raise ConfigurationError("--input and --source go together: --input FILE… --source NAME")


def _parameters(
    options: Options, books: Sequence[str], settings: DetectionSettings, registry: Registry
) -> dict[str, str]:
    cards = (f"{card} {folder_state(card.address)}" for card in registry.cards)
    return {
        "codebooks": " ".join(books),
        "detection": settings.name,
        "models": digest(*cards, str(sorted(registry.routes))),
        "with_text": str(options.with_text),
        "probabilities": str(options.probabilities),
        "max_rejected": str(options.max_rejected),
    }


def build(
    root: beam.Pipeline,
    shards: Sequence[Shard],
    files: Files,
    detection: DetectionSettings,
    route: RouteSettings,
    classify: ClassifySettings,
) -> None:
    """Join the verbs: Shards -> Detect -> Slices -> Route -> Units -> Classify -> Receipts, which are files."""
    _ = (
        root
        | "Shards" >> beam.Create(shards)
        | Detect(files, detection)
        | Route(files, route)
        | Classify(files, classify)
    )


def _receipts(files: Files, run: str) -> tuple[Counts, list[Receipt]]:
    """Return the plan's counts and the Receipt of every Unit of it; those missing are missing."""
    plan = read_plan(files, run)
    if plan is None:
        return Counts(), []
    receipts = (read_receipt(files, run, unit.unit) for unit in plan.units)
    return plan.counts, [receipt for receipt in receipts if receipt is not None]


def _prepare(files: Files, claim: Claim, books: Sequence[str], max_rejected: float) -> Publication:
    planned, receipts = _receipts(files, claim.run)
    counts = sum((receipt.counts for receipt in receipts), planned)
    staged = [file for receipt in receipts for file in receipt.files]
    documents = snapshot(files, "documents", claim.begin.inputs["documents"]).rows
    wrong = account(counts, books, documents, sum(file.rows for file in staged))
    if wrong:
        return Publication((), (), "failed", counts, f"{wrong}; nothing was published")
    rest = Staging(files, claim.run, "rest")
    replaced: list[str] = []
    for book in books:
        if counts.rows("replacing", book):
            codings = snapshot(files, "codings", claim.begin.inputs["codings"])
            decided = [file for receipt in receipts if receipt.codebook == book for file in receipt.files]
            replaced += replace_rows(files, codings, book, decided, rest)
    detail = judge(counts, books, max_rejected)
    return Publication((*staged, *rest.staged), tuple(replaced), "failed" if detail else "done", counts, detail)


def _import(options: importing.Options) -> int:
    earlier = importing.earlier_run(options)
    if earlier is None:
        return importing.run(options)
    print(f"{', '.join(options.files)}: imported by run {earlier}")
    return 0


def run(options: Options, beam_flags: list[str]) -> int:
    """Run the command; return the exit code."""
    try:
        books = list(dict.fromkeys(codebook(name).id for name in options.codebook))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    detection, registry = options.detection.settings(), open_registry(options.models)
    for card in registry.cards:
        if card.codebook in books:
            check_model(card)
    files = Files(options.root)
    if options.input and (code := _import(importing.Options(options.input, options.root, options.source))):
        return code
    shards_of(files, None)
    with claimed(files, "classify", _parameters(options, books, detection, registry)) as claim:
        if claim.resumed:
            print(f"resuming run {claim.run}")
        inputs = claim.begin.inputs
        route = RouteSettings(claim.run, tuple(books), options.models, inputs)
        classify = ClassifySettings(claim.run, options.models, options.with_text, options.probabilities)

        def work() -> Publication:
            shards = shards_of(files, inputs["documents"])
            grouped = {grouped_address(shard, detection.name): shard.rows for shard in shards}
            with watch(Work(files, claim.run, grouped)), pipeline(beam_flags) as root:
                build(root, shards, files, detection, route, classify)
            return _prepare(files, claim, books, options.max_rejected)

        end = publish_once(files, claim, work)
    return print_end(files, end)
