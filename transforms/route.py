"""Route: one model, or a reason why none, for every Slice; portioned into Units of even size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import apache_beam as beam

from models.registry import NoRoute, Registry, open_registry
from schemas.document import digest
from schemas.group import UNDETERMINED, Group
from schemas.model_card import Route as ModelRoute
from schemas.run import NO_MODEL, UNDETERMINED_LANGUAGE, Count, CountKey, Counts, TableVersion
from schemas.work import Plan, Slice, Unit
from storage.files import Files, from_json, to_json
from storage.layout import staging
from storage.pending import Pending, find_pending
from storage.tables import snapshot

PLAN = "plan.json"
UNIT_ROWS = 20_000
UNIT_CHARACTERS = {"dictionary": 8_000_000, "linear": 8_000_000, "transformers": 1_000_000, "": 1_000_000_000}
"""The most characters of a Unit by the kind of its model; a Unit without a model reads no texts."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with a Group's rows under a Codebook: a Route, or the reason and detail of a Rejection."""

    route: ModelRoute | None
    reason: str = ""
    detail: str = ""


def decide(group: Group, book: str, registry: Registry) -> Decision:
    """Route a Group under a Codebook, or say why its rows are Rejections."""
    if group.language == UNDETERMINED:
        return Decision(None, UNDETERMINED_LANGUAGE, "no language declared, and none detected with enough confidence")
    found = registry.resolve(group, book)
    if isinstance(found, NoRoute):
        return Decision(None, NO_MODEL, found.detail)
    return Decision(found)


def _fill(weights: Sequence[float], capacity: float) -> list[int]:
    """Return the number of Slices in each portion, filled in order up to a capacity."""
    sizes, load = [0], 0.0
    for weight in weights:
        if sizes[-1] and load + weight > capacity:
            sizes.append(0)
            load = 0.0
        sizes[-1] += 1
        load += weight
    return sizes


def portion(slices: Sequence[Slice], rows: int, characters: int) -> list[tuple[Slice, ...]]:
    """Cut Slices, in their order, into as few portions as the limits allow, the largest as small as these many allow.

    A Slice is never cut: one larger than a limit is a portion of its own.
    """
    weights = [max(piece.rows / rows, piece.characters / characters) for piece in slices]
    sizes, low, high = _fill(weights, 1.0), 0.0, 1.0
    for _ in range(20):  # the smallest capacity, to one part in a million, that makes no more portions
        middle = (low + high) / 2
        fewer = _fill(weights, middle)
        low, high, sizes = (low, middle, fewer) if len(fewer) <= len(sizes) else (middle, high, sizes)
    ordered = iter(slices)
    return [tuple(islice(ordered, size)) for size in sizes if size]


def _unit(book: str, slices: tuple[Slice, ...], decisions: Mapping[Group, Decision]) -> Unit:
    first = decisions[slices[0].group]
    card = first.route.card if first.route else None
    model, revision = (card.model, card.revision) if card else ("", "")
    places = (f"{piece.grouped} {piece.row_group} {piece.rows} {piece.pending}" for piece in slices)
    name = digest(book, str(card), first.reason, *places)[:16]
    found = (decisions[piece.group] for piece in slices)
    routes = tuple(decision.route.reason if decision.route else decision.detail for decision in found)
    return Unit(name, book, model, revision, slices, routes, first.reason)


def make_units(slices: Iterable[Slice], book: str, decisions: Mapping[Group, Decision]) -> list[Unit]:
    """Portion Slices into Units: one model each, or one reason for rejecting; the same for any order of the Slices."""

    def destination(piece: Slice) -> tuple[str, str]:
        decision = decisions[piece.group]
        return (decision.route.card.name if decision.route else "", decision.reason)

    units = []
    ordered = sorted(set(slices), key=lambda piece: (destination(piece), piece.group, piece))
    for _, part in groupby(ordered, key=destination):
        pieces = list(part)
        route = decisions[pieces[0].group].route
        cuts = portion(pieces, UNIT_ROWS, UNIT_CHARACTERS[route.card.kind if route else ""])
        units += [_unit(book, cut, decisions) for cut in cuts]
    return units


def _counts(book: str, pending: Pending) -> Counts:
    numbers = {"settled": pending.settled, "superseded": pending.superseded, "replacing": pending.replacing}
    return Counts.of(Count(CountKey(outcome, book), rows) for outcome, rows in numbers.items())


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What Route decides by: the Run, its Codebooks, the folder of models, and the tables as the Run found them."""

    run: str
    codebooks: tuple[str, ...]
    models: str | None
    inputs: dict[str, TableVersion]


def make_plan(files: Files, slices: Sequence[Slice], settings: RouteSettings, registry: Registry) -> Plan:
    """Decide every row of the Slices under every Codebook; the same for any order of the Slices."""
    ordered = sorted(set(slices))
    codings, rejections = (snapshot(files, table, settings.inputs[table]) for table in ("codings", "rejections"))
    units: list[Unit] = []
    counts = Counts.of([Count(CountKey("read"), sum(piece.rows for piece in ordered))])
    for book in settings.codebooks:
        decisions = {group: decide(group, book, registry) for group in {piece.group for piece in ordered}}
        models = {group: decision.route.card.name for group, decision in decisions.items() if decision.route}
        pending = find_pending(
            files, ordered, book, (codings, rejections), models, staging(settings.run, "pending", book)
        )
        units += make_units(pending.slices, book, decisions)
        counts += _counts(book, pending)
    return Plan(tuple(units), counts)


def read_plan(files: Files, run: str) -> Plan | None:
    """Return the plan of a Run, or None where it has not been made."""
    try:
        return from_json(files.read(staging(run, PLAN)), Plan)
    except FileNotFoundError:
        return None


class _MakePlan(beam.DoFn):
    def __init__(self, files: Files, settings: RouteSettings) -> None:
        self._files = files
        self._settings = settings

    def process(self, slices: list[Slice]) -> Iterable[Unit]:
        plan = make_plan(self._files, slices, self._settings, open_registry(self._settings.models))
        address = staging(self._settings.run, PLAN)
        if not self._files.write_once(address, to_json(plan)):
            plan = from_json(self._files.read(address), Plan)
        return plan.units


@dataclass
class Route(beam.PTransform):
    """Slices in, Units out, spread over the workers; the plan is left as a file in the Run's staging area."""

    files: Files
    settings: RouteSettings

    def expand(self, slices: "beam.PCollection[Slice]") -> "beam.PCollection[Unit]":
        """Bring all Slices together, plan, and spread the Units."""
        return (
            slices
            | "Gather slices" >> beam.combiners.ToList()
            | "Plan" >> beam.ParDo(_MakePlan(self.files, self.settings)).with_output_types(Unit)
            | "Spread units" >> beam.Reshuffle()
        )
