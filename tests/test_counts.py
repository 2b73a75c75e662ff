"""Counts add up in any order; and what travels as a file comes back the same."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.group import Group
from schemas.run import Begin, Count, CountKey, Counts, End, TableVersion
from schemas.work import Plan, Receipt, Slice, StagedFile, Unit
from storage.files import StorageError, from_json, to_json

WORDS = st.sampled_from(["", "coded", "rejected", "cap@1", "hu", "media", "no model"])
KEYS = st.builds(CountKey, WORDS, WORDS, WORDS, WORDS, WORDS)
COUNTS = st.lists(st.builds(Count, KEYS, st.integers(0, 10**12)), max_size=5).map(Counts.of)
relaxed = settings(deadline=None)


def counted(*rows: tuple[CountKey, int]) -> Counts:
    return Counts.of(Count(key, number) for key, number in rows)


@relaxed
@given(COUNTS)
def test_counts_have_a_zero(counts: Counts) -> None:
    assert counts + Counts() == counts == Counts() + counts


@relaxed
@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_up_in_any_grouping(one: Counts, two: Counts, three: Counts) -> None:
    assert (one + two) + three == one + (two + three)


@relaxed
@given(COUNTS, COUNTS)
def test_counts_add_up_in_any_order(one: Counts, two: Counts) -> None:
    assert one + two == two + one


@relaxed
@given(COUNTS, COUNTS)
def test_no_row_is_lost_in_a_sum(one: Counts, two: Counts) -> None:
    assert sum(count.rows for count in (one + two).counts) == sum(count.rows for count in (*one.counts, *two.counts))


def test_counts_hold_each_key_once_sorted() -> None:
    coded, rejected = CountKey("coded", "cap@1", "hu"), CountKey("rejected", "cap@1", "hu", reason="no model")
    assert counted((rejected, 1), (coded, 2), (rejected, 3)).counts == (Count(coded, 2), Count(rejected, 4))


ROWS = counted(
    (CountKey("read"), 10),
    (CountKey("coded", "cap@1", "hu"), 4),
    (CountKey("coded", "manifesto@1", "hu"), 1),
    (CountKey("rejected", "cap@1", "hu", reason="no model"), 3),
    (CountKey("rejected", "cap@1", "und", reason="undetermined language"), 2),
)


@pytest.mark.parametrize(
    ("select", "rows"),
    [
        (lambda: ROWS.rows("read"), 10),
        (lambda: ROWS.rows("coded"), 5),
        (lambda: ROWS.rows("coded", "cap@1"), 4),
        (lambda: ROWS.rows("coded", "cap@2"), 0),
        (lambda: ROWS.rows("rejected", "cap@1", ["no model"]), 3),
        (lambda: ROWS.rows("rejected", reasons=iter(["no model", "undetermined language"])), 5),
        (lambda: ROWS.rows("rejected", "cap@1", []), 0),
        (lambda: ROWS.rows("read", ""), 10),
        (lambda: Counts().rows("read"), 0),
    ],
)
def test_rows_are_selected_by_outcome_codebook_and_reason(select: Callable[[], int], rows: int) -> None:
    assert select() == rows


PIECE = Slice("grouped/a.parquet", 3, Group("hu", "media"), 10, 2_000, "_staging/r1/pending/cap@1/a.parquet")
UNIT = Unit("u1", "cap@1", "m", "1", (PIECE,), ("pooled dictionary model",))
REJECTING = Unit("u2", "cap@1", "", "", (PIECE,), ("no model for cap@1 in …",), "no model")
FILE = StagedFile("codings", "_staging/r1/x", "codings/x", 2**40, 10, {"codebook": "cap@1", "language": "hu"})
NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
NOUNS = [
    UNIT,
    REJECTING,
    Receipt("u1", "cap@1", (FILE,), ROWS, 0.125),
    Plan((UNIT, REJECTING), ROWS),
    Plan((), Counts()),
    Begin("r1", "classify", {"codebook": "cap", "é": '\0\n"'}, {"codings": TableVersion(), "x": TableVersion(3, 2)},
          "0123456789ab", "me", NOW),
    End("r1", "failed", "no room", ROWS, {"codings": 4}, 1.5, NOW),
]  # fmt: skip


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_a_noun_comes_back_from_its_file_the_same(noun: Any) -> None:
    assert from_json(to_json(noun), type(noun)) == noun


@relaxed
@given(COUNTS)
def test_counts_come_back_from_a_file_the_same(counts: Counts) -> None:
    assert from_json(to_json(counts), Counts) == counts


def test_a_file_is_readable_and_ends_with_a_line() -> None:
    assert to_json(TableVersion(3, 2)) == b'{\n  "version": 3,\n  "publishes": 2\n}\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (b'{"version": 1', "truncated"),
        (b'{"version": "1"}', "Expected `int`, got `str`"),
        (b"[]", "Expected `object`"),
    ],
)
def test_what_is_not_the_noun_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        from_json(data, TableVersion)


def test_nouns_are_checked_when_they_are_read() -> None:
    with pytest.raises(StorageError, match="is not a primary language"):
        from_json(to_json(UNIT).replace(b'"hu"', b'"../x"'), Unit)
