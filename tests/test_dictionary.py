"""The dictionary classifier: what counts as a match, what a match is worth, and what a dictionary may not say."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.classifier import ModelError, load_classifier
from models.dictionary import DictionaryClassifier, fold
from models.registry import STARTER, read_card
from schemas.model_card import ModelCard

SENTIMENTS = ("negative", "neutral", "positive")
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def classifier(folder: Path, negative: str = "", positive: str = "", neutral: str = "") -> DictionaryClassifier:
    terms = {"positive": positive, "neutral": neutral, "negative": negative}
    return written(folder, "\n".join(["[terms]", *(f'{code} = ["{term}"]' for code, term in terms.items() if term)]))


def written(folder: Path, *contents: str) -> DictionaryClassifier:
    for language, content in zip(("hu", "en"), contents, strict=False):
        (folder / f"{language}.toml").write_text(content, encoding="utf-8")
    languages = ("hu", "en")[: max(1, len(contents))]
    return DictionaryClassifier(
        ModelCard("m", "1", "dictionary", "sentiment3@1", languages, ("*",), SENTIMENTS, "none", "a trial", str(folder))
    )


def matches(model: DictionaryClassifier, text: str) -> tuple[int, ...]:
    """Return the matches of negative, neutral and positive, from their shares: n matches give n / (total + 1)."""
    shares = model.classify([text], ["hu"]).probabilities[0].astype(float)
    total = round(shares.sum() / (1 - shares.sum()))
    return tuple(round(share * (total + 1)) for share in shares)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Költségvetési HIÁNY", " koltsegvetesi hiany "),
        ("őű ŐŰ ñ ç", " ou ou n c "),
        ("e\u0301", " e "),
        ("Straße STRASSE ẞ", " strasse strasse ss "),
        ("Ærø ØL", " ærø øl "),
        ("l'eau l\u2019eau", " l eau l eau "),
        ("a,b;c—d…(e)\n\tf", " a b c d e f "),
        ("COVID-19 a_b", " covid 19 a_b "),
        ("İstanbul ﬁx ΣΑΣ", " istanbul fix σασ "),
        ("Київ 東京", " киів 東京 "),
        ("", "  "),
        ("!?", "  "),
        ("a\0b\ud800c", " a b c "),
    ],
)
def test_folding_leaves_bare_words_with_spaces_around(text: str, words: str) -> None:
    assert fold(text) == words


@settings(deadline=None)
@given(ANY_TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("term", "text", "times"),
    [
        ("adó", "adó", 1),
        ("adó", "ADÓK és adóemelés", 2),
        ("adó", "megadó", 0),
        ("adó", "eladó adó", 1),
        ("adó$", "adók", 0),
        ("adó$", "adó.", 1),
        ("adó$", "adó adó adó", 3),
        ("tax cut", "tax\n\n cuts", 1),
        ("tax cut", "TAX — cut", 1),
        ("tax cut$", "tax cuts", 0),
        ("tax cut", "taxes cut", 0),
        ("tax cut", "syntax cut", 0),
        ("aujourd'hui", "aujourd\u2019hui", 1),
        ("l'eau$", "L\u2019EAU", 1),
        ("été", "ete", 1),
        ("Straße", "strassen", 1),
        ("no no$", "no no no", 1),
        ("no no$", "no no no no", 2),
    ],
)
def test_a_term_matches_at_the_beginning_of_words_or_whole(tmp_path: Path, term: str, text: str, times: int) -> None:
    assert matches(classifier(tmp_path, positive=term), text) == (0, 0, times)


@pytest.mark.parametrize(
    ("negative", "positive", "text", "found"),
    [
        ("kár", "kárpót", "kárpótlás", (0, 0, 1)),
        ("kár$", "kárpót", "kár kárpótlás", (1, 0, 1)),
        ("tax", "tax cut", "tax cut, tax", (1, 0, 1)),
        ("social care", "care", "social care", (1, 0, 0)),
        ("social care", "care home", "social care home", (1, 0, 0)),
        ("bad$", "good$", "bad good bad", (2, 0, 1)),
        ("bad$", "good day", "bad good days", (1, 0, 1)),
        ("care", "care$", "care", (0, 0, 1)),
    ],
)
def test_of_overlapping_terms_the_first_and_longest_counts(
    tmp_path: Path, negative: str, positive: str, text: str, found: tuple[int, ...]
) -> None:
    assert matches(classifier(tmp_path, negative, positive), text) == found


def test_a_probability_is_the_share_of_matches_with_one_more(tmp_path: Path) -> None:
    model = classifier(tmp_path, negative="bad", positive="good")
    said = model.classify(["good", "good good bad", "good " * 99], ["hu"] * 3)
    expected = np.array([[0, 0, 0.5], [0.25, 0, 0.5], [0, 0, 0.99]], np.float32)
    np.testing.assert_allclose(said.probabilities, expected, rtol=1e-6)
    assert said.probabilities.dtype == np.float32


def test_equal_counts_go_to_the_code_that_the_card_lists_first(tmp_path: Path) -> None:
    said = classifier(tmp_path, "bad", "good", "so").classify(["so good bad", "good so"], ["hu", "hu"])
    assert [SENTIMENTS[index] for index in said.probabilities.argmax(axis=1)] == ["negative", "neutral"]


def test_a_text_without_a_term_is_rejected_and_its_neighbours_are_not(tmp_path: Path) -> None:
    said = classifier(tmp_path, positive="good").classify(["good", "nothing", ""], ["hu"] * 3)
    assert said.rejections == (None, "no term found", "no term found")
    assert said.probabilities.tolist() == [[0, 0, 0.5], [0, 0, 0], [0, 0, 0]]
    assert (said.windows.tolist(), said.truncated.tolist()) == ([1, 1, 1], [False] * 3)


def test_no_texts_have_no_predictions(tmp_path: Path) -> None:
    said = classifier(tmp_path, positive="good").classify([], [])
    assert (said.probabilities.shape, said.rejections) == ((0, 3), ())


def test_a_text_is_matched_with_the_terms_of_its_own_language(tmp_path: Path) -> None:
    model = written(tmp_path, '[terms]\npositive = ["jó"]', '[terms]\nnegative = ["bad"]')
    said = model.classify(["bad", "bad", "jó"], ["hu", "en", "hu"])
    assert said.probabilities.tolist() == [[0, 0, 0], [0.5, 0, 0], [0, 0, 0.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[terms]\npositive = ["jó", "JO"]', "term 'JO' stands twice"),
        ('[terms]\npositive = ["jó"]\nnegative = ["jo"]', "term 'jo' stands twice"),
        ('[terms]\npositive = ["jó$", "jo$"]', "term 'jo$' stands twice"),
        ('[terms]\njoy = ["jó"]', "code 'joy' is not in the card's list ['negative', 'neutral', 'positive']"),
        ('[terms]\npositive = [""]', "term '' has no letter or digit"),
        ('[terms]\npositive = ["$"]', "term '$' has no letter or digit"),
        ('[terms]\npositive = ["—!"]', "term '—!' has no letter or digit"),
        ("[terms]", "no terms"),
        ("[terms]\npositive = []", "no terms"),
        ("[terms", "is not a TOML file with [terms]"),
        ('positive = ["jó"]', "is not a TOML file with [terms]: 'terms'"),
        ("[terms]\npositive = [2020]", "Expected `str`, got `int`"),
        ('terms = ["jó"]', "Expected `object`, got `array`"),
        ('[terms]\npositive = "jó"', "Expected `array`, got `str`"),
    ],
)
def test_a_malformed_dictionary_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        written(tmp_path, content)
    assert str(tmp_path / "hu.toml") in str(error.value)
    assert message in str(error.value)


def test_every_language_of_the_card_has_its_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        written(tmp_path)
    assert str(error.value) == f"model m@1: {tmp_path / 'hu.toml'} is missing, but the card codes 'hu'"


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "hu.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"hu\.toml is not a TOML file"):
        written(tmp_path)


@pytest.fixture(scope="module")
def shipped() -> DictionaryClassifier:
    return DictionaryClassifier(read_card(STARTER / "sentiment3-dictionary"))


@settings(deadline=None)
@given(texts=st.lists(ANY_TEXT | st.text("badgo$ \0\ud800éßø", max_size=30), max_size=4))
def test_any_text_has_probabilities_or_a_rejection(shipped: DictionaryClassifier, texts: list[str]) -> None:
    said = shipped.classify(texts, ["en"] * len(texts))
    assert said.probabilities.shape == (len(texts), 3)
    assert ((said.probabilities >= 0) & (said.probabilities <= 1)).all()
    assert (said.probabilities.sum(axis=1) <= 1).all()
    assert [reason is None for reason in said.rejections] == said.probabilities.any(axis=1).tolist()


@pytest.mark.parametrize("text", ["good " * 1_000_000, "x" * 5_000_000, "\0" * 1_000_000, "\ud800é" * 500_000])
def test_a_very_long_text_is_only_long(tmp_path: Path, text: str) -> None:
    found = np.float32(text.count("good"))
    said = classifier(tmp_path, positive="good").classify([text], ["hu"])
    assert said.probabilities.tolist() == [[0, 0, float(found / (found + 1))]]


@pytest.mark.parametrize("model", ["cap-dictionary", "sentiment3-dictionary"])
def test_the_shipped_dictionaries_have_terms_of_every_code_in_every_language(model: str) -> None:
    folder = STARTER / model
    card = read_card(folder)
    load_classifier(card)
    assert sorted(path.stem for path in folder.glob("??.toml")) == sorted(card.languages)
    for language in card.languages:
        terms = tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))["terms"]
        assert {code for code in card.codes if len(terms.get(code, ())) < 12} == set(), language
