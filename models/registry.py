"""Registry: every ModelCard there is, and which of them codes a Group under a Codebook, and why."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgspec

from models.classifier import ModelError
from schemas.codebook import codebook
from schemas.group import UNDETERMINED, Group
from schemas.model_card import ANY, ModelCard, Route

STARTER = Path(__file__).parent / "starter"
CARD = "card.toml"
ROUTES = "routes.toml"

_SCOPES = ("language-domain", "language", "pooled")
_KINDS = ("transformers", "linear", "dictionary")


def read_card(folder: Path) -> ModelCard:
    """Read the ``card.toml`` of a model folder; raise ModelError, naming it, where it is malformed."""
    path = folder / CARD
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = set(data) - {field.name for field in fields(ModelCard)}
        if unknown:
            allowed = ", ".join(sorted(field.name for field in fields(ModelCard)))
            raise ValueError(f"unknown keys {sorted(unknown)}; allowed: {allowed}")
        return msgspec.convert({**data, "address": str(folder)}, ModelCard)
    except (OSError, ValueError) as error:
        raise ModelError(f"model card {path}: {error}") from error


def read_cards(folder: Path) -> list[ModelCard]:
    """Read the cards of the model folders directly in a folder, sorted by model; without a card it is no model."""
    if not folder.is_dir():
        raise ModelError(f"models folder {folder} does not exist")
    cards = [read_card(path.parent) for path in folder.glob(f"*/{CARD}")]
    if not cards:
        raise ModelError(f"models folder {folder} holds no folder with a {CARD}; give the folder above the models' own")
    return sorted(cards, key=lambda card: card.name)


@dataclass(frozen=True, slots=True)
class NoRoute:
    """A Group that no model codes under a Codebook; ``detail`` says which and what there is."""

    group: Group
    codebook: str
    detail: str


class Registry:
    """ModelCards, and the table of routes by which an operator may overrule the order of preference."""

    def __init__(self, cards: Iterable[ModelCard], routes: Sequence[tuple[str, str, str, str]] = ()) -> None:
        self.cards = tuple(cards)
        names = [card.model for card in self.cards]
        for name in names:
            if names.count(name) > 1:
                raise ModelError(f"model {name} has {names.count(name)} cards; keep one")
        self.routes = {(book, language, domain): self._card(model) for book, language, domain, model in routes}
        for (book, language, _), card in self.routes.items():
            if card.codebook != book or language not in card.languages:
                raise ModelError(
                    f"{ROUTES} gives {book} in language={language} to {card.model}, "
                    f"which codes {card.codebook} in {', '.join(card.languages)}"
                )
        if len(self.routes) < len(routes):
            raise ModelError(f"{ROUTES}: a (codebook, language, domain) stands twice")

    def _card(self, model: str) -> ModelCard:
        for card in self.cards:
            if card.model == model:
                return card
        raise ModelError(f"{ROUTES} names model {model!r}; models: {', '.join(card.model for card in self.cards)}")

    def card(self, model: str, revision: str) -> ModelCard:
        """Return the card of a model at a revision; raise ModelError where this registry has another or none."""
        for card in self.cards:
            if (card.model, card.revision) == (model, revision):
                return card
        known = ", ".join(card.name for card in self.cards)
        raise ModelError(f"model {model}@{revision} is not here; models: {known}")

    def resolve(self, group: Group, book: str) -> Route | NoRoute:
        """Return the Route of a Group under a Codebook id.

        What ``routes.toml`` says for the Group, or for the language and any domain, decides. Else the most specific
        card that codes the Group: language-domain, language, pooled, and of pooled ones those for named domains; then
        transformers, linear, dictionary; then a starter model last; then the first by name. An undetermined domain is
        coded by those that code any domain.
        """
        for domain in (group.domain, ANY):
            card = self.routes.get((book, group.language, domain))
            if card is not None:
                return Route(group, book, card, f"{ROUTES}: {card.scope} {card.kind} model")
        candidates = [card for card in self.cards if card.codebook == book and card.codes_group(group)]
        if not candidates:
            return NoRoute(group, book, self._nothing(group, book))
        best = min(candidates, key=_preference)
        others = f", chosen from {len(candidates)}" if len(candidates) > 1 else ""
        return Route(group, book, best, f"{best.scope} {best.kind} model{others}")

    def _nothing(self, group: Group, book: str) -> str:
        models = ", ".join(card.model for card in self.cards if card.codebook == book) or "none"
        return f"no model for {book} in {group}; models for {book}: {models}"


def _preference(card: ModelCard) -> tuple[int, bool, int, bool, str]:
    starter = Path(card.address).parent == STARTER
    return _SCOPES.index(card.scope), ANY in card.domains, _KINDS.index(card.kind), starter, card.name


def _read_routes(folder: Path) -> list[tuple[str, str, str, str]]:
    """Read the rows ``[[route]]`` with codebook, language, domain (or ``*``) and model, if there is such a file."""
    path = folder / ROUTES
    if not path.exists():
        return []
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, list[dict[str, str]]])
        if set(found) - {"route"}:
            raise ValueError(f"unknown tables {sorted(set(found) - {'route'})}; allowed: [[route]]")
        return [_route(row) for row in found.get("route", [])]
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error


def _route(row: dict[str, str]) -> tuple[str, str, str, str]:
    if set(row) != {"codebook", "language", "domain", "model"}:
        raise ValueError(f"a route has codebook, language, domain and model, but here: {', '.join(sorted(row))}")
    Group(row["language"], UNDETERMINED if row["domain"] == ANY else row["domain"])
    return codebook(row["codebook"]).id, row["language"], row["domain"], row["model"]


def open_registry(models: str | None = None) -> Registry:
    """Return the Registry of the starter models and of those in the folder ``models``, with its ``routes.toml``.

    Raises ModelError where a card or the table of routes is malformed or names what is not there.
    """
    cards, routes = read_cards(STARTER), []
    if models is not None:
        folder = Path(models).absolute()
        cards += [replace(card, codebook=codebook(card.codebook).id) for card in read_cards(folder)]
        routes = _read_routes(folder)
    return Registry(cards, routes)
