"""Routing: every Group gets a model or a reason; Slices become even Units, the same however they arrive."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.registry import Registry
from schemas.group import Group
from schemas.model_card import ModelCard, ModelKind
from schemas.model_card import Route as ModelRoute
from schemas.work import Slice, Unit
from transforms.route import UNIT_CHARACTERS, UNIT_ROWS, Decision, decide, make_units, portion

HU, EN, AM, UND = (Group(language, "media") for language in ("hu", "en", "am", "und"))
LINEAR = ModelCard("m", "1", "linear", "cap@1", ("hu",), ("*",), ("1",), "none", "a trial", "/models/m", "0f")
POOLED = replace(LINEAR, model="p", languages=("en", "hu"))
LIMIT = 100
WEIGHTS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), max_size=30)
LIGHT = st.lists(st.tuples(st.integers(1, 10), st.integers(0, 10)), min_size=40, max_size=80)
relaxed = settings(deadline=None)


def slices(weights: list[tuple[int, int]], group: Group = HU) -> list[Slice]:
    return [Slice("grouped/a", number, group, *weight) for number, weight in enumerate(weights)]


def routed(group: Group, card: ModelCard = LINEAR, reason: str = "because") -> Decision:
    return Decision(ModelRoute(group, "cap@1", card, reason))


def unit_of(decision: Decision, piece: Slice, book: str = "cap@1") -> Unit:
    (unit,) = make_units([piece], book, {piece.group: decision})
    return unit


def test_a_group_with_a_model_is_routed_to_it() -> None:
    expected = ModelRoute(HU, "cap@1", LINEAR, "language linear model")
    assert decide(HU, "cap@1", Registry([LINEAR])) == Decision(expected)


def test_a_group_without_a_model_has_a_reason_that_names_it() -> None:
    detail = "no model for cap@1 in language=am/domain=media; models for cap@1: m"
    assert decide(AM, "cap@1", Registry([LINEAR])) == Decision(None, "no model", detail)


def test_an_undetermined_language_is_never_handed_to_a_model() -> None:
    detail = "no language declared, and none detected with enough confidence"
    assert decide(UND, "cap@1", Registry([LINEAR])) == Decision(None, "undetermined language", detail)


@relaxed
@given(WEIGHTS)
def test_portions_are_the_slices_in_their_order(weights: list[tuple[int, int]]) -> None:
    pieces = slices(weights)
    assert [piece for part in portion(pieces, LIMIT, LIMIT) for piece in part] == pieces


@relaxed
@example([(60, 0)] * 3)
@given(WEIGHTS)
def test_a_portion_of_several_slices_is_within_the_limits(weights: list[tuple[int, int]]) -> None:
    for part in portion(slices(weights), LIMIT, LIMIT):
        within = sum(piece.rows for piece in part) <= LIMIT and sum(piece.characters for piece in part) <= LIMIT
        assert within or len(part) == 1, part


@pytest.mark.parametrize(
    "weights",
    [[90, 150, 90], [1, 300], [10, 105, 10]],
)
def test_a_slice_larger_than_a_limit_is_a_portion_of_its_own(weights: list[int]) -> None:
    parts = portion(slices([(rows, 0) for rows in weights]), LIMIT, LIMIT)
    assert [[piece.rows for piece in part] for part in parts] == [[rows] for rows in weights]


@relaxed
@given(LIGHT)
def test_portions_are_as_few_as_the_limits_allow_and_even(weights: list[tuple[int, int]]) -> None:
    weights = [(rows, rows) for rows, _ in weights]
    sizes = [sum(piece.rows for piece in part) for part in portion(slices(weights), LIMIT, LIMIT)]
    assert -(-sum(sizes) // LIMIT) <= len(sizes) <= -(-sum(sizes) // LIMIT) + 1
    assert max(sizes) <= sum(sizes) / len(sizes) + 10  # the mean and one Slice; of what is left the last is smaller
    assert all(size > max(sizes) - 20 for size in sizes[:-1])


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ([], []),
        ([(1, 0)], [[0]]),
        ([(50, 1), (50, 1)], [[0, 1]]),
        ([(50, 1), (50, 1), (1, 1)], [[0], [1, 2]]),
        ([(1, 100), (1, 100)], [[0], [1]]),
        ([(1, 10), (1, 30), (1, 60), (1, 100)], [[0, 1, 2], [3]]),
        ([(40, 0)] * 4, [[0, 1], [2, 3]]),
    ],
)
def test_rows_and_characters_both_limit_a_portion(weights: list[tuple[int, int]], parts: list[list[int]]) -> None:
    assert [[piece.row_group for piece in part] for part in portion(slices(weights), LIMIT, LIMIT)] == parts


DECISIONS = {
    HU: routed(HU, LINEAR, "for hu"),
    EN: routed(EN, POOLED, "for en"),
    AM: Decision(None, "no model", "none for am"),
    UND: Decision(None, "undetermined language", "no language"),
}
MANY = [
    Slice(f"grouped/{shard}", number, group, 4_000 + 100 * number, 1_000_000)
    for shard in "ab"
    for number, group in enumerate((HU, EN, AM, UND) * 4)
]


def test_units_are_the_same_for_shuffled_and_repeated_slices() -> None:
    units = make_units(MANY, "cap@1", DECISIONS)
    for seed in range(20):
        shuffled = random.Random(seed).sample(MANY * 2, len(MANY) * 2)
        assert make_units(shuffled, "cap@1", DECISIONS) == units


def test_every_slice_is_in_one_unit_with_its_own_decision() -> None:
    units = make_units(MANY, "cap@1", DECISIONS)
    assert sorted(piece for unit in units for piece in unit.slices) == sorted(MANY)
    for unit in units:
        (decision,) = {piece.group: DECISIONS[piece.group] for piece in unit.slices}.values()
        card = decision.route.card if decision.route else None
        assert (unit.model, unit.revision) == ((card.model, card.revision) if card else ("", ""))
        assert unit.reason == decision.reason
        assert set(unit.routes) == {decision.route.reason if decision.route else decision.detail}
        assert len(unit.routes) == len(unit.slices)


def test_groups_of_one_model_share_units_and_keep_their_reasons() -> None:
    pieces = [Slice("grouped/a", 0, EN, 1, 1), Slice("grouped/a", 1, HU, 1, 1)]
    decisions = {EN: routed(EN, POOLED, "for en"), HU: routed(HU, POOLED, "for hu")}
    (unit,) = make_units(pieces, "cap@1", decisions)
    assert (unit.slices, unit.routes) == (tuple(pieces), ("for en", "for hu"))
    assert (unit.model, unit.revision, unit.codebook, unit.rows) == ("p", "1", "cap@1", 2)


def test_two_models_never_share_a_unit() -> None:
    pieces = [Slice("grouped/a", 0, EN, 1, 1), Slice("grouped/a", 1, HU, 1, 1)]
    decisions = {EN: routed(EN, POOLED), HU: routed(HU)}
    assert [(unit.model, unit.slices) for unit in make_units(pieces, "cap@1", decisions)] == [
        ("m", (pieces[1],)),
        ("p", (pieces[0],)),
    ]


def test_rejecting_units_are_apart_by_reason_and_hold_the_detail_of_each_slice() -> None:
    groups = [Group(language, "media") for language in ("am", "ka", "ti", "und")]
    says = [("no model", "for am"), ("no model", "for ka"), ("no model", "for am"), ("undetermined language", "")]
    decisions = {group: Decision(None, *words) for group, words in zip(groups, says, strict=True)}
    pieces = [Slice("grouped/a", number, group, 1, 1) for number, group in enumerate(groups)]
    units = make_units(pieces, "cap@1", decisions)
    assert [(unit.reason, unit.slices, unit.routes) for unit in units] == [
        ("no model", tuple(pieces[:3]), ("for am", "for ka", "for am")),
        ("undetermined language", (pieces[3],), ("",)),
    ]


PIECE = Slice("grouped/a", 0, HU, 10, 100)
UNIT = unit_of(routed(HU), PIECE)


def test_a_unit_is_named_by_16_hexadecimal_digits_and_always_the_same() -> None:
    assert unit_of(routed(HU), PIECE) == UNIT
    assert (len(UNIT.unit), set(UNIT.unit) <= set("0123456789abcdef")) == (16, True)


@pytest.mark.parametrize(
    "change",
    [{"model": "n"}, {"revision": "2"}, {"digest": "1f"}],
    ids=str,
)
def test_another_model_makes_another_unit(change: dict[str, Any]) -> None:
    assert unit_of(routed(HU, replace(LINEAR, **change)), PIECE).unit != UNIT.unit


@pytest.mark.parametrize(
    "change",
    [
        {"grouped": "grouped/b"},
        {"row_group": 1},
        {"rows": 9},
        {"pending": "_staging/r1/pending/x"},
    ],
    ids=str,
)
def test_another_slice_makes_another_unit(change: dict[str, Any]) -> None:
    assert unit_of(routed(HU), replace(PIECE, **change)).unit != UNIT.unit


def test_another_codebook_or_a_reason_for_rejecting_makes_another_unit() -> None:
    rejecting = unit_of(Decision(None, "no model", "none"), PIECE)
    undetermined = unit_of(Decision(None, "undetermined language", "none"), PIECE)
    names = {UNIT.unit, unit_of(routed(HU), PIECE, "cap-media2@1").unit, rejecting.unit, undetermined.unit}
    assert len(names) == 4


def test_more_slices_make_another_unit() -> None:
    (both,) = make_units([PIECE, replace(PIECE, row_group=1)], "cap@1", {HU: routed(HU)})
    assert both.unit != UNIT.unit


def test_units_are_small_enough_for_the_kind_of_their_model() -> None:
    pieces = [Slice("grouped/a", number, HU, 100, 500_000) for number in range(64)]
    expected: dict[ModelKind, int] = {"linear": 4, "dictionary": 4, "transformers": 32}
    for kind, units in expected.items():
        made = make_units(pieces, "cap@1", {HU: routed(HU, replace(LINEAR, kind=kind))})
        assert len(made) == units
        assert max(sum(piece.characters for piece in unit.slices) for unit in made) <= UNIT_CHARACTERS[kind]
    many = [Slice("grouped/a", number, HU, 10_000, 1) for number in range(8)]
    assert [unit.rows for unit in make_units(many, "cap@1", {HU: routed(HU)})] == [UNIT_ROWS] * 4


def test_no_slices_make_no_units() -> None:
    assert make_units([], "cap@1", {}) == []
