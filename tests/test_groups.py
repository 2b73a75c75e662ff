"""Groups and Detections: which words name a domain, and what may never become a folder name."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.group import DOMAINS, UNDETERMINED, Detection, Group, domain_named, primary_language

DETECTION = Detection("hu", "media", "hu", 0.5, "detected", "hu", 1.0, "declared", "")
NAMES = ["media", "social", "parlspeech", "legislative", "execspeech", "execorder", "party", "judiciary", "budget"]
NAMES += ["publicopinion", "localgovernment"]


def with_field(field: str, value: Any) -> Detection:
    return replace(DETECTION, **{field: value})


def test_the_domains_are_the_genres_of_the_babel_machine() -> None:
    assert list(DOMAINS) == NAMES
    assert {name: domain_named(name) for name in NAMES} == {name: name for name in NAMES}


@pytest.mark.parametrize(
    ("word", "domain"),
    [
        ("news", "media"),
        ("News_Media", "media"),
        ("news-article", "media"),
        ("Parliamentary speech", "parlspeech"),
        ("PARLIAMENTARY  SPEECH", "parlspeech"),
        ("parliamentary_speech", "parlspeech"),
        (" parliamentary\tspeech\n", "parlspeech"),
        ("Local council agenda", "localgovernment"),
        ("local-council_agenda", "localgovernment"),
        ("Parlspeech", "parlspeech"),
        ("Social Media", "social"),
        ("Executive order", "execorder"),
        ("Bill", "legislative"),
    ],
)
def test_an_alias_names_its_domain_in_any_case_and_spacing(word: str, domain: str) -> None:
    assert domain_named(word) == domain


@pytest.mark.parametrize("word", ["", " ", "_", "newspaperish", "*", "../media", "media/", "medіa"])
def test_other_words_name_no_domain(word: str) -> None:
    assert domain_named(word) is None


def test_an_undetermined_domain_can_be_named_too() -> None:
    assert domain_named(" UND ") == "und"


@pytest.mark.parametrize(
    ("tag", "language"), [("pt-BR", "pt"), ("hu", "hu"), ("nb", "no"), ("nn-NO", "no"), ("no", "no"), ("EN", "en")]
)
def test_the_language_of_a_tag_is_that_of_groups(tag: str, language: str) -> None:
    assert primary_language(tag) == language


def test_no_alias_names_two_domains() -> None:
    aliases = [alias for name, others in DOMAINS.items() for alias in (name, *others)]
    assert sorted(aliases) == sorted(set(aliases))


@settings(deadline=None)
@given(st.text())
def test_a_word_names_a_known_domain_or_none(word: str) -> None:
    assert domain_named(word) in {None, *DOMAINS}


def test_a_group_reads_as_its_folders() -> None:
    assert str(Group("hu", "media")) == "language=hu/domain=media"
    assert str(Group(UNDETERMINED, UNDETERMINED)) == "language=und/domain=und"


def test_groups_are_ordered_by_language_then_domain() -> None:
    groups = [Group("hu", "social"), Group("de", "social"), Group("hu", "media")]
    assert sorted(groups) == [groups[1], groups[2], groups[0]]


HOSTILE = ["", "..", ".", "../x", "hu/..", "hu/x", "hu\0", "\0", "hu\n", " hu", "h", "huuu", "HU", "pt-BR", "hυ", "һu"]
HOSTILE += ["h" * 100_000, "hu=", "h%2e", "h\ud800"]


@pytest.mark.parametrize("language", HOSTILE, ids=lambda value: ascii(value)[:12])
def test_a_group_refuses_what_is_no_primary_language(language: str) -> None:
    with pytest.raises(ValueError, match="is not a primary language of BCP 47"):
        Group(language, "media")


@pytest.mark.parametrize(
    "domain",
    ["", "..", "../media", "media/..", "media\0", "media\n", "Media", "news", "*", "medіa", "media" * 20_000],
    ids=lambda value: ascii(value)[:12],
)
def test_a_group_refuses_what_is_no_domain(domain: str) -> None:
    with pytest.raises(ValueError, match="unknown domain") as error:
        Group("hu", domain)
    assert str(error.value) == f"unknown domain {domain!r}; domains: {', '.join(NAMES)}"


@pytest.mark.parametrize("field", ["language_confidence", "domain_confidence"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_confidence_lies_in_0_to_1(field: str, value: float) -> None:
    assert getattr(with_field(field, value), field) == value


@pytest.mark.parametrize("field", ["language_confidence", "domain_confidence"])
@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_confidence_outside_0_to_1_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{field}={value} but should be in \[0, 1\]$"):
        with_field(field, value)


@pytest.mark.parametrize("field", ["language_source", "domain_source"])
def test_a_provenance_is_one_of_three(field: str) -> None:
    for value in ("declared", "source", "detected"):
        assert getattr(with_field(field, value), field) == value
    with pytest.raises(ValueError, match=rf"^{field}='guessed'; allowed: declared, source, detected$"):
        with_field(field, "guessed")


def test_a_detection_is_of_a_group() -> None:
    with pytest.raises(ValueError, match="language 'pt-BR'"):
        replace(DETECTION, language="pt-BR")
    with pytest.raises(ValueError, match="unknown domain 'news'"):
        replace(DETECTION, domain="news")
