"""The Arrow schema of each noun, derived from its dataclass, and tables of it."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa

_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int32(),
    float: pa.float32(),
    bool: pa.bool_(),
    date: pa.date32(),
    datetime: pa.timestamp("us", tz="UTC"),
    Mapping[str, str]: pa.map_(pa.string(), pa.string()),
}
_BY_NAME = {"year": pa.int16(), "version": pa.int16(), "row": pa.int64()}


def _arrow_type(hint: Any) -> tuple[pa.DataType, bool]:
    if isinstance(hint, UnionType):
        (kind,) = (arg for arg in get_args(hint) if arg is not type(None))
        return _arrow_type(kind)[0], True
    if get_origin(hint) is Literal:
        return pa.string(), False
    return _TYPES[hint], False


@cache
def schema_of(noun: type) -> pa.Schema:
    """Return the Arrow schema of a noun: a field per dataclass field, in order, nullable where None is allowed."""
    hints = get_type_hints(noun)
    columns = []
    for column in fields(noun):
        kind, nullable = _arrow_type(hints[column.name])
        columns.append(pa.field(column.name, _BY_NAME.get(column.name, kind), nullable))
    return pa.schema(columns)


def table_of(noun: type, rows: int, columns: Mapping[str, Any], **constants: str | int | None) -> pa.Table:
    """Return the Arrow table of a noun from its columns and from the values that are the same in all ``rows`` rows."""
    schema = schema_of(noun)
    same = {name: pa.array([value] * rows, schema.field(name).type) for name, value in constants.items()}
    return pa.table({name: (same | {**columns})[name] for name in schema.names}, schema=schema)
