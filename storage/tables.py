"""The tables: Delta Lake over plain hive-partitioned Parquet. Snapshots, and publishing in one commit."""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from schemas.arrow import schema_of
from schemas.coding import Annotation, Coding
from schemas.document import Document
from schemas.run import Duplicate, Rejection, TableVersion
from schemas.work import StagedFile
from storage.files import Files, LostFile, StorageError

TABLES: dict[str, tuple[type, tuple[str, ...]]] = {
    "rejections": (Rejection, ("step",)),
    "duplicates": (Duplicate, ("source",)),
    "annotations": (Annotation, ("codebook",)),
    "documents": (Document, ("source",)),
    "codings": (Coding, ("codebook", "language", "domain")),
}
"""Every table: the noun of its rows and the columns that partition it, in the order in which a Run commits them."""

_SHARED = "babelbeam-publishes"
"""The transaction id that all publishes raise: Delta lets two plain appends pass, but not two of one id."""


class PublishConflict(StorageError):
    """Another Run has published to the table since this one began."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a table's snapshot; its address is relative to the root."""

    address: str
    size: int
    rows: int
    partition: dict[str, str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a table at one version, by address; none where the table does not exist yet."""

    table: str
    at: TableVersion
    files: tuple[TableFile, ...] = ()

    def where(self, **partition: str) -> "Snapshot":
        """Return the part of the snapshot that lies in a partition."""
        wanted = partition.items()
        return Snapshot(self.table, self.at, tuple(file for file in self.files if wanted <= file.partition.items()))

    @property
    def rows(self) -> int:
        """The rows of all files."""
        return sum(file.rows for file in self.files)


def _open(files: Files, table: str, version: int | None = None) -> DeltaTable | None:
    if version == -1:
        return None
    try:
        return DeltaTable(files.url(table), version=version)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise StorageError(f"cannot read table {files.url(table)}: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    """Return deltalake's message in one line; it draws trees, in colours, over several."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())


def _state(handle: DeltaTable) -> TableVersion:
    return TableVersion(handle.version(), handle.transaction_version(_SHARED) or 0)


def snapshot(files: Files, table: str, at: TableVersion | None = None) -> Snapshot:
    """Return the table's files at a version, or at the newest."""
    handle = _open(files, table, None if at is None else at.version)
    if handle is None:
        return Snapshot(table, TableVersion())
    actions = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
    found = (
        TableFile(
            f"{table}/{unquote(row['path'])}",
            row["size_bytes"],
            row["num_records"],
            {name: row[f"partition.{name}"] for name in TABLES[table][1]},
        )
        for row in actions
    )
    return Snapshot(table, _state(handle), tuple(sorted(found, key=lambda file: file.address)))


def table_versions(files: Files) -> dict[str, TableVersion]:
    """Return the newest state of every table, to be pinned when a Run begins."""
    handles = {table: _open(files, table) for table in TABLES}
    return {table: TableVersion() if handle is None else _state(handle) for table, handle in handles.items()}


def file_schema(table: str) -> pa.Schema:
    """Return the schema of a table's files: that of its noun without the partition columns."""
    noun, partition = TABLES[table]
    return pa.schema([column for column in schema_of(noun) if column.name not in partition])


def dataset(files: Files, part: Snapshot) -> ds.Dataset:
    """Return a snapshot, or a part of one, as a pyarrow Dataset with the noun's columns."""
    noun, partition = TABLES[part.table]
    schema = schema_of(noun)
    if not part.files:
        return ds.dataset(pa.table({column.name: pa.array([], column.type) for column in schema}, schema=schema))
    return ds.dataset(
        [files.path(file.address) for file in part.files],
        schema=schema,
        format="parquet",
        filesystem=files.filesystem,
        partitioning=ds.partitioning(pa.schema([schema.field(name) for name in partition]), flavor="hive"),
        partition_base_dir=files.path(part.table),
    )


def stream(files: Files, part: Snapshot, columns: list[str]) -> pa.RecordBatchReader:
    """Return some columns of a snapshot as a stream that reads hardly ahead and can be read once."""
    scanner = dataset(files, part).scanner(columns, batch_size=10_000, batch_readahead=2, fragment_readahead=1)
    return scanner.to_reader()


def check_places(files: Files, staged: Sequence[StagedFile]) -> None:
    """Raise LostFile unless each staged file is still staged or in its final place already."""
    for file in staged:
        if not files.exists(file.staged) and not files.exists(file.final):
            raise LostFile(f"{files.url(file.staged)} is gone: was the staging area deleted?")


def _place(files: Files, staged: StagedFile) -> None:
    files.put_in_place(staged.staged, staged.final)
    size = files.size(staged.final)
    if size != staged.size:
        raise StorageError(f"{files.url(staged.final)} has {size} bytes but {staged.size} were written")


def _add(staged: StagedFile) -> AddAction:
    path = staged.final.removeprefix(f"{staged.table}/")
    stats = json.dumps({"numRecords": staged.rows})
    return AddAction(path, staged.size, staged.partition, int(time.time() * 1000), data_change=True, stats=stats)


def _remove(table: str, address: str) -> RemoveAction:
    return RemoveAction(address.removeprefix(f"{table}/"), data_change=True, deletion_timestamp=int(time.time() * 1000))


def _commit(
    files: Files, table: str, handle: DeltaTable | None, actions: Sequence[Any], properties: CommitProperties
) -> None:
    """Commit on top of the state that the handle has seen; one that another Run has left behind since is refused."""
    noun, partition = TABLES[table]
    schema = Schema.from_arrow(schema_of(noun))
    if handle is not None:
        handle.create_write_transaction(
            list(actions), "append", schema, partition_by=list(partition), commit_properties=properties
        )
        return
    files.make_folder(table)
    create_table_with_add_actions(
        files.url(table), schema, list(actions), partition_by=list(partition), commit_properties=properties
    )


def published(files: Files, table: str, run: str) -> bool:
    """Say whether a Run has published to a table."""
    handle = _open(files, table)
    return handle is not None and handle.transaction_version(run) is not None


def is_open(files: Files, table: str, run: str, base: TableVersion) -> bool:
    """Say whether a Run has still to publish to a table; raise PublishConflict where another has since ``base``."""
    return not _published(_open(files, table), files, table, run, base)


def _published(handle: DeltaTable | None, files: Files, table: str, run: str, base: TableVersion) -> bool:
    if handle is not None and handle.transaction_version(run) is not None:
        return True
    state = TableVersion() if handle is None else _state(handle)
    if state.publishes != base.publishes:
        raise PublishConflict(
            f"run {run} cannot publish to {files.url(table)}: another run has published there since it began; "
            "give the same command again"
        )
    return False


def publish(
    files: Files, table: str, run: str, staged: Sequence[StagedFile], replaced: Iterable[str], base: TableVersion
) -> int:
    """Put staged files in place, commit them with the removal of the replaced, delete the replaced; return the version.

    Doing it again changes nothing. Where another Run has published since ``base``, PublishConflict is raised and none
    of the staged files is left in the table's folder.
    """
    replaced = sorted(replaced)
    try:
        handle = _open(files, table)
        done = _published(handle, files, table, run, base)
        _in_parallel(files, staged)
        if not done:
            actions = [*map(_add, staged), *(_remove(table, address) for address in replaced)]
            properties = CommitProperties(
                custom_metadata={"run": run},
                app_transactions=[Transaction(run, 1), Transaction(_SHARED, base.publishes + 1)],
            )
            _commit(files, table, handle, actions, properties)
    except PublishConflict:
        _take_back(files, staged)
        raise
    except StorageError:
        raise
    except (DeltaError, OSError) as error:
        if _is_open_or_take_back(files, table, run, base, staged):
            raise StorageError(f"cannot commit to {files.url(table)}: {_plain(error)}") from error
    for address in replaced:
        files.delete(address)
    return table_versions(files)[table].version


def _is_open_or_take_back(files: Files, table: str, run: str, base: TableVersion, staged: Sequence[StagedFile]) -> bool:
    """Say whether a Run whose commit failed has still to publish; take its files back where another was first."""
    try:
        return is_open(files, table, run, base)
    except PublishConflict:
        _take_back(files, staged)
        raise


def _take_back(files: Files, staged: Sequence[StagedFile]) -> None:
    for file in staged:
        files.delete(file.final)


def _in_parallel(files: Files, staged: Sequence[StagedFile]) -> None:
    with ThreadPoolExecutor(max_workers=1 if files.is_local else 16) as pool:
        for _ in pool.map(lambda file: _place(files, file), staged):
            pass


def partition_of(table: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the partition columns of a table and their values, in the table's order."""
    return {name: values[name] for name in TABLES[table][1]}
