"""Detectors: the language of a text, by three libraries to choose from, and its domain, by a linear model."""

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import msgspec

from models.classifier import ModelError
from models.linear import WINDOW, load_linear, windows
from schemas.group import DOMAINS, UNDETERMINED
from schemas.model_card import Evaluation

# fmt: off
_EUROPEAN = (
    "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "is", "it", "lt",
    "lv", "mk", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "tr", "uk",
)
_OTHER_SCRIPTS = (
    "am", "ar", "bn", "fa", "gu", "he", "hi", "hy", "ja", "ka", "km", "kn",
    "ko", "lo", "ml", "my", "pa", "si", "ta", "te", "th", "ur", "zh",
)
# fmt: on
DEFAULT_LANGUAGES = (*_EUROPEAN, *_OTHER_SCRIPTS)
"""The languages that are told apart: never those alone that models code, or a text of any other becomes one of those.

With only the nine, 13.5 % of the sentences of 20 other languages were taken for one of them with confidence 0.9 or
more; with their neighbours 0.1 %. Languages of other scripts cost the European ones nothing, and without them 84 % of
their sentences are taken for a European one. Left out are the nearest and smallest, such as Galician and Nynorsk: with
them the errors on short texts of the nine double.
"""

DEFAULT_LANGUAGE_THRESHOLD = 0.5
"""Below it a language is ``und``: none is then likelier than all the others together.

Measured with py3langid on the nine languages, as shares of all texts: of sentences wrong 0.06 -> 0.03 %, right 99.94 %
kept; of their first 60 characters wrong 0.66 -> 0.44 %, right 99.3 -> 98.6 %; of pairs of words wrong 18 -> 2 %, right
82 -> 63 %. py3langid divides its scores by the square root of a text's bytes, so that its confidence means the same at
any length. langdetect is surer than it should be: 30 % of its pairs of words are wrong and 1 % und.
"""

DETECTOR_CARD = "detector.toml"
DOMAIN_DETECTOR = Path(__file__).parent / "starter" / "domain-detector"
DEFAULT_DOMAIN_THRESHOLD = 0.6
"""Below it a domain is ``und``: some model codes any domain, while a wrong one stands in the published tables.

On sources that were neither trained nor chosen on, 0.5 finds the domain of 49 % of texts, 78 % of them right; 0.6 of
39 %, 84 % right; 0.7 of 30 %, 90 % right.
"""

_LOOKED_AT = 400
_DIGITS = 6  # lingua adds up in an order that varies, and with it the last digits
_NOT_PROSE = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\w+|@\w+")
_TAGS = {"nb": "no", "nn": "no", "zh-cn": "zh", "zh-tw": "zh"}


class LanguageDetector(Protocol):
    """A language detector in memory; ``name`` is the library with its version, such as ``py3langid 0.4.0``."""

    name: str

    def detect(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Return for each text its primary language and how likely that is, in [0, 1], from its first 400 characters.

        ``und`` with the best confidence where that is under the threshold, ``und`` with 0 where no letters are.
        Norwegian is ``no``, Bokmål and Nynorsk alike. The same text has the same result; safe to call from threads.
        """
        ...


class _Detector:
    """What all language detectors do around ``_best``, which gives the library's label and confidence, or None."""

    def __init__(self, library: str, best: Callable[[str], tuple[str, float] | None], threshold: float) -> None:
        self.name = f"{library} {version(library)}"
        self._best = best
        self._threshold = threshold

    def detect(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """See LanguageDetector."""
        found = [self._one(text[:_LOOKED_AT]) for text in texts]
        return [language for language, _ in found], [confidence for _, confidence in found]

    def _one(self, text: str) -> tuple[str, float]:
        prose = _NOT_PROSE.sub(" ", text).strip().encode("utf-8", "replace").decode()  # surrogates become "?"
        best = self._best(prose) if any(map(str.isalpha, prose)) else None
        if best is None:
            return UNDETERMINED, 0.0
        language, confidence = best[0], min(max(round(best[1], _DIGITS), 0.0), 1.0)
        return (_TAGS.get(language, language) if confidence >= self._threshold else UNDETERMINED), confidence


def _labels(known: Iterable[str], languages: Iterable[str], library: str) -> list[str]:
    """Return the library's own labels for languages; those of DEFAULT_LANGUAGES that it does not know are left out."""
    labels = sorted(known)
    offered = {_TAGS.get(label, label) for label in labels}
    wanted = {_TAGS.get(language, language) for language in languages}
    unknown = wanted - offered - set(DEFAULT_LANGUAGES)
    if unknown:
        known_to = ", ".join(sorted(offered))
        raise ValueError(f"languages {sorted(unknown)} are unknown to {library}; languages: {known_to}")
    chosen = [label for label in labels if _TAGS.get(label, label) in wanted and label != "nn"]
    if len(chosen) < 2:  # noqa: PLR2004
        raise ValueError(f"languages {sorted(wanted)}: {library} needs at least two to tell apart")
    return chosen


def _py3langid(languages: Iterable[str]) -> Callable[[str], tuple[str, float]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(_labels(identifier.labels, languages, "py3langid"))

    def best(text: str) -> tuple[str, float]:
        language, confidence = identifier.classify(text)
        return str(language), float(confidence)

    return best


def _langdetect(languages: Iterable[str]) -> Callable[[str], tuple[str, float] | None]:
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
    from langdetect.lang_detect_exception import LangDetectException

    folder = Path(PROFILES_DIRECTORY)
    labels = _labels((path.name for path in folder.iterdir()), languages, "langdetect")
    factory = DetectorFactory()
    factory.load_json_profile([(folder / label).read_text(encoding="utf-8") for label in labels])
    factory.set_seed(0)

    def best(text: str) -> tuple[str, float] | None:
        detector = factory.create()
        detector.append(text)
        try:
            ranked = detector.get_probabilities()
        except LangDetectException:  # it knows none of the n-grams
            return None
        return (ranked[0].lang, ranked[0].prob) if ranked else None

    return best


def _lingua(languages: Iterable[str]) -> Callable[[str], tuple[str, float] | None]:
    try:
        from lingua import Language, LanguageDetectorBuilder
    except ImportError:
        raise ModelError("language detector 'lingua' is not installed: pip install babelbeam[lingua]") from None

    known = {language.iso_code_639_1.name.lower(): language for language in Language.all()}
    labels = _labels(known, languages, "lingua")
    if "nb" in labels:
        known["nb"] = Language.BOKMAL
    detector = LanguageDetectorBuilder.from_languages(*(known[label] for label in labels)).build()

    def best(text: str) -> tuple[str, float] | None:
        values = detector.compute_language_confidence_values(text)
        found = [(round(value.value, _DIGITS), value.language.iso_code_639_1.name.lower()) for value in values]
        return max(found)[::-1] if found else None

    return best


_LIBRARIES: dict[str, tuple[str, Callable[[Iterable[str]], Callable[[str], tuple[str, float] | None]]]] = {
    "py3langid": ("py3langid", _py3langid),
    "langdetect": ("langdetect", _langdetect),
    "lingua": ("lingua-language-detector", _lingua),
}
LANGUAGE_DETECTORS = tuple(_LIBRARIES)


def language_detector(
    name: str = "py3langid",
    languages: Iterable[str] = DEFAULT_LANGUAGES,
    threshold: float = DEFAULT_LANGUAGE_THRESHOLD,
) -> LanguageDetector:
    """Load a language detector that tells ``languages`` apart.

    Of DEFAULT_LANGUAGES, those that the library does not know are left out: langdetect has no Icelandic and no
    Serbian. Raises ValueError for an unknown name, language or threshold, ModelError where the library is missing.
    """
    if name not in _LIBRARIES:
        raise ValueError(f"unknown language detector {name!r}; detectors: {', '.join(LANGUAGE_DETECTORS)}")
    _check_threshold(threshold)
    library, load = _LIBRARIES[name]
    return _Detector(library, load(languages), threshold)


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} but should be in [0, 1]")


@dataclass(frozen=True, slots=True)
class DetectorCard:
    """A domain detector: what it is and may be used for.

    ``labels[i]`` is the domain of the model's output ``i``; ``und`` among them is any text of no domain. ``settings``
    hold the Features and the temperature. ``address`` is the folder it lies in.
    """

    model: str
    revision: str
    licence: str
    description: str
    sources: tuple[str, ...]
    labels: tuple[str, ...]
    address: str
    settings: dict[str, float] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()

    def __post_init__(self) -> None:
        strange = [label for label in self.labels if label not in DOMAINS and label != UNDETERMINED]
        if strange or not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels {list(self.labels)}; allowed, each once: und, {', '.join(DOMAINS)}")

    @property
    def name(self) -> str:
        """The model and its revision, as one word."""
        return f"{self.model}@{self.revision}"


def read_detector_card(folder: Path) -> DetectorCard:
    """Read the ``detector.toml`` of a folder; raise ModelError, naming it, where it is malformed."""
    path = folder / DETECTOR_CARD
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = set(data) - {known.name for known in fields(DetectorCard)}
        if unknown:
            raise ValueError(f"unknown keys {sorted(unknown)}")
        return msgspec.convert({**data, "address": str(folder)}, DetectorCard)
    except (OSError, ValueError) as error:
        raise ModelError(f"detector card {path}: {error}") from error


class DomainDetector:
    """The linear model of a DetectorCard, or of the card in a folder; ``name`` is ``<model>@<revision>``.

    Raises ModelError where the folder is not what its card says, ValueError where the threshold is not in [0, 1].
    """

    def __init__(
        self,
        card_or_folder: DetectorCard | Path = DOMAIN_DETECTOR,
        threshold: float = DEFAULT_DOMAIN_THRESHOLD,
    ) -> None:
        _check_threshold(threshold)
        card = card_or_folder if isinstance(card_or_folder, DetectorCard) else read_detector_card(card_or_folder)
        self.card = card
        self.name = card.name
        self._characters = min(int(card.settings.get("characters", WINDOW)), WINDOW)
        self._threshold = threshold
        self._linear = load_linear(Path(card.address), card.settings, len(card.labels))

    def detect(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Return for each text its domain and how likely that is, in [0, 1], from its beginning alone.

        That is the card's ``settings.characters``, at most 2,000, in whole words. ``und`` with the best confidence
        where that is under the threshold or no domain is the likeliest, ``und`` with 0 where no letters are. The same
        text has the same result; safe to call from several threads.
        """
        beginnings = [windows(text[: self._characters + 1], self._characters)[0] for text in texts]
        shares = self._linear.probabilities(beginnings)
        found = zip(beginnings, shares.argmax(axis=1), shares.max(axis=1, initial=0), strict=True)
        pairs = [self._decide(beginning, int(label), float(share)) for beginning, label, share in found]
        return [domain for domain, _ in pairs], [confidence for _, confidence in pairs]

    def _decide(self, beginning: str, label: int, share: float) -> tuple[str, float]:
        if not any(map(str.isalpha, beginning)):
            return UNDETERMINED, 0.0
        return (self.card.labels[label] if share >= self._threshold else UNDETERMINED), min(share, 1.0)
