"""The Arrow schema of each published noun, column by column: analysts write these names into their scripts."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pytest

from schemas.arrow import schema_of
from schemas.coding import Annotation, Coding
from schemas.document import Document
from schemas.run import Duplicate, Rejection

DOCUMENT = """
document_id: string not null
id: string
version: int16 not null
text: string not null
text_digest: string not null
title: string
url: string
source: string not null
published: date32[day]
year: int16
gathered: timestamp[us, tz=UTC] not null
language: string
domain: string
source_language: string
source_domain: string
translated_from: string
extra: map<string, string> not null
run: string not null
"""
CODING = """
document_id: string not null
version: int16 not null
code: string not null
label: string not null
score: float not null
code_2: string
score_2: float
code_3: string
score_3: float
model: string not null
revision: string not null
route: string not null
language_tag: string not null
language_confidence: float not null
language_source: string not null
language_detected: string not null
domain_confidence: float not null
domain_source: string not null
domain_detected: string not null
segment: string not null
parent_id: string
sequence: int32 not null
windows: int32 not null
truncated: bool not null
translated_from: string
id: string
title: string
url: string
source: string not null
published: date32[day]
year: int16
run: string not null
text: string
probabilities: string
codebook: string not null
language: string not null
domain: string not null
"""
ANNOTATION = """
document_id: string not null
code: string not null
label: string not null
coder: string not null
source: string not null
run: string not null
codebook: string not null
"""
REJECTION = """
document_id: string
version: int16
id: string
file: string
row: int64
codebook: string
language: string
domain: string
reason: string not null
detail: string not null
run: string not null
step: string not null
"""
DUPLICATE = """
document_id: string not null
file: string not null
row: int64 not null
duplicate_of: string not null
run: string not null
source: string not null
"""
PROMISED = """
document_id code label score code_2 score_2 code_3 score_3 model revision route language_confidence
language_source language_detected domain_confidence domain_source domain_detected segment parent_id sequence
windows truncated translated_from id title url source published year run codebook language domain
"""


def described(schema: pa.Schema) -> str:
    rows = (f"{column.name}: {column.type}{'' if column.nullable else ' not null'}" for column in schema)
    return "\n".join(["", *rows, ""])


@pytest.mark.parametrize(
    ("noun", "columns"),
    [
        (Document, DOCUMENT),
        (Coding, CODING),
        (Annotation, ANNOTATION),
        (Rejection, REJECTION),
        (Duplicate, DUPLICATE),
    ],
)
def test_a_noun_has_exactly_these_columns(noun: type, columns: str) -> None:
    assert described(schema_of(noun)) == columns


def test_a_coding_has_the_promised_columns_in_the_promised_order() -> None:
    assert [name for name in schema_of(Coding).names if name in PROMISED.split()] == PROMISED.split()


def test_the_partitions_of_a_coding_come_last() -> None:
    assert schema_of(Coding).names[-3:] == ["codebook", "language", "domain"]


def test_a_column_is_nullable_only_where_none_is_allowed() -> None:
    @dataclass(frozen=True)
    class Small:
        always: bool
        sometimes: bool | None
        which: Literal["a"]
        year: int | None
        years: int

    columns = [
        "always: bool not null",
        "sometimes: bool",
        "which: string not null",
        "year: int16",
        "years: int32 not null",
    ]
    assert described(schema_of(Small)).split("\n")[1:-1] == columns


def test_a_type_without_an_arrow_type_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(KeyError, match="complex"):
        schema_of(Odd)
