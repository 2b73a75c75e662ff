"""The Registry: which model codes a Group, why, and what a card or a table of routes may not say."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from models.classifier import ModelError
from models.registry import STARTER, NoRoute, Registry, open_registry, read_card, read_cards
from schemas.group import DOMAINS, Group
from schemas.model_card import Evaluation, ModelCard, ModelKind, Route

HU_MEDIA = Group("hu", "media")
CARD = ModelCard("m", "1", "linear", "cap@1", ("hu",), ("media",), ("1", "2"), "none", "a trial", "/models/m")
TOML = """
model = "m"
revision = "1"
kind = "linear"
codebook = "cap@1"
languages = ["hu"]
domains = ["media"]
codes = ["1", "2"]
licence = "none"
description = "a trial"
"""


def card(model: str, kind: ModelKind = "linear", languages: str = "hu", domains: str = "media") -> ModelCard:
    return replace(CARD, model=model, kind=kind, languages=tuple(languages.split()), domains=tuple(domains.split()))


def chosen(group: Group, *cards: ModelCard) -> set[str]:
    """Return the models chosen with the cards in every order: one, or the order matters."""
    routes = [Registry(order).resolve(group, "cap@1") for order in permutations(cards)]
    return {route.card.model if isinstance(route, Route) else "" for route in routes}


def in_folder(folder: Path, content: str, name: str = "m") -> Path:
    (folder / name).mkdir()
    (folder / name / "card.toml").write_text(content, encoding="utf-8")
    return folder / name


def route_row(codebook: str, language: str, domain: str, model: str) -> str:
    return f'[[route]]\ncodebook = "{codebook}"\nlanguage = "{language}"\ndomain = "{domain}"\nmodel = "{model}"\n'


def with_routes(folder: Path, content: str) -> Registry:
    in_folder(folder, TOML)
    (folder / "routes.toml").write_text(content, encoding="utf-8")
    return open_registry(str(folder))


@pytest.mark.parametrize(
    ("languages", "domains", "scope"),
    [
        ("hu", "media", "language-domain"),
        ("hu", "media social", "language"),
        ("hu", "*", "language"),
        ("hu en", "media", "pooled"),
        ("hu en", "*", "pooled"),
    ],
)
def test_a_scope_says_how_specific_a_model_is(languages: str, domains: str, scope: str) -> None:
    assert card("m", languages=languages, domains=domains).scope == scope


@pytest.mark.parametrize(
    "preferred",
    [
        (card("z"), card("a", domains="*")),
        (card("z", domains="media social"), card("a", languages="hu en")),
        (card("z"), card("b", domains="*"), card("a", languages="hu en", domains="*")),
        (card("z", "dictionary"), card("a", "transformers", domains="*")),
        (card("z", "transformers"), card("m", "linear"), card("a", "dictionary")),
        (card("a"), card("b"), card("c")),
        (card("a", languages="hu en"), card("b", languages="hu en", domains="*")),
    ],
    ids=lambda cards: " ".join(f"{card.scope}/{card.kind}/{card.model}" for card in cards),
)
def test_the_most_specific_then_the_ablest_then_the_first_by_name(preferred: tuple[ModelCard, ...]) -> None:
    assert chosen(HU_MEDIA, *preferred) == {preferred[0].model}


def test_a_route_says_why() -> None:
    lone, crowded = Registry([card("z")]), Registry([card("z"), card("a", "dictionary", "hu en", "*")])
    assert lone.resolve(HU_MEDIA, "cap@1") == Route(HU_MEDIA, "cap@1", card("z"), "language-domain linear model")
    reason = "language-domain linear model, chosen from 2"
    assert crowded.resolve(HU_MEDIA, "cap@1") == Route(HU_MEDIA, "cap@1", card("z"), reason)


@pytest.mark.parametrize(
    ("group", "model"),
    [
        (Group("en", "social"), "pooled"),
        (Group("en", "und"), "pooled"),
        (Group("am", "media"), ""),
        (Group("und", "media"), ""),
        (Group("hu", "social"), ""),
        (Group("hu", "und"), ""),
    ],
)
def test_a_model_codes_only_the_languages_and_domains_of_its_card(group: Group, model: str) -> None:
    assert chosen(group, card("m"), card("pooled", languages="de en", domains="*")) == {model}


def test_no_route_names_group_codebook_and_the_models_there_are() -> None:
    models = [card("m"), card("n"), replace(card("o"), codebook="sentiment3@1", codes=("neutral",))]
    group = Group("am", "media")
    expected = "no model for cap@1 in language=am/domain=media; models for cap@1: m, n"
    assert Registry(models).resolve(group, "cap@1") == NoRoute(group, "cap@1", expected)
    expected = "no model for cap-minor@1 in language=am/domain=media; models for cap-minor@1: none"
    assert Registry(models).resolve(group, "cap-minor@1") == NoRoute(group, "cap-minor@1", expected)


def test_two_cards_of_one_model_are_refused() -> None:
    with pytest.raises(ModelError, match=r"^model m has 2 cards; keep one$"):
        Registry([card("m"), card("n"), replace(card("m"), revision="2")])


def test_a_card_is_found_by_model_and_revision() -> None:
    registry = Registry([card("m"), card("n")])
    assert registry.card("n", "1") == card("n")
    with pytest.raises(ModelError, match=r"^model n@2 is not here; models: m@1, n@1$"):
        registry.card("n", "2")


def test_a_card_file_is_read(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, f"{TOML}stride = 8\n[[evaluations]]\n{EVALUATION}")
    expected = replace(CARD, address=str(folder), stride=8, evaluations=(Evaluation("f1", 0.5, 9, "d", "us"),))
    assert read_card(folder) == expected


EVALUATION = 'metric = "f1"\nvalue = 0.5\nrows = 9\ntest_set = "d"\norigin = "us"\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "colour = 1\n", "unknown keys ['colour']"),
        ('"linear"', '"magic"', "kind"),
        ('["media"]', '["news"]', "unknown domain 'news'; domains: *, media, social"),
        ('["media"]', "[]", "model m: domains [] should be at least one, each once"),
        ('["hu"]', "[]", "model m: languages [] should be at least one, each once"),
        ('["hu"]', '["hu", "und"]', "model m: no model codes an undetermined language"),
        ('["hu"]', '["hu", "../x"]', "language '../x' is not a primary language"),
        ('["1", "2"]', '["1", "11"]', "model m: codes ['11'] are not in codebook cap@1"),
        ('["1", "2"]', '["1", "2", "1"]', "model m: codes ['1', '2', '1'] should be at least one, each once"),
        ('["1", "2"]', "[1, 2]", "Expected `str`, got `int`"),
        ('"cap@1"', '"capp"', "unknown codebook 'capp'"),
        ('revision = "1"', "", "missing required field `revision`"),
        ('licence = "none"', "", "missing required field `licence`"),
        ("", "stride = 512\n", "stride=512 but should be in [0, max_tokens=512)"),
        ("", f"[[evaluations]]\n{EVALUATION.replace('0.5', '1.5')}", "f1=1.5 but should be in [0, 1]"),
        ("", f"[[evaluations]]\n{EVALUATION.replace('9', '0')}", "rows=0 but"),
        ("", "[", "at end of document"),
        ('["1", "2"]', "[]", "model m: codes [] should be at least one, each once"),
    ],
)
def test_a_malformed_card_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    folder = in_folder(tmp_path, TOML.replace(old, new) if old else TOML + new)
    with pytest.raises(ModelError) as error:
        read_card(folder)
    assert str(error.value).startswith(f"model card {folder / 'card.toml'}: ")
    assert message in str(error.value)


def test_a_folder_of_models_is_read_by_name_and_what_has_no_card_is_no_model(tmp_path: Path) -> None:
    for model in ("b", "a"):
        in_folder(tmp_path, TOML.replace('"m"', f'"{model}"'), f"folder-{model}")
    (tmp_path / "cache").mkdir()
    assert [card.name for card in read_cards(tmp_path)] == ["a@1", "b@1"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"models folder .*/gone does not exist"):
        open_registry(str(tmp_path / "gone"))


def test_the_shipped_cards_code_nine_languages_in_any_domain() -> None:
    shipped = {card.model: (card.codebook, card.kind, card.languages, card.domains) for card in read_cards(STARTER)}
    nine = ("da", "de", "en", "es", "fr", "hu", "it", "nl", "pt")
    assert shipped["babelbeam/cap-dictionary"] == ("cap@1", "dictionary", nine, ("*",))
    assert shipped["babelbeam/sentiment3-dictionary"] == ("sentiment3@1", "dictionary", nine, ("*",))
    for book in ("cap@1", "sentiment3@1"):
        assert {type(open_registry().resolve(Group("hu", domain), book)) for domain in (*DOMAINS, "und")} == {Route}


def test_cards_of_a_folder_join_the_shipped_ones_and_a_bare_codebook_is_its_latest(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, TOML.replace("cap@1", "cap"))
    registry = open_registry(str(tmp_path))
    route = registry.resolve(HU_MEDIA, "cap@1")
    assert isinstance(route, Route)
    assert route.card == replace(CARD, address=str(folder))
    assert {card.model for card in open_registry().cards} | {"m"} == {card.model for card in registry.cards}


@pytest.mark.parametrize("domain", ["media", "*"])
@pytest.mark.parametrize("codebook", ["cap", "cap@1"])
def test_routes_overrule_preference(tmp_path: Path, codebook: str, domain: str) -> None:
    registry = with_routes(tmp_path, route_row(codebook, "hu", domain, "babelbeam/cap-dictionary"))
    route = registry.resolve(HU_MEDIA, "cap@1")
    assert isinstance(route, Route)
    assert (route.card.model, route.reason) == ("babelbeam/cap-dictionary", "routes.toml: pooled dictionary model")


def test_a_route_of_the_domain_comes_before_one_of_any(tmp_path: Path) -> None:
    rows = route_row("cap", "hu", "*", "babelbeam/cap-dictionary") + route_row("cap", "hu", "media", "m")
    route = with_routes(tmp_path, rows).resolve(HU_MEDIA, "cap@1")
    assert isinstance(route, Route)
    assert (route.card.model, route.reason) == ("m", "routes.toml: language-domain linear model")


def test_a_route_says_nothing_of_other_groups(tmp_path: Path) -> None:
    registry = with_routes(tmp_path, route_row("cap", "hu", "media", "babelbeam/cap-dictionary"))
    assert isinstance(registry.resolve(Group("am", "media"), "cap@1"), NoRoute)
    assert isinstance(registry.resolve(HU_MEDIA, "cap-minor@1"), NoRoute)


ROW = route_row("cap", "hu", "media", "m")


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        (route_row("cap", "hu", "media", "x"), "routes.toml names model 'x'; models: babelbeam/cap-dictionary"),
        (ROW + 'colour = "x"\n', "and model, but here: codebook, colour, domain, language, model"),
        (ROW + ROW, "routes.toml: a (codebook, language, domain) stands twice"),
        (ROW + ROW.replace("cap", "cap@1"), "routes.toml: a (codebook, language, domain) stands twice"),
        (route_row("cap", "hu", "news", "m"), "routes.toml: unknown domain 'news'; domains: media"),
        (route_row("capp", "hu", "media", "m"), "unknown codebook 'capp'"),
        (
            ROW.replace('model = "m"', ""),
            "has codebook, language, domain and model, but here: codebook, domain, language",
        ),
        ("[[route]", "routes.toml: "),
        (ROW.replace("[[route]]", "[route]"), "routes.toml: Expected `array`, got `object`"),
        (ROW.replace("route", "routes"), "routes.toml: unknown tables ['routes']; allowed: [[route]]"),
        (
            route_row("sentiment3", "hu", "media", "m"),
            "routes.toml gives sentiment3@1 in language=hu to m, which codes cap@1 in hu",
        ),
        (
            route_row("cap", "am", "media", "babelbeam/cap-dictionary"),
            "gives cap@1 in language=am to babelbeam/cap-dictionary",
        ),
        (route_row("cap", "Hungarian", "media", "m"), "language 'Hungarian' is not a primary language"),
    ],
)
def test_a_malformed_table_of_routes_is_refused(tmp_path: Path, routes: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        with_routes(tmp_path, routes)
    assert message in str(error.value)
