"""Publication: what a finished Run publishes, written down before the first commit so that anybody can finish it."""

from dataclasses import dataclass

from schemas.run import Begin, Counts, End, Outcome, Run
from schemas.work import StagedFile
from storage.files import Files, LostFile, from_json, to_json
from storage.layout import run_file
from storage.ledger import Ledger
from storage.tables import TABLES, PublishConflict, is_open, publish


@dataclass(frozen=True, slots=True)
class Publication:
    """The staged files of a Run, the addresses of the published files that they replace, and how the Run ends."""

    staged: tuple[StagedFile, ...]
    replaced: tuple[str, ...]
    outcome: Outcome
    counts: Counts
    detail: str = ""


def write_publication(files: Files, run: str, publication: Publication) -> Publication:
    """Write a Run's Publication down, once; return the one that is there."""
    files.write_once(run_file(run, "publication.json"), to_json(publication))
    return from_json(files.read(run_file(run, "publication.json")), Publication)


def read_publication(files: Files, run: str) -> Publication | None:
    """Return a Run's Publication, or None where it has not come so far."""
    try:
        return from_json(files.read(run_file(run, "publication.json")), Publication)
    except FileNotFoundError:
        return None


def carry_out(files: Files, begin: Begin, publication: Publication) -> End:
    """Publish table by table, one commit each, and end the Run; doing it again changes nothing.

    Raises PublishConflict where another Run has published since this one began.
    """
    parts = {table: _part(publication, table) for table in TABLES}
    concerned = [table for table, (staged, replaced) in parts.items() if staged or replaced]
    for table in concerned:  # a conflict is found before the first commit, not between two
        is_open(files, table, begin.run, begin.inputs[table])
    outputs = {table: publish(files, table, begin.run, *parts[table], begin.inputs[table]) for table in concerned}
    return Ledger(files).end(
        begin.run, begin.started, publication.outcome, publication.counts, outputs, publication.detail
    )


def _part(publication: Publication, table: str) -> tuple[list[StagedFile], list[str]]:
    staged = [file for file in publication.staged if file.table == table]
    return staged, [address for address in publication.replaced if address.startswith(f"{table}/")]


def settle(files: Files, run: Run) -> End:
    """End a dead Run that nobody will resume: finish what it was publishing, or abandon it."""
    publication = read_publication(files, run.begin.run)
    if publication is not None:
        try:
            return carry_out(files, run.begin, publication)
        except (PublishConflict, LostFile) as error:
            return Ledger(files).end(run.begin.run, run.begin.started, "abandoned", Counts(), {}, str(error))
    return Ledger(files).end(run.begin.run, run.begin.started, "abandoned", Counts(), {}, "its process died")
