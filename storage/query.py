"""DuckDB over tables: joins over ids that spill to disk instead of growing in memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from storage.files import StorageError

_STORAGE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.InternalException, duckdb.InvalidInputException)
MEMORY = "160MB"


@contextmanager
def query(**relations: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB with pyarrow Tables, Datasets and RecordBatchReaders under the names given.

    It takes a bounded amount of memory and spills to a temporary folder. A reader can be scanned once.
    """
    with (
        tempfile.TemporaryDirectory(prefix="babelbeam-") as spill,
        duckdb.connect(f"{spill}/query.duckdb") as connection,
    ):
        connection.execute(f"SET memory_limit='{MEMORY}'; SET temp_directory='{spill}'")
        connection.execute("SET preserve_insertion_order=false; SET threads=1")  # each thread has buffers of its own
        for name, relation in relations.items():
            connection.register(name, relation)
        try:
            yield connection
        except (*_STORAGE, OSError, pa.ArrowInvalid) as error:
            raise StorageError(f"cannot compare ids in {spill}: {error}") from error


def arrow(connection: duckdb.DuckDBPyConnection, sql: str, *parameters: int | str) -> pa.Table:
    """Return the whole answer to a query as an Arrow table."""
    return connection.sql(sql, params=parameters).to_arrow_table()


def batches(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pa.Table]:
    """Yield the answer to a query as Arrow tables of bounded size."""
    for batch in connection.sql(sql).to_arrow_reader(10_000):
        yield pa.Table.from_batches([batch])


def scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Return the one number that a query answers."""
    (value,) = connection.execute(sql).fetchone() or (0,)
    return int(value or 0)


def ask(sql: str) -> tuple[list[str], list[tuple[str | int, ...]]]:
    """Return the column names and the rows of the answer to a query that names its own files."""
    with query() as connection:
        answer = connection.execute(sql)
        return [column[0] for column in answer.description or ()], answer.fetchall()
