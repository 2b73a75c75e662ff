"""Documents: their ids, the digest that stands for content, and what may name a source."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.document import Document, check_source, digest, document_id

TEXT = "Az infláció nő."
DOCUMENT = Document(
    document_id="mti:1",
    id="1",
    version=1,
    text=TEXT,
    text_digest=digest(TEXT),
    title=None,
    url=None,
    source="mti",
    published=None,
    year=None,
    gathered=datetime(2026, 1, 1, tzinfo=UTC),
    language=None,
    domain=None,
    source_language=None,
    source_domain=None,
    translated_from=None,
    extra={},
    run="r1",
)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
PARTS = st.lists(st.none() | ANY_TEXT, max_size=4).map(tuple)
relaxed = settings(deadline=None)


def test_a_document_with_an_own_id_is_named_by_source_and_id() -> None:
    assert document_id("mti", "2020/1") == "mti:2020/1"
    assert document_id("mti", "2020/1", ("text",)) == "mti:2020/1"
    assert document_id("mti", "") == "mti:"


def test_a_document_without_an_own_id_is_named_by_its_content() -> None:
    assert document_id("mti", None, ("text", None)) == f"mti#{digest('text', None)}"
    assert document_id("mti", None, ("text", None)) != document_id("mti", None, ("text", ""))
    assert document_id("mti", None, ("text",)) != document_id("afp", None, ("text",))


@relaxed
@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,5}", fullmatch=True), ANY_TEXT, PARTS)
def test_an_own_id_never_meets_a_digest(source: str, own_id: str, content: tuple[str | None, ...]) -> None:
    assert document_id(source, own_id) != document_id(source, None, content)


def test_digests_are_the_same_on_every_machine() -> None:
    assert digest() == "cae66941d9efbd404e4d88758ea67670"
    assert digest("szöveg", None, "\ud800") == digest("szöveg", None, "\ud800")


@relaxed
@given(PARTS, PARTS)
def test_other_parts_have_another_digest(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@relaxed
@given(ANY_TEXT, st.integers(0, 20))
def test_where_a_text_is_split_changes_the_digest(text: str, place: int) -> None:
    assert digest(text) != digest(text[:place], text[place:])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab",), ("a", "b")),
        ((None,), ("",)),
        ((), ("",)),
        ((), (None,)),
        (("-",), (None,)),
        (("1:a",), ("a",)),
        (("\ud800",), ("",)),
    ],
)
def test_parts_that_look_alike_have_other_digests(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
    assert digest(*one) != digest(*other)


@relaxed
@given(PARTS)
def test_a_digest_is_32_hexadecimal_digits(parts: tuple[str | None, ...]) -> None:
    value = digest(*parts)
    assert (len(value), set(value) <= set("0123456789abcdef")) == (32, True)


@pytest.mark.parametrize("source", ["mti", "0", "le-monde", "a.b_c-d", "a" * 64])
def test_a_source_is_a_plain_lower_case_word(source: str) -> None:
    assert check_source(source) == source


SOURCES = ["", ".", "..", "a..b", "../x", "a/b", "a\\b", "a b", "MTI", "mti:1", "mti#1", "mti\0", "mti\n", "-a", ".a"]
SOURCES += ["_a", "é", "mtі", "a=b", "a%2fb", "a" * 65, "a\ud800"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda value: ascii(value)[:12])
def test_other_sources_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match="is not allowed: 1 to 64 of a-z, 0-9") as error:
        check_source(source)
    assert repr(source) in str(error.value)


def test_a_document_refuses_a_source_that_is_no_folder_name() -> None:
    with pytest.raises(ValueError, match=r"source '\.\./x' is not allowed"):
        replace(DOCUMENT, source="../x")


def test_versions_of_a_document_count_from_1() -> None:
    assert replace(DOCUMENT, version=2).version == 2
    with pytest.raises(ValueError, match=r"^version=0 but versions count from 1$"):
        replace(DOCUMENT, version=0)


@pytest.mark.parametrize("text", ["", " ", "\n\t\u00a0\u2003"])
def test_a_document_has_a_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"^document 'mti:1' has no text$"):
        replace(DOCUMENT, text=text)
