"""`babelbeam runs`: every run of a root, the oldest first."""

from dataclasses import dataclass

from pipelines.failures import ConfigurationError
from pipelines.report import print_table
from schemas.run import Run
from storage.files import Files
from storage.ledger import Ledger


@dataclass(frozen=True)
class Options:
    """List the runs of a root.

    Examples:
      babelbeam runs --root corpus
    """

    root: str
    """Folder or URL (s3://bucket/prefix) that holds everything."""


def _row(run: Run) -> tuple[str | int, ...]:
    counts = run.end.counts if run.end else None
    done, rejected, duplicate = (
        (counts.rows("coded") + counts.rows("imported"), counts.rows("rejected"), counts.rows("duplicate"))
        if counts
        else (0, 0, 0)
    )
    seconds = f"{run.end.seconds:.1f}" if run.end else ""
    begin = run.begin
    return (begin.run, begin.kind, f"{begin.started:%Y-%m-%d %H:%M:%S}", run.state, done, rejected, duplicate, seconds)


def run(options: Options) -> int:
    """Run the command; return the exit code."""
    runs = Ledger(Files(options.root)).runs()
    if not runs:
        raise ConfigurationError(f"there are no runs under {Files(options.root).url()}")
    header = ("run", "kind", "begun (UTC)", "state", "imported or coded", "rejected", "duplicate", "seconds")
    print_table("runs", header, map(_row, runs))
    return 0
