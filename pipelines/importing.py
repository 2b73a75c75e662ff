"""`babelbeam import`: files of documents into the documents table, every row accounted for."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Annotated

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import tyro

from pipelines.accounting import account_import, judge_import
from pipelines.failures import ConfigurationError, check_share
from pipelines.report import print_end
from pipelines.running import claimed, publish_once
from schemas.codebook import codebook
from schemas.document import check_source
from schemas.group import DOMAINS, domain_named
from schemas.run import Count, CountKey, Counts
from storage.files import Files
from storage.identity import Verdicts, verdicts
from storage.ledger import Claim, Ledger
from storage.publication import Publication
from storage.shards import StagedParquet, Staging
from storage.tables import dataset, file_schema, snapshot
from storage.upload_pieces import is_text
from storage.uploads import Piece, ReadError, Upload, UploadError, open_upload
from transforms.deduplicate import (
    Candidates,
    Outputs,
    all_annotations,
    all_keys,
    contradicting,
    deduplicate,
    rejection_counts,
    stage_candidates,
)
from transforms.importing import Admitted, ColumnNames, ImportSettings, admit, find_columns, normalise_language

SHARD_ROWS = 50_000
SHARD_BYTES = 32_000_000


@dataclass(frozen=True)
class ColumnFlags:
    """Columns, where their names are not among the usual ones."""

    id_column: str | None = None
    """Column of your own ids; ids make documents recognisable from one import to the next."""
    text_column: str | None = None
    """Column of the texts."""
    title_column: str | None = None
    """Column of the titles."""
    url_column: str | None = None
    """Column of the addresses."""
    date_column: str | None = None
    """Column of the dates of publication (2024-05-31)."""
    year_column: str | None = None
    """Column of the years of publication."""
    language_column: str | None = None
    """Column of declared languages (hu, pt-BR, German)."""
    domain_column: str | None = None
    """Column of declared domains (media, parliamentary speech)."""
    code_column: str | None = None
    """Column of codes that people gave; they go to the annotations table."""

    def names(self) -> ColumnNames:
        """Return the columns named."""
        return ColumnNames(**{name.removesuffix("_column"): column for name, column in vars(self).items()})


@dataclass(frozen=True)
class Options:
    """Bring files of documents under a root: CSV, JSON Lines, Excel (.xlsx) or Parquet, also .gz.

    The columns id, text, title, url, date, year, language and domain are found by their usual names; every other
    column is kept. The same file imported again adds nothing.

    Examples:
      babelbeam import speeches.csv --root corpus --source speeches
      babelbeam import news-2024.jsonl.gz news-2025.jsonl.gz --root s3://bucket/corpus --source news --domain media
    """

    files: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE…")]
    """Files to import: local paths or any fsspec URLs."""
    root: str
    """Folder or URL (s3://bucket/prefix) that holds everything."""
    source: str
    """Name of where the documents come from; part of their document_id."""
    encoding: str = "utf-8"
    """Encoding of delimited files and JSON Lines; must be named where it is not UTF-8."""
    sheet: str | None = None
    """Sheet of an Excel file; the first unless named."""
    columns: ColumnFlags = field(default_factory=ColumnFlags)
    language: str | None = None
    """Language of the whole source, for rows that declare none."""
    domain: str | None = None
    """Domain of the whole source, for rows that declare none."""
    code_codebook: str = "cap"
    """Codebook of the code column."""
    coder: str = "unknown"
    """Who gave the codes of the code column."""
    replace: bool = False
    """Take a known id with another text as the document's next version."""
    max_characters: int = 1_000_000
    """Reject longer texts."""
    max_rejected: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 0.5
    """Fail, with everything published, where a larger share of the rows is rejected."""


def _settings(options: Options, file: str, columns: ColumnNames, claim: Claim) -> ImportSettings:
    return ImportSettings(
        source=options.source,
        file=file,
        run=claim.run,
        gathered=claim.begin.started,
        columns=columns,
        codebook=options.code_codebook if columns.code else None,
        coder=options.coder,
        source_language=options.language,
        source_domain=options.domain,
        max_characters=options.max_characters,
    )


def _check(options: Options) -> None:
    try:
        check_source(options.source)
        codebook(options.code_codebook)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if not options.files:
        raise ConfigurationError("no file is named: babelbeam import FILE… --root ROOT --source NAME")
    for file in options.files:
        if not is_text(file):
            raise ConfigurationError(f"the name of the file {file!r} is not UTF-8; rename it")
    if options.max_characters < 1:
        raise ConfigurationError(f"--max-characters is {options.max_characters} but should be at least 1")
    check_share("--max-rejected", options.max_rejected)
    if options.language and normalise_language(options.language) is None:
        raise ConfigurationError(f"--language {options.language!r} is not a language of BCP 47 such as hu or pt-BR")
    if options.domain and domain_named(options.domain) is None:
        raise ConfigurationError(f"--domain {options.domain!r} is not a domain; domains: {', '.join(DOMAINS)}")


def _fingerprint(address: str) -> str:
    filesystem, path = fsspec.core.url_to_fs(address)
    info = filesystem.info(path)
    changed = info.get("mtime") or info.get("ETag") or info.get("LastModified") or ""
    return f"{path} {info.get('size')} {changed}"


def _refuse_late_columns(piece: Piece, upload: Upload, columns: ColumnNames) -> None:
    """Raise ReadError where a column that would hold ids, dates or the like appears after the columns were chosen."""
    late = set(piece.columns) - set(upload.columns)
    if late and find_columns((*upload.columns, *sorted(late)), columns) != columns:
        raise ReadError(
            f"{upload.address}: columns {', '.join(sorted(late))} first appear near row {piece.rows[0]}; "
            "put a row that has every column first"
        )


def _batches(upload: Upload, settings: ImportSettings) -> Iterator[list[Admitted]]:
    """Yield the admitted pieces of an upload, as many at a time as make a shard."""
    batch: list[Admitted] = []
    for piece in upload.pieces():
        _refuse_late_columns(piece, upload, settings.columns)
        batch.append(admit(piece, settings))
        rows = sum(admitted.documents.num_rows for admitted in batch)
        if rows >= SHARD_ROWS or sum(admitted.documents.nbytes for admitted in batch) >= SHARD_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


class _Import:
    """The work of one import: rows into candidates, candidates into staged files of every table."""

    def __init__(self, files: Files, claim: Claim, options: Options) -> None:
        self._files = files
        self._claim = claim
        self._options = options
        self._staging = Staging(files, claim.run, f"attempt-{claim.attempt.number}")
        self._candidates: list[Candidates] = []
        self._counts = Counts()

    def publication(self, uploads: Sequence[tuple[str, Upload, ColumnNames]]) -> Publication:
        """Read every upload and stage every outcome."""
        with ExitStack() as stack:
            bad_rows = stack.enter_context(self._staging.file("rejections", {"step": "import"}, "import"))
            bad_codes = stack.enter_context(self._staging.file("rejections", {"step": "annotate"}, "annotate"))
            repeats = stack.enter_context(
                self._staging.file("duplicates", {"source": self._options.source}, "duplicates")
            )
            for file, upload, columns in uploads:
                for batch in _batches(upload, _settings(self._options, file, columns, self._claim)):
                    self._admit(batch, file, bad_rows, bad_codes)
            self._decide(Outputs(bad_rows, repeats), bad_codes)
        wrong = account_import(self._counts, self._staging.staged)
        if wrong:
            return Publication((), (), "failed", self._counts, f"{wrong}; nothing was published")
        detail = judge_import(self._counts, self._options.max_rejected)
        return Publication(tuple(self._staging.staged), (), "failed" if detail else "done", self._counts, detail)

    def _admit(self, batch: list[Admitted], file: str, bad_rows: StagedParquet, bad_codes: StagedParquet) -> None:
        documents, annotations, rejections = (
            pa.concat_tables([getattr(admitted, name) for admitted in batch])
            for name in ("documents", "annotations", "rejections")
        )
        number, first = len(self._candidates), sum(part.rows for part in self._candidates)
        part = stage_candidates(self._files, self._claim.run, number, first, documents, annotations, file)
        self._candidates.append(part)
        of_rows = pc.equal(rejections["step"], "import")
        bad_rows.write(rejections.filter(of_rows))
        bad_codes.write(rejections.filter(pc.invert(of_rows)))
        self._counts += rejection_counts(rejections)
        self._counts += Counts.of([Count(CountKey("read"), sum(admitted.read for admitted in batch))])
        with suppress(BrokenPipeError):
            print(f"{first + part.rows:,} documents read from {file}", flush=True)

    def _decide(self, outputs: Outputs, bad_codes: StagedParquet) -> None:
        files, run, replace = self._files, self._claim.run, self._options.replace
        inputs = self._claim.begin.inputs
        documents = snapshot(files, "documents", inputs["documents"])
        with verdicts(files, all_keys(files, self._candidates), documents, replace=replace) as decided:
            for part in self._candidates:
                mine = decided.between(part.first, part.first + part.rows - 1)
                self._counts += deduplicate(
                    files, part, mine, outputs, self._staging, run, self._options.source, replace=replace
                )
            known = dataset(files, snapshot(files, "annotations", inputs["annotations"]))
            decided.compare_annotations(all_annotations(files, self._candidates), known)
            for other in decided.contradictions():
                contradictions = contradicting(other, run)
                bad_codes.write(contradictions)
                self._counts += rejection_counts(contradictions)
            self._annotate(decided)

    def _annotate(self, decided: Verdicts) -> None:
        book = codebook(self._options.code_codebook).id
        with self._staging.file("annotations", {"codebook": book}, "annotations") as annotations:
            for rows in decided.new_annotations(file_schema("annotations").names):
                annotations.write(rows)
        self._counts += Counts.of([Count(CountKey("annotated", book), annotations.rows)])


def _publication(
    files: Files, claim: Claim, options: Options, uploads: Sequence[tuple[str, Upload, ColumnNames]]
) -> Publication:
    try:
        return _Import(files, claim, options).publication(uploads)
    except UploadError as error:  # found while reading: nothing of the import is published
        return Publication((), (), "failed", Counts(), str(error))


def _parameters(options: Options) -> dict[str, str]:
    values = {name: str(value) for name, value in vars(options).items() if name not in ("files", "root")}
    return {"files": "; ".join(_fingerprint(file) for file in options.files), **values}


def earlier_run(options: Options) -> str | None:
    """Return the id of the run that has imported these very files in this very way, or None."""
    _check(options)
    for file in options.files:
        open_upload(file, options.encoding, options.sheet)
    parameters = _parameters(options)
    for found in Ledger(Files(options.root)).runs():
        if (found.begin.kind, found.begin.parameters, found.state) == ("import", parameters, "done"):
            return found.begin.run
    return None


def run(options: Options) -> int:
    """Run the command; return the exit code."""
    _check(options)
    uploads = []
    for file in options.files:
        upload = open_upload(file, options.encoding, options.sheet)
        uploads.append((file, upload, find_columns(upload.columns, options.columns.names())))
    files = Files(options.root)
    with claimed(files, "import", _parameters(options)) as claim:
        end = publish_once(files, claim, lambda: _publication(files, claim, options, uploads))
    return print_end(files, end)
