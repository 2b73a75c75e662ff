"""Publication: what a finished Run publishes, written down before the first commit so that anybody can finish it."""

from dataclasses import dataclass

from schemas.run import Begin, Counts, End, Outcome, Run
from schemas.work import StagedFile
from storage.files import Files, LostFile, from_json, to_json
from storage.layout import run_file
from storage.ledger import Ledger
from storage.tables import (
    TABLES,
    PublishConflict,
    check_places,
    is_open,
    publish,
    published,
    table_versions,
)


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

    Where another Run has published since this one began, or staged files were lost, the Run ends abandoned and
    PublishConflict or LostFile is raised; nothing is published then unless an earlier attempt had begun to.
    """
    parts = {table: _part(publication, table) for table in TABLES}
    concerned = [table for table, (staged, replaced) in parts.items() if staged or replaced]
    try:
        for table in concerned:  # all is looked at before the first commit, so that none is made in vain
            if is_open(files, table, begin.run, begin.inputs[table]):
                check_places(files, parts[table][0])
        outputs = {table: publish(files, table, begin.run, *parts[table], begin.inputs[table]) for table in concerned}
    except (PublishConflict, LostFile) as error:
        _abandon(files, begin, publication, str(error))
        raise
    return _end(files, begin, publication, outputs)


def _part(publication: Publication, table: str) -> tuple[list[StagedFile], list[str]]:
    staged = [file for file in publication.staged if file.table == table]
    return staged, [address for address in publication.replaced if address.startswith(f"{table}/")]


def _end(files: Files, begin: Begin, publication: Publication, outputs: dict[str, int]) -> End:
    ledger = Ledger(files)
    return ledger.end(begin.run, begin.started, publication.outcome, publication.counts, outputs, publication.detail)


def _abandon(files: Files, begin: Begin, publication: Publication, why: str) -> End:
    """End a Run that cannot publish any more: its files leave the tables' folders, what it has published stays."""
    done = {file.table for file in publication.staged if published(files, file.table, begin.run)}
    for file in publication.staged:
        if file.table not in done:
            files.delete(file.final)
    versions = table_versions(files)
    counts = publication.counts if done else Counts()
    return _end(
        files, begin, Publication((), (), "abandoned", counts, why), {name: versions[name].version for name in done}
    )


def settle(files: Files, run: Run) -> End:
    """End a dead Run that nobody will resume: finish what it was publishing, or abandon it."""
    publication = read_publication(files, run.begin.run)
    if publication is None:
        publication = Publication((), (), "abandoned", Counts(), "its process died")
        return _end(files, run.begin, publication, {})
    try:
        return carry_out(files, run.begin, publication)
    except (PublishConflict, LostFile):
        return from_json(files.read(run_file(run.begin.run, "end.json")), End)
