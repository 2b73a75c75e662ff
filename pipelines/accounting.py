"""Accounting: every row read is coded, rejected or left out for a reason, or the run has failed."""

from collections.abc import Sequence

from schemas.run import EXPECTED_REASONS, Counts
from schemas.work import StagedFile


def account(counts: Counts, books: Sequence[str], documents: int, staged: int) -> str:
    """Say what does not add up, or nothing.

    ``documents`` is what the table's own log says there was to read, ``staged`` the rows that lie in staged files.

    Per codebook, read = coded + rejected + settled by an earlier run + superseded by a newer version.
    """
    read = counts.rows("read")
    done = counts.rows("coded") + counts.rows("rejected")
    if done != staged:
        return f"{done} rows were coded or rejected but {staged} were staged"
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


def account_import(counts: Counts, staged: Sequence[StagedFile]) -> str:
    """Say what of an import does not add up, or nothing: read = imported + rejected + duplicate, as staged."""
    read, parts = counts.rows("read"), {name: counts.rows(name) for name in ("imported", "rejected", "duplicate")}
    sums = " + ".join(f"{rows} {name}" for name, rows in parts.items())
    if sum(parts.values()) != read:
        return f"{read} rows were read but {sums} = {sum(parts.values())}"
    lie = sum(file.rows for file in staged if file.table in ("documents", "duplicates") or _is_of_rows(file))
    return "" if lie == read else f"{sums}, but {lie} rows were staged"


def _is_of_rows(file: StagedFile) -> bool:
    return file.table == "rejections" and file.partition["step"] == "import"


def judge_import(counts: Counts, max_rejected: float) -> str:
    """Say why an import that adds up has failed all the same, or nothing.

    It has where nothing was imported and not all was known, or where more than ``max_rejected`` was rejected.
    """
    read, rejected = counts.rows("read"), counts.rows("rejected")
    if rejected and not counts.rows("imported") + counts.rows("duplicate"):
        return f"nothing was imported; all {rejected} rows were rejected: {_reasons(counts, '')}"
    if rejected > max_rejected * read:
        share = f"{rejected} of {read} rows, more than --max-rejected {max_rejected},"
        return f"{share} were rejected: {_reasons(counts, '')}"
    return ""


def _reasons(counts: Counts, book: str) -> str:
    rows: dict[str, int] = {}
    for count in counts.counts:
        if count.key.outcome == "rejected" and count.key.codebook == book:
            rows[count.key.reason] = rows.get(count.key.reason, 0) + count.rows
    return ", ".join(f"{reason} ({number})" for reason, number in sorted(rows.items(), key=lambda pair: -pair[1]))
