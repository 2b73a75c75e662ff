"""Running: the frame of every command that changes a root: claim a Run, work, publish, end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.run import End
from storage.files import Files
from storage.ledger import Claim, Ledger
from storage.publication import Publication, carry_out, read_publication, settle, write_publication
from storage.tables import table_versions


@contextmanager
def claimed(files: Files, kind: str, parameters: dict[str, str]) -> Iterator[Claim]:
    """Begin or resume the Run of these parameters, and keep its heart beating while the block runs.

    Raises RunRefused where another run is at work on the root, StorageError where the root cannot be written.
    """
    ledger = Ledger(files)
    claim = ledger.claim(kind, parameters, lambda: table_versions(files), lambda run: settle(files, run))
    with ledger.heartbeat(claim):
        yield claim


def publish_once(files: Files, claim: Claim, prepare: Callable[[], Publication]) -> End:
    """Carry out the Publication that ``prepare`` makes, or the one that an earlier attempt wrote down."""
    publication = read_publication(files, claim.run)
    if publication is None:
        publication = write_publication(files, claim.run, prepare())
    return carry_out(files, claim.begin, publication)
