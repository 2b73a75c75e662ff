"""README.md and docs/ name only what there is; and what analysts meet in the tables is named there."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import tyro

from models.transformer import NO_TOKENS, NOT_FINITE
from models.transformer import UNDECODABLE as UNDECODABLE_TEXT
from pipelines.__main__ import COMMANDS
from schemas.codebook import Code, Codebook
from schemas.coding import Annotation, Coding
from schemas.document import Document
from schemas.group import DOMAINS
from schemas.model_card import Evaluation, ModelCard
from schemas.run import NO_MODEL, NO_TERM, UNDETERMINED_LANGUAGE, Duplicate, Rejection
from storage.tables import TABLES
from storage.upload_pieces import NUL_BYTE, UNDECODABLE, USUAL_COLUMNS
from storage.uploads import SUFFIXES
from transforms.deduplicate import CHANGED, RECODED, REPEATED

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

BEAM_FLAGS = {"--runner", "--direct_running_mode", "--direct_num_workers"}

NAMED_REASONS = (
    *(NO_MODEL, NO_TERM, UNDETERMINED_LANGUAGE),
    *(NO_TOKENS, NOT_FINITE, UNDECODABLE_TEXT),
    *(NUL_BYTE, UNDECODABLE, REPEATED, CHANGED, RECODED),
)
LITERAL_REASONS = {
    "no text": "transforms/importing.py",
    "text too long": "transforms/importing.py",
    "no id": "transforms/importing.py",
    "bad id": "transforms/importing.py",
    "unknown code": "transforms/importing.py",
    "unknown {what}": "transforms/importing.py",
    "ragged row": "storage/upload_delimited.py",
    "malformed quoting": "storage/upload_delimited.py",
    "not a JSON object": "storage/upload_json.py",
}
"""Reasons that have no constant, as they stand in the module that gives them."""

REASONS = {
    *NAMED_REASONS,
    *(LITERAL_REASONS.keys() - {"unknown {what}"}),
    *("unknown language", "unknown domain"),
}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sections(text: str, level: str = "##") -> dict[str, str]:
    """Return the text under each heading of a level, by heading."""
    parts = re.split(rf"(?m)^{level} (.+)$", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def first_cells(text: str, header: str) -> list[str]:
    """Return the words in backticks in the first column of the tables whose first column is called ``header``."""
    found: list[str] = []
    for table in re.findall(rf"(?m)^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", text):
        for row in table.splitlines():
            found += re.findall(r"`([^`]+)`", row.split("|")[1])
    return found


def flags(kind: Any) -> Iterator[str]:
    """Yield the flags of an options dataclass and of those in it."""
    hints = get_type_hints(kind, include_extras=True)
    for option in fields(kind):
        hint = hints[option.name]
        if is_dataclass(hint):
            yield from flags(hint)
        elif tyro.conf.Positional not in getattr(hint, "__metadata__", ()):
            yield f"--{option.name.replace('_', '-')}"


def flags_of(command: str) -> set[str]:
    module = import_module(COMMANDS[command][0])
    beam = BEAM_FLAGS if getattr(module, "TAKES_BEAM_FLAGS", False) else set()
    return {"--help", *flags(module.Options), *beam}


def words_in(text: str) -> Iterator[str]:
    yield from re.findall(r"(?<![\w-])--[a-z][\w-]*", text)


def invocations(text: str) -> Iterator[tuple[str, str]]:
    """Yield every ``babelbeam <command>`` with what follows it in its line or between its backticks."""
    joined = text.replace("\\\n", " ")
    yield from re.findall(r"\bbabelbeam ([a-z][a-z-]*)([^`\n]*)", joined)


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_flags_are_found_as_the_commands_take_them() -> None:
    assert {"--root", "--source", "--id-column", "--replace", "--code-codebook"} <= flags_of("import")
    assert not {"--files", "--columns"} & flags_of("import")
    assert {"--language-detector", "--with-text", "--runner"} <= flags_of("classify")
    assert flags_of("runs") == {"--help", "--root"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = set[str]().union(*map(flags_of, COMMANDS))
    wrong = sorted(set(words_in(text)) - known)
    for command, rest in invocations(text):
        if command not in COMMANDS:
            wrong.append(f"babelbeam {command}")
        else:
            wrong += [f"babelbeam {command} {flag}" for flag in words_in(rest) if flag not in flags_of(command)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", read("Makefile")))
    mentioned = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text(encoding="utf-8")))
    assert mentioned <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        address, _, anchor = link.partition("#")
        if "://" in address:
            continue
        target = page.parent / address if address else page
        headings = re.findall(r"(?m)^#+ (.+)$", target.read_text(encoding="utf-8")) if target.is_file() else []
        if not target.exists() or (anchor and anchor not in map(slug, headings)):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_holds_a_path_of_somebodys_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.:/~-])/(?:work|home|root|tmp|Users)/\S*", page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("noun", "table"),
    [
        (Coding, "codings"),
        (Document, "documents"),
        (Annotation, "annotations"),
        (Rejection, "rejections"),
        (Duplicate, "duplicates"),
    ],
)
def test_every_column_of_a_table_is_explained_and_no_other(noun: type, table: str) -> None:
    assert TABLES[table][0] is noun
    section = sections(read("docs/storage.md"))[table]
    assert sorted(first_cells(section, "column")) == sorted(column.name for column in fields(noun))
    partitions = section.partition("\n| column |")[0]
    assert all(f"`{name}`" in partitions for name in TABLES[table][1])


def test_every_table_is_explained() -> None:
    assert TABLES.keys() <= sections(read("docs/storage.md")).keys()


@pytest.mark.parametrize("reason", LITERAL_REASONS)
def test_reasons_without_a_constant_stand_in_the_code(reason: str) -> None:
    assert f'"{reason}"' in read(LITERAL_REASONS[reason])


def test_every_reason_is_explained_and_no_other() -> None:
    explained = [
        reason for page in ("docs/importing.md", "docs/running.md") for reason in first_cells(read(page), "reason")
    ]
    assert sorted(explained) == sorted(REASONS)


def test_importing_names_every_column_ending_and_domain() -> None:
    parts = sections(read("docs/importing.md"))
    for names in USUAL_COLUMNS.values():
        assert all(f"`{name}`" in parts["Columns"] for name in names)
    assert sorted(first_cells(parts["Formats"], "name ends in")) == sorted(SUFFIXES)
    assert sorted(first_cells(parts["Declared language and domain"], "domain")) == sorted(DOMAINS)


def test_importing_names_every_alias_of_a_domain() -> None:
    section = sections(read("docs/importing.md"))["Declared language and domain"]
    for domain, aliases in DOMAINS.items():
        (row,) = re.findall(rf"(?m)^\| `{domain}` \| (.*) \|$", section)
        written = set[str]()
        for word in row.split(", "):
            stem, plural = re.fullmatch(r"(.*?)(?:\((\w+)\))?", word).groups()  # type: ignore[union-attr]
            written |= {stem, f"{stem}{plural}"} if plural else {stem}
        assert written == set(aliases)


def test_every_key_of_a_card_and_of_a_codebook_is_explained() -> None:
    keys = first_cells(sections(read("docs/adding-a-model.md"))["card.toml"], "key")
    assert sorted(keys) == sorted(key.name for key in fields(ModelCard))
    evaluations = next(row for row in read("docs/adding-a-model.md").splitlines() if row.startswith("| `evaluations`"))
    assert all(f"`{key.name}`" in evaluations for key in fields(Evaluation))
    book = first_cells(read("docs/adding-a-codebook.md"), "key")
    assert sorted(book) == sorted(key.name for noun in (Codebook, Code) for key in fields(noun))
