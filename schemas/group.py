"""Group: a (language, domain) pair; and Detection: what is known of a document's Group."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

UNDETERMINED = "und"
"""The value of a language or a domain that is not known; BCP 47's own tag for it."""

DOMAINS = {
    "media": ("news", "newspaper", "newspapers", "press", "news media", "news article", "news report"),
    "social": ("social media", "tweet", "tweets", "social media post"),
    "parlspeech": ("parliamentary speech", "parliamentary speeches", "parliament", "plenary speech", "interpellation"),
    "legislative": ("legislation", "law", "laws", "bill", "bills", "legislative document"),
    "execspeech": ("executive speech", "executive speeches", "government speech", "speech by government"),
    "execorder": ("executive order", "executive orders", "decree", "decrees"),
    "party": ("party manifesto", "party manifestos", "party programme", "party program", "manifesto"),
    "judiciary": ("court decision", "court decisions", "court ruling", "judgment", "judicial"),
    "budget": ("budget document", "budget documents", "state budget"),
    "publicopinion": ("public opinion", "survey", "survey answers"),
    "localgovernment": (
        "local government",
        "local council agenda",
        "council agenda",
        "municipal agenda",
        "local council",
    ),
}
"""Domain names of the Babel Machine and the other words under which people know them."""

NORWEGIAN = "no"
"""Bokmål (nb) and Nynorsk (nn) are one language here: detectors and models tell them apart badly or not at all."""

Provenance = Literal["declared", "source", "detected"]
"""Where a language or a domain comes from: the row itself, the row's whole source, or a detector."""

_ALIASES = {alias: name for name, aliases in DOMAINS.items() for alias in (name, *aliases)} | {
    UNDETERMINED: UNDETERMINED
}


def domain_named(value: str) -> str | None:
    """Return the domain that ``value`` names, by name or alias in any case, ``und``, or None where it names none."""
    return _ALIASES.get(re.sub(r"[\s_\u2010\u2011-]+", " ", value).strip().casefold())


def primary_language(tag: str) -> str:
    """Return the language of a BCP 47 tag as Groups have it: ``pt`` of ``pt-BR``; Norwegian is one, ``no``."""
    primary = tag.partition("-")[0].lower()
    return NORWEGIAN if primary in ("nb", "nn") else primary


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """The unit of training, of routing and of output.

    ``language`` is a BCP 47 primary language (``hu``) or ``und``; ``domain`` a key of DOMAINS or ``und``.
    Raises ValueError for anything else, so that neither can ever be more than one folder name.
    """

    language: str
    domain: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]{2,3}", self.language):
            raise ValueError(f"language {self.language!r} is not a primary language of BCP 47 such as 'hu'")
        if self.domain not in DOMAINS and self.domain != UNDETERMINED:
            raise ValueError(f"unknown domain {self.domain!r}; domains: {', '.join(DOMAINS)}")

    def __str__(self) -> str:
        return f"language={self.language}/domain={self.domain}"


@dataclass(frozen=True, slots=True)
class Detection:
    """A document's Group, how sure that is (in [0, 1]), where each half came from, and what the detectors said.

    ``language_tag`` is the full BCP 47 tag (``pt-BR``) of which the Group keeps the primary language. Declared
    values have confidence 1.
    """

    language: str
    domain: str
    language_tag: str
    language_confidence: float
    language_source: Provenance
    language_detected: str
    domain_confidence: float
    domain_source: Provenance
    domain_detected: str

    def __post_init__(self) -> None:
        Group(self.language, self.domain)
        for name in ("language_confidence", "domain_confidence"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value} but should be in [0, 1]")
        for name in ("language_source", "domain_source"):
            value = getattr(self, name)
            if value not in get_args(Provenance):
                raise ValueError(f"{name}={value!r}; allowed: {', '.join(get_args(Provenance))}")
