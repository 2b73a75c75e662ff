"""`train-starter`: make the domain detector that ships with the package again, byte for byte."""

import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from models.detectors import DEFAULT_DOMAIN_THRESHOLD, DETECTOR_CARD, DOMAIN_DETECTOR, DomainDetector
from models.linear import WEIGHTS
from models.training import Scores, score, train_linear
from schemas.group import UNDETERMINED, domain_named
from schemas.model_card import Evaluation

LICENCES = {
    "Apache-2.0": "Apache-2.0",
    "MIT": "MIT",
    "CC-BY-4.0": "CC-BY-4.0",
    "Creative Commons License Attribution 4.0 International. (UD treebank)": "CC-BY-4.0",
    "CC BY-SA 4.0 (UD treebank)": "CC-BY-SA-4.0",
    "Creative Commons License Attribution-ShareAlike 4.0 Internat (UD treebank)": "CC-BY-SA-4.0",
    "Creative Commons Attribution-ShareAlike 4.0 International li (UD treebank)": "CC-BY-SA-4.0",
    "Creative Commons Attribution-ShareAlike 4.0 International Li (UD treebank)": "CC-BY-SA-4.0",
    "Creative Commons Attribution-ShareAlike 3.0 International Pu (UD treebank)": "CC-BY-SA-3.0",
    "Apache-2.0 (repo); FLORES-200 sentences CC-BY-SA-4.0": "CC-BY-SA-4.0",
    "public domain (US presidents)": "public domain",
    "unknown (US government text, public domain)": "public domain",
    "unknown (Europarl: no known copyright restrictions)": "no known copyright restrictions",
}
"""What rows state in their licence column that lets weights trained on them ship, and what it amounts to.

Everything else is left out: non-commercial, research only, GPL, unknown, a repository's licence on others' texts.
"""

LANGUAGES = ("da", "de", "en", "es", "fr", "hu", "it", "nl", "pt")
SETTINGS = {
    "char_min": 4.0,
    "char_max": 4.0,
    "char_buckets": 2.0**15,
    "word_max": 2.0,
    "word_buckets": 2.0**15,
    "characters": 400.0,
    "temperature": 1.0,
}

_VIEWS = {"view_balanced", "hard_pairs"}
_GENERAL = "sib200"  # general prose in every language: news by its topic, else of no domain
_NEWS = {"politics", "sports", "entertainment", "health"}
_NO_DOMAIN = {"fiction", "encyclopedia", "academic", "spoken", "blog", "reviews", "interview"}
_CHOSEN_ON = {
    "barbera_econ_news", "benoit_crowd_uk", "conll2002", "eld_tweets", "antypas_mps_tweets", "hunminer",
    "hunminer_laws1999", "hunminer_szner_machine", "nltk_conll2002_news", "parlasent_ep_soteu", "quanteda_corpora_en",
    "quanteda_irish_budgets", "rauh_bundestag", "rtexttools_uscongress", "ud_multigenre_political",
}  # fmt: skip
_PER_CELL, _GENERAL_PER_CELL, _PER_TEST = 150, 60, 100
_COMBINED, _MIXED = 40, 80
_LENGTHS = (80, 150, 300, 400)
_FEW = 3
_OTHER_LANGUAGE = 0.3


@dataclass(frozen=True, slots=True)
class Options:
    """Train the domain detector that ships with the package again, from labelled texts, byte for byte.

    Examples:
      babelbeam train-starter --data texts
    """

    data: str
    """Folder of labelled texts, <task>/<source>.parquet, with text, language, domain, label, source, license."""
    out: str | None = None
    """Folder in which domain-detector/ is written; the package's own starter models unless given."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A labelled text; ``licence`` is empty where weights must not be trained on it."""

    text: str
    language: str
    domain: str
    licence: str
    set: str
    source: str


def run(options: Options) -> int:
    """Train the detector, write its weights and its card, and print how well it does; return 0.

    Raises ValueError where the folder holds no labelled texts.
    """
    rows = _read(Path(options.data))
    cells = _cells(rows)
    texts, domains, weights = _training_set(cells)
    trained = train_linear(texts, domains, SETTINGS, seed=0, weights=weights)
    folder = Path(options.out) / DOMAIN_DETECTOR.name if options.out else DOMAIN_DETECTOR
    folder.mkdir(parents=True, exist_ok=True)
    trained.save(folder)
    revision = blake2b((folder / WEIGHTS).read_bytes(), digest_size=6).hexdigest()
    used = [row for cell in cells.values() for row in cell]
    _write_card(folder, revision, trained.labels, used, [])  # the evaluation reads it
    evaluations = _evaluate(folder, rows)
    _write_card(folder, revision, trained.labels, used, evaluations)
    print(f"{folder}: {len(texts)} texts, {len(trained.labels)} labels")
    print("\n".join(f"{evaluation.metric} {evaluation.value} of {evaluation.rows}" for evaluation in evaluations))
    return 0


def _read(data: Path) -> list[_Row]:
    """Read every row that has a domain, or surely none; in a fixed order."""
    rows: list[_Row] = []
    for path in sorted(data.glob("*/*.parquet")):
        columns = set(pq.read_schema(path).names)
        if path.stem in _VIEWS or not {"text", "language", "domain", "label", "license", "source"} <= columns:
            continue
        table = pq.read_table(path, columns=["text", "language", "domain", "label", "license", "source"])
        for text, language, domain, label, licence, source in zip(*table.to_pydict().values(), strict=True):
            named = _domain(path.stem, domain or "", label or "")
            if named is not None:
                rows.append(_Row(text, language, named, LICENCES.get(licence or "", ""), path.stem, source))
    if not rows:
        raise ValueError(f"{data} holds no labelled texts: expected <task>/<source>.parquet, see DATA.md")
    return rows


def _domain(name: str, domain: str, label: str) -> str | None:
    if name == _GENERAL:
        return "media" if label in _NEWS else UNDETERMINED
    return domain_named(domain) or (UNDETERMINED if domain in _NO_DOMAIN else None)


_Cell = tuple[str, str, bool]
"""Language, domain, and whether it is general prose, of which fewer texts are taken."""


def _cells(rows: Iterable[_Row]) -> dict[_Cell, list[_Row]]:
    """Sample the rows that may be trained on, by language and domain.

    A language with texts of fewer than three domains would be taken for these domains: only the nine, which
    have phrases of every domain, are kept with fewer.
    """
    found: dict[_Cell, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.licence:
            found[row.language, row.domain, row.set == _GENERAL].append(row)
    domains = Counter(language for language, domain, general in found if domain != UNDETERMINED and not general)
    kept = {language for language, count in domains.items() if count >= _FEW} | set(LANGUAGES)
    return {
        cell: _sample(found[cell], _GENERAL_PER_CELL if cell[2] else _PER_CELL, f"{cell}")
        for cell in sorted(found)
        if cell[0] in kept
    }


def _sample(rows: Sequence[_Row], most: int, seed: str) -> list[_Row]:
    ordered = sorted(rows, key=lambda row: (row.text, row.set))
    return Random(seed).sample(ordered, min(most, len(ordered)))  # noqa: S311


def _training_set(cells: dict[_Cell, list[_Row]]) -> tuple[list[str], list[str], list[float]]:
    """Return texts, domains and weights: every domain of a language weighs the same, half by data, half by phrases."""
    parts: dict[tuple[str, str], list[list[str]]] = defaultdict(list)
    general: dict[str, list[str]] = defaultdict(list)
    data: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (language, domain, is_general), rows in cells.items():
        data[language, domain] += [_cut(row.text) for row in rows]
        if is_general:
            general[language] += [row.text for row in rows]
    for (language, domain), texts in data.items():
        parts[language, domain].append([*texts, *map(_bare, texts)] if domain == "social" else texts)
    for (language, domain), phrases in _phrases().items():
        made_up = _made_up(phrases, general[language], f"{language} {domain}")
        parts[language, domain].append([*made_up, *map(_bare, made_up)] if domain == "social" else made_up)
    texts, domains, weights = [], [], []
    for (language, domain), lists in sorted(parts.items()):
        mass = (1.0 if language in LANGUAGES else _OTHER_LANGUAGE) / len(lists)
        for some in lists:
            texts += some
            domains += [domain] * len(some)
            weights += [mass / len(some)] * len(some)
    return texts, domains, weights


def _cut(text: str) -> str:
    """Cut a text to one of four lengths, by its own digest, so that short texts are learned too."""
    length = _LENGTHS[blake2b(text.encode(), digest_size=1).digest()[0] % len(_LENGTHS)]
    return text if len(text) <= length else text[:length].rpartition(" ")[0] or text[:length]


def _bare(text: str) -> str:
    """Return a text as people type who use neither capitals nor punctuation."""
    return text.lower().translate(str.maketrans("", "", ".,;:!?#@"))


def _phrases() -> dict[tuple[str, str], list[str]]:
    """Read the phrases of every language and domain that lie in the package beside the weights."""
    found = {}
    for language in LANGUAGES:
        path = DOMAIN_DETECTOR / "phrases" / f"{language}.toml"
        for domain, phrases in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found[language, domain] = phrases
    return found


def _made_up(phrases: list[str], general: list[str], seed: str) -> list[str]:
    """Return phrases, combinations and mixtures with general prose, so that prose means the same in any domain."""
    random = Random(seed)  # noqa: S311
    combined = [" ".join(random.sample(phrases, random.choice((2, 3)))) for _ in range(_COMBINED)]
    mixed = []
    for _ in range(_MIXED if general else 0):
        sentences = [*random.sample(phrases, random.choice((1, 2))), random.choice(general)]
        random.shuffle(sentences)
        mixed.append(" ".join(sentences))
    return [*phrases, *combined, *mixed]


def _evaluate(folder: Path, rows: Iterable[_Row]) -> list[Evaluation]:
    """Measure on texts of the nine languages from sources that were neither trained on nor chosen on."""
    cells: dict[tuple[str, str, str], list[_Row]] = defaultdict(list)
    detector = DomainDetector(folder)
    for row in rows:
        known = row.domain != UNDETERMINED and row.domain in detector.card.labels
        if known and not row.licence and row.language in LANGUAGES:
            cells[row.set, row.language, row.domain].append(row)
    evaluations = []
    for name, chosen in (
        ("sources that no setting was chosen on", False),
        ("sources that settings were chosen on", True),
    ):
        texts = [
            row for cell in sorted(cells) if (cell[0] in _CHOSEN_ON) == chosen
            for row in _sample(cells[cell], _PER_TEST, f"{cell}")
        ]  # fmt: skip
        found, _ = detector.detect([row.text for row in texts])
        evaluations += _evaluations(score([row.domain for row in texts], found), name)
    return evaluations


def _evaluations(scores: Scores, name: str) -> list[Evaluation]:
    got, threshold = round(scores.rows * scores.coverage), DEFAULT_DOMAIN_THRESHOLD
    figures = (
        (f"coverage at {threshold}", scores.coverage, scores.rows),
        (f"accuracy at {threshold}", scores.accuracy, got),
        (f"macro-F1 at {threshold}", scores.macro_f1, got),
    )
    return [Evaluation(metric, round(value, 3), rows, name, "train-starter") for metric, value, rows in figures]


def _write_card(
    folder: Path, revision: str, labels: Sequence[str], used: Sequence[_Row], evaluations: Sequence[Evaluation]
) -> None:
    licences = Counter(row.licence for row in used)
    counts = ", ".join(f"{count} {licence}" for licence, count in sorted(licences.items()))
    description = (
        f"Domain by hashed n-grams of the first {SETTINGS['characters']:.0f} characters. Trained on {len(used)} texts "
        f"({counts}) and on phrases written for it in {', '.join(LANGUAGES)}. Where a text has no mark of its domain, "
        "expect und. No data may be used for party and localgovernment, which rest on the phrases alone, nor for "
        "budget and publicopinion, which it never finds; execorder and execspeech have data in English only."
    )
    lines = [
        "# Written by `python -m pipelines train-starter`; edit that, not this.",
        f"model = {_quoted('babelbeam/domain-linear')}",
        f"revision = {_quoted(revision)}",
        f"licence = {_quoted('CC-BY-SA-4.0')}",
        f"description = {_quoted(description)}",
        f"sources = [\n{''.join(f'    {_quoted(source)},{chr(10)}' for source in _sources(used))}]",
        f"labels = [{', '.join(map(_quoted, labels))}]",
        "\n[settings]",
        *(f"{name} = {value}" for name, value in SETTINGS.items()),
        *(_evaluation_table(evaluation) for evaluation in evaluations),
    ]
    (folder / DETECTOR_CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sources(used: Iterable[_Row]) -> list[str]:
    counts = Counter((row.set, "/".join(row.source.split("/")[:2]), row.licence) for row in used)
    ordered = sorted(counts.items())
    return [f"{name}: {count} texts, {licence}, github.com/{at}" for (name, at, licence), count in ordered]


def _evaluation_table(evaluation: Evaluation) -> str:
    return (
        f"\n[[evaluations]]\nmetric = {_quoted(evaluation.metric)}\nvalue = {evaluation.value}\n"
        f"rows = {evaluation.rows}\ntest_set = {_quoted(evaluation.test_set)}\norigin = {_quoted(evaluation.origin)}"
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
