"""Accounting: every row read is coded, rejected or left out for a reason, or the run has failed."""

from collections.abc import Sequence

from schemas.run import EXPECTED_REASONS, Counts


def account(counts: Counts, books: Sequence[str], documents: int) -> str:
    """Say what does not add up, or nothing: ``documents`` is what the table's own log says there was to read.

    Per codebook, read = coded + rejected + settled by an earlier run + superseded by a newer version.
    """
    read = counts.rows("read")
    if read != documents:
        return f"{read} rows were read but the documents table has {documents}"
    for book in books:
        parts = {name: counts.rows(name, book) for name in ("coded", "rejected", "settled", "superseded")}
        if sum(parts.values()) != read:
            sums = " + ".join(f"{rows} {name}" for name, rows in parts.items())
            return f"{book}: {read} rows were read but {sums} = {sum(parts.values())}"
    return ""


def judge(counts: Counts, books: Sequence[str], max_rejected: float) -> str:
    """Say why a run that adds up has failed all the same, or nothing.

    It has where nothing was coded of what was pending, or where more than ``max_rejected`` of it was rejected for
    reasons other than what the models cannot do.
    """
    for book in books:
        coded, rejected = counts.rows("coded", book), counts.rows("rejected", book)
        if rejected and not coded:
            return f"{book}: nothing was coded; all {rejected} rows were rejected: {_reasons(counts, book)}"
        other = rejected - counts.rows("rejected", book, EXPECTED_REASONS)
        if other > max_rejected * (coded + rejected):
            share = f"{other} of {coded + rejected} rows, more than --max-rejected {max_rejected},"
            return f"{book}: {share} were rejected: {_reasons(counts, book)}"
    return ""


def judge_import(counts: Counts) -> str:
    """Say why an import has failed, or nothing: it has where every row that it read was rejected."""
    rejected = counts.rows("rejected")
    if rejected and not counts.rows("imported") + counts.rows("duplicate"):
        return f"nothing was imported; all {rejected} rows were rejected: {_reasons(counts, '')}"
    return ""


def _reasons(counts: Counts, book: str) -> str:
    rows: dict[str, int] = {}
    for count in counts.counts:
        if count.key.outcome == "rejected" and count.key.codebook == book:
            rows[count.key.reason] = rows.get(count.key.reason, 0) + count.rows
    return ", ".join(f"{reason} ({number})" for reason, number in sorted(rows.items(), key=lambda pair: -pair[1]))
