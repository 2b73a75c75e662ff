"""ModelCard: which checkpoint codes which Groups under which Codebook, and how; Evaluation: how well."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from schemas.codebook import codebook
from schemas.group import DOMAINS, UNDETERMINED, Group

ANY = "*"
"""In a card's domains: any domain, also an undetermined one."""

ModelKind = Literal["dictionary", "linear", "transformers"]
Scope = Literal["language-domain", "language", "pooled"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a model did: ``metric`` in [0, 1] on ``rows`` rows of the test set of that digest, and who says so."""

    metric: str
    value: float
    rows: int
    test_set: str
    origin: str

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f"{self.metric}={self.value} but should be in [0, 1]")
        if self.rows < 1:
            raise ValueError(f"rows={self.rows} but an Evaluation needs at least one")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A checkpoint and what it may be used for.

    ``codes[i]`` is the code of the head's output ``i``. ``languages`` are those it codes: a pooled model lists them
    all, for "pooled" does not mean "any". ``domains`` are names of Groups or ``*``. ``max_tokens`` and ``stride`` are
    a transformers model's window and the overlap of two windows, in tokens. ``address`` is the folder it lies in.
    """

    model: str
    revision: str
    kind: ModelKind
    codebook: str
    languages: tuple[str, ...]
    domains: tuple[str, ...]
    codes: tuple[str, ...]
    licence: str
    description: str
    address: str
    digest: str = ""
    sources: tuple[str, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    max_tokens: int = 512
    stride: int = 64
    settings: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.model or not self.revision:
            raise ValueError("a card names its model and its revision")
        if self.kind not in get_args(ModelKind):
            raise ValueError(f"model {self.model}: kind {self.kind!r}; allowed: {', '.join(get_args(ModelKind))}")
        if not 0 <= self.stride < self.max_tokens:
            raise ValueError(
                f"model {self.model}: stride={self.stride} but should be in [0, max_tokens={self.max_tokens})"
            )
        for name in ("languages", "domains", "codes"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"model {self.model}: {name} {list(values)} should be at least one, each once")
        self._check_groups()
        self._check_codes()

    def _check_groups(self) -> None:
        for domain in self.domains:
            if domain not in DOMAINS and domain != ANY:
                raise ValueError(f"model {self.model}: unknown domain {domain!r}; domains: *, {', '.join(DOMAINS)}")
        for language in self.languages:
            if Group(language, UNDETERMINED).language == UNDETERMINED:
                raise ValueError(f"model {self.model}: no model codes an undetermined language")

    def _check_codes(self) -> None:
        known = codebook(self.codebook)
        strange = [code for code in self.codes if code not in known]
        if strange:
            raise ValueError(f"model {self.model}: codes {strange} are not in codebook {known.id}")

    @property
    def name(self) -> str:
        """The model and its revision, as one word."""
        return f"{self.model}@{self.revision}"

    @property
    def scope(self) -> Scope:
        """How specific the model is."""
        if len(self.languages) > 1:
            return "pooled"
        return "language" if len(self.domains) > 1 or ANY in self.domains else "language-domain"

    def codes_group(self, group: Group) -> bool:
        """Say whether the card covers the Group."""
        return group.language in self.languages and (group.domain in self.domains or ANY in self.domains)


@dataclass(frozen=True, slots=True)
class Route:
    """The model chosen for a Group under a Codebook, and the reason."""

    group: Group
    codebook: str
    card: ModelCard
    reason: str
