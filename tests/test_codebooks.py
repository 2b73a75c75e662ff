"""The shipped codebooks, code by code where it matters, and what a codebook file may not say."""

from pathlib import Path

import pytest

import schemas.codebook
from schemas.codebook import Code, Codebook, codebook, codebooks, read_codebook

CAP = {
    "1": "Macroeconomics",
    "2": "Civil Rights",
    "3": "Health",
    "4": "Agriculture",
    "5": "Labor",
    "6": "Education",
    "7": "Environment",
    "8": "Energy",
    "9": "Immigration",
    "10": "Transportation",
    "12": "Law and Crime",
    "13": "Social Welfare",
    "14": "Housing",
    "15": "Domestic Commerce",
    "16": "Defense",
    "17": "Technology",
    "18": "Foreign Trade",
    "19": "International Affairs",
    "20": "Government Operations",
    "21": "Public Lands",
    "23": "Culture",
    "999": "No Policy Content",
}
CAP_MEDIA2_OWN = {
    "24": "State and Local Government Administration",
    "25": "Weather",
    "26": "Fires, emergencies and natural disasters",
    "27": "Crime and trials",
    "28": "Arts, culture, entertainment and history",
    "29": "Style and fashion",
    "30": "Food",
    "31": "Travel",
    "32": "Wellbeing and learning",
    "33": "Personal finance and real estate",
    "34": "Personal technology and popular science",
    "35": "Churches and Religion",
    "36": "Celebrities and human interest",
    "37": "Obituaries and death notices",
    "38": "Sports",
    "39": "Crosswords, puzzles, comics",
    "40": "Media production/internal, letters",
    "41": "Advertisements",
    "998": "No Policy and No Media Content",
}
MANIFESTO = (
    "0 101 102 103 104 105 106 107 108 109 110 201 202 203 204 301 302 303 304 305 401 402 403 404 405 406 407 408 409 "
    "410 411 412 413 414 415 416 501 502 503 504 505 506 507 601 602 603 604 605 606 607 608 701 702 703 704 705 706"
)
CAP_MINOR = (
    "100 101 103 104 105 107 108 110 199 200 201 202 204 205 206 207 208 209 299 300 301 302 321 322 323 324 325 331 "
    "332 333 334 335 341 342 398 399 400 401 402 403 404 405 408 498 499 500 501 502 503 504 505 506 529 599 600 601 "
    "602 603 604 606 607 698 699 700 701 703 704 705 707 708 709 711 798 799 800 801 802 803 805 806 807 898 899 900 "
    "999 1000 1001 1002 1003 1005 1007 1010 1098 1099 1200 1201 1202 1203 1204 1205 1206 1207 1208 1210 1211 1227 1299 "
    "1300 1302 1303 1304 1305 1308 1399 1400 1401 1403 1404 1405 1406 1407 1408 1409 1498 1499 1500 1501 1502 1504 "
    "1505 1507 1520 1521 1522 1523 1524 1525 1526 1598 1599 1600 1602 1603 1604 1605 1606 1608 1610 1611 1612 1614 "
    "1615 1616 1617 1619 1620 1698 1699 1700 1701 1704 1705 1706 1707 1708 1709 1798 1799 1800 1802 1803 1804 1806 "
    "1807 1808 1899 1900 1901 1902 1905 1906 1910 1921 1925 1926 1927 1929 1999 2000 2001 2002 2003 2004 2005 2006 "
    "2007 2008 2009 2010 2011 2012 2013 2014 2015 2030 2099 2100 2101 2102 2103 2104 2105 2199 2300"
)
ORDERS = {
    "cap@1": " ".join(CAP),
    "cap-media2@1": " ".join([*list(CAP)[:-1], *CAP_MEDIA2_OWN]),
    "cap-minor@1": CAP_MINOR,
    "emotions6@1": "anger fear disgust sadness joy none",
    "emotions8@1": "neutral fear sadness anger disgust success joy trust",
    "emotions9@1": "anger fear disgust sadness joy none enthusiasm hope pride",
    "manifesto@1": MANIFESTO,
    "sentiment3@1": "negative neutral positive",
}


def names(book: str) -> dict[str, str]:
    return {code.code: code.name for code in codebook(book).codes}


def made(*codes: Code, name: str = "trial", version: int = 1) -> Codebook:
    return Codebook(name, version, "A trial", "tests", codes or (Code("1", "One"),))


def file_with(folder: Path, codes: str, version: str = "1") -> Path:
    file = folder / "trial@1.toml"
    file.write_text(f'name = "trial"\nversion = {version}\ntitle = "A trial"\norigin = "tests"\ncodes = {codes}\n')
    return file


def test_every_codebook_ships_with_its_codes_as_strings_in_the_published_order() -> None:
    assert {id_: " ".join(code.code for code in book.codes) for id_, book in codebooks().items()} == ORDERS


def test_cap_names_its_codes_and_has_neither_11_nor_22() -> None:
    assert names("cap@1") == CAP
    assert [code in codebook("cap@1") for code in ("11", "22", "999")] == [False, False, True]


def test_cap_media2_is_cap_with_media_topics_and_998_for_999() -> None:
    shared = {code: name for code, name in CAP.items() if code != "999"}
    commerce = {"15": "Banking, Finance, and Domestic Commerce"}
    assert names("cap-media2") == shared | commerce | CAP_MEDIA2_OWN


def test_cap_media2_gives_26_to_31_other_meanings_than_the_first_media_list() -> None:
    first = {"26": "Weather and Natural Disasters", "27": "Fires", "29": "Sports and Recreation"}
    first |= {"30": "Death Notices", "31": "Churches and Religion"}
    book = codebook("cap-media2")
    assert {code: book.label(code) == name for code, name in first.items()} == dict.fromkeys(first, False)
    assert (book.code_named("Churches and Religion"), book.code_named("Fires")) == ("35", None)


def test_cap_minor_has_214_codes_of_which_999_is_no_policy_content() -> None:
    assert len(names("cap-minor")) == 214
    chosen = {"100": "Macroeconomics - General", "900": "Immigration - Immigration", "999": "No Policy Content"}
    assert {code: name for code, name in names("cap-minor").items() if code in chosen} == chosen


def test_sentiment_and_emotion_codes_are_the_lower_case_names() -> None:
    for book in ("sentiment3", "emotions8"):
        assert list(names(book)) == [name.lower() for name in names(book).values()]
    for book in ("emotions6", "emotions9"):
        assert {code: name for code, name in names(book).items() if code != name.lower()} == {"none": "None of Them"}


@pytest.mark.parametrize("word", ["0", "000", "999", " 000 ", "no policy goal", "NO MEANINGFUL CATEGORY APPLIES"])
def test_manifesto_0_has_aliases(word: str) -> None:
    assert codebook("manifesto").code_named(word) == "0"


@pytest.mark.parametrize(
    ("book", "word", "code"),
    [
        ("cap", "law AND crime", "12"),
        ("cap", "12", "12"),
        ("cap", "banking, finance, and domestic commerce", "15"),
        ("cap", "NONE", "999"),
        ("sentiment3", "NEGATIVE", "negative"),
        ("emotions6", "Neutral", "none"),
        ("emotions8", "None", "neutral"),
        ("cap", "11", None),
        ("cap", "1.0", None),
        ("cap", "", None),
    ],
)
def test_a_code_is_found_by_code_name_or_alias_in_any_case(book: str, word: str, code: str | None) -> None:
    assert codebook(book).code_named(word) == code


def test_a_label_of_a_strange_code_is_a_key_error() -> None:
    assert codebook("cap").label("12") == "Law and Crime"
    with pytest.raises(KeyError, match="11"):
        codebook("cap").label("11")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Code("1", "Two"), "codebook trial@1: code '1' stands twice"),
        (Code("2", "ONE"), "codebook trial@1: name 'ONE' stands twice"),
        (Code("2", "Two", ("one",)), "codebook trial@1: code, name or alias 'one' stands twice"),
        (Code("2", "Two", ("Uno",)), "codebook trial@1: code, name or alias 'uno' stands twice"),
        (Code("2", "Two", ("1",)), "codebook trial@1: code, name or alias '1' stands twice"),
    ],
)
def test_no_word_means_two_codes(second: Code, message: str) -> None:
    with pytest.raises(ValueError, match="stands twice") as error:
        made(Code("1", "One", ("uno",)), second)
    assert str(error.value) == message


@pytest.mark.parametrize("code", ["", "A", " 1", "1/2", "../1", "1\n", "é"])
def test_a_code_is_made_of_plain_characters(code: str) -> None:
    with pytest.raises(ValueError, match="is not a string of a-z"):
        Code(code, "Name")


def test_a_code_has_a_name() -> None:
    with pytest.raises(ValueError, match="code '1': name '  ' is not a name"):
        Code("1", "  ")


@pytest.mark.parametrize(("name", "version"), [("Cap", 1), ("", 1), ("1cap", 1), ("cap@1", 1), ("a/b", 1), ("cap", 0)])
def test_a_codebook_has_a_plain_name_and_counts_its_versions_from_1(name: str, version: int) -> None:
    with pytest.raises(ValueError, match="allowed are a-z"):
        made(name=name, version=version)


def test_a_codebook_has_codes() -> None:
    with pytest.raises(ValueError, match="codebook trial@1 has no codes"):
        Codebook("trial", 1, "A trial", "tests", ())


def test_a_codebook_file_is_read(tmp_path: Path) -> None:
    file = file_with(tmp_path, '[{code = "b", name = "B"}, {code = "a", name = "A", aliases = ["x"]}]', "2")
    assert read_codebook(file) == made(Code("b", "B"), Code("a", "A", ("x",)), version=2)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ('[{code = "1", name = "One"}, {code = "1", name = "Two"}]', "code '1' stands twice"),
        ('[{code = 1, name = "One"}]', "code 1 is not a string"),
        ('[{code = "1"}]', "'name' is missing"),
        ("[]", "has no codes"),
        ('["1"]', "'1' is not a row with a code and a name"),
        ("[", "Invalid value"),
        ('[{code = "1", name = 1}]', "code '1': name 1 is not a name"),
        ('[{code = "0", name = "None", aliases = [999]}]', "code '0': aliases [999] are not all strings"),
        ('[{code = "0", name = "None", aliases = "nil"}]', "code '0': aliases 'nil' are not a list"),
    ],
)
def test_a_malformed_codebook_file_is_named(tmp_path: Path, codes: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^codebook file trial@1\.toml: ") as error:
        read_codebook(file_with(tmp_path, codes))
    assert message in str(error.value)


def test_an_unknown_codebook_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match="unknown codebook") as error:
        codebook("capp")
    assert str(error.value) == f"unknown codebook 'capp'; codebooks: {', '.join(sorted(ORDERS))}"


@pytest.mark.parametrize("name", ["cap@2", "cap@", "CAP", "@1", ""])
def test_only_an_id_or_a_bare_name_is_a_codebook(name: str) -> None:
    with pytest.raises(ValueError, match="unknown codebook"):
        codebook(name)


def test_a_bare_name_means_the_latest_version(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {book.id: book for book in (made(version=10), made(version=2), made(name="trial-b", version=11))}
    monkeypatch.setattr(schemas.codebook, "codebooks", lambda: known)
    assert [codebook(name).id for name in ("trial", "trial@2", "trial-b")] == ["trial@10", "trial@2", "trial-b@11"]
