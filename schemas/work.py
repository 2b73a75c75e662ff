"""Shard, Slice, Unit, Receipt: the small addresses that travel through Beam while the texts stay on storage."""

from dataclasses import dataclass

from schemas.group import Group
from schemas.run import Counts


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file of Documents: its address under the root, its size in bytes, its rows and their source."""

    address: str
    size: int
    rows: int
    source: str


@dataclass(frozen=True, slots=True, order=True)
class Slice:
    """One row group of a grouped shard, all of one Group, with its rows and the characters of their texts.

    ``pending`` is the address of the list of document_ids that are wanted of it, or empty where all are; ``rows`` are
    then those wanted.
    """

    grouped: str
    row_group: int
    group: Group
    rows: int
    characters: int
    pending: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """Slices and the model for them: small enough to redo, big enough to be worth a model.

    ``unit`` is a digest of the model, the Codebook and the Slices. ``routes`` holds, for each Slice, the reason for
    its Route. Where no model may code them, ``model`` is empty, every row is a Rejection for ``reason``, and
    ``routes`` holds the details.
    """

    unit: str
    codebook: str
    model: str
    revision: str
    slices: tuple[Slice, ...]
    routes: tuple[str, ...]
    reason: str = ""

    @property
    def rows(self) -> int:
        """The rows of all its Slices."""
        return sum(piece.rows for piece in self.slices)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A whole file that lies in the staging area (``staged``) and the place it will have in its table (``final``).

    ``partition`` holds the partition columns and their values, in the table's order.
    """

    table: str
    staged: str
    final: str
    size: int
    rows: int
    partition: dict[str, str]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one Unit of work did: the files it staged, its counts, and the seconds it took."""

    unit: str
    codebook: str
    files: tuple[StagedFile, ...]
    counts: Counts
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What Route decided: every Unit, and its counts.

    They are the rows ``read`` and, by Codebook, those left out because ``settled`` by an earlier Run or ``superseded``
    by a newer version, and those ``replacing`` a published Coding.
    """

    units: tuple[Unit, ...]
    counts: Counts
