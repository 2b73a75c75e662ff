"""Which column of a user's file holds what."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from storage.upload_pieces import USUAL_COLUMNS, UploadError


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which column of a file holds what, None where none does. ``code`` holds the codes that a person gave."""

    id: str | None = None
    text: str | None = None
    title: str | None = None
    url: str | None = None
    date: str | None = None
    year: str | None = None
    language: str | None = None
    domain: str | None = None
    code: str | None = None

    def all(self) -> dict[str, str]:
        """Return the columns that there are, by what they hold."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {holds: column for holds, column in pairs if column is not None}


def find_columns(header: Sequence[str], named: ColumnNames) -> ColumnNames:
    """Return which column holds what: as named, else the first that has a usual name, in any case.

    A column serves once unless it is named twice. Raises UploadError, listing the columns, where a named one is not
    there or none holds the text.
    """
    chosen, found = named.all(), ", ".join(header)
    for holds, column in chosen.items():
        if column not in header:
            raise UploadError(f"there is no column {column!r} (--{holds}-column); columns: {found}")
    free: dict[str, str] = {}
    for column in header:
        if column not in chosen.values():
            free.setdefault(column.strip().casefold(), column)
    for holds, names in USUAL_COLUMNS.items():
        usual = next((free[name] for name in names if name in free), None)
        if holds not in chosen and usual is not None:
            chosen[holds] = usual
    if "text" not in chosen:
        raise UploadError(f"no column holds the text; columns: {found}; name one with --text-column")
    return replace(named, **chosen)
