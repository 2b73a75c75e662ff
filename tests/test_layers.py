"""Who may import what, and how long things may be: read from the syntax trees, and each rule tried by breaking it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.version import PACKAGES

ROOT = Path(__file__).parent.parent
MODULE_LINES = 300
FUNCTION_LINES = 40

MAY_IMPORT = {
    "schemas": set[str](),
    "storage": {"schemas"},
    "models": {"schemas", "storage"},
    "transforms": {"schemas", "storage", "models"},
    "scrapers": {"schemas", "storage"},
    "pipelines": {"schemas", "storage", "models", "transforms"},
}
"""The packages of ours that each may import besides itself; so nobody imports pipelines or scrapers."""

HOMES = {
    "models": "torch transformers safetensors sklearn openvino langdetect py3langid lingua ahocorasick",
    "storage": "duckdb deltalake s3fs",
    "scrapers": "scrapy",
    "pipelines": "tyro rich apache_beam",
    "transforms": "apache_beam",
}
"""The libraries that only these packages of ours may import; tests may import any."""

LOADED_WHERE_USED = {"torch", "transformers"}
UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec"}


@dataclass(frozen=True, slots=True)
class Import:
    """One module that is imported, and whether that happens as soon as the importing module is."""

    name: str
    at_top: bool
    is_relative: bool = False

    @property
    def library(self) -> str:
        return self.name.partition(".")[0]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(node: ast.AST, *, at_top: bool = True) -> Iterator[Import]:
    """Yield every import below a node; one inside a function or for type checkers only is not at the top."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, at_top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield Import(child.module or "", at_top, is_relative=child.level > 0)
        deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or is_type_checking(child)
        yield from imports(child, at_top=at_top and not deferred)


def import_violations(found: Import, module: str) -> Iterator[str]:
    """Yield what is wrong with one import in a module of ours that is not a test."""
    package, library = module.partition(".")[0], found.library
    ours = {*PACKAGES, "tests", "bench", "setup"}
    if library in ours - {package} - MAY_IMPORT[package]:
        yield f"{package} may not import {library}"
    homes = [home for home, libraries in HOMES.items() if library in libraries.split()]
    if homes and package not in homes:
        yield f"{library} belongs to {', '.join(homes)}"
    allowed = sys.stdlib_module_names | ours | ({"pyarrow"} if module == "schemas.arrow" else set())
    if package == "schemas" and library not in allowed:
        yield f"schemas use the standard library only, not {library}"
    if library in UNSAFE_MODULES:
        yield f"{library} can run what it reads"


def call_violations(tree: ast.Module) -> Iterator[str]:
    """Yield the calls of eval and exec; a method of that name, as a torch model has, is another thing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in UNSAFE_CALLS:
            yield f"line {node.lineno}: no {node.id}"


def length_violations(tree: ast.Module, source: str) -> Iterator[str]:
    """Yield the module and the functions that are too long; a function is counted from its def to its last line."""
    lines = len(source.splitlines())
    if lines > MODULE_LINES:
        yield f"{lines} lines; a module over {MODULE_LINES} is two"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name} has {lines} lines; a function over {FUNCTION_LINES} is split"


def violations(source: str, module: str) -> list[str]:
    """Return every rule that a module's source breaks; tests answer only for their length and their imports' form."""
    tree = ast.parse(source)
    found = list(length_violations(tree, source))
    for imported in imports(tree):
        if imported.is_relative:
            found.append("imports are absolute")
            continue
        if imported.at_top and imported.library in LOADED_WHERE_USED:
            found.append(f"{imported.library} is imported where it is used, not at the top")
        if not module.startswith("tests"):
            found.extend(import_violations(imported, module))
    return found if module.startswith("tests") else found + list(call_violations(tree))


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def test_every_package_has_its_layer() -> None:
    assert set(MAY_IMPORT) == set(PACKAGES)


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_the_tree_keeps_the_rules(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {violation}"
        for module, path in modules(package)
        for violation in violations(path.read_text(encoding="utf-8"), module)
    ]
    assert not found, "\n".join(found)


LONG_FUNCTION = "def verb():\n" + "    pass\n" * FUNCTION_LINES
LONG_MODULE = "x = 1\n" * (MODULE_LINES + 1)


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("schemas.group", "from storage.files import Files", "schemas may not import storage"),
        ("schemas.group", "import pyarrow", "standard library only"),
        ("schemas.arrow", "import numpy", "standard library only"),
        ("storage.files", "import models", "storage may not import models"),
        ("storage.files", "def f():\n    from transforms import detect", "storage may not import transforms"),
        ("models.pool", "import transforms.detect", "models may not import transforms"),
        ("transforms.detect", "from pipelines import options", "transforms may not import pipelines"),
        ("pipelines.scrape", "import scrapers.settings", "pipelines may not import scrapers"),
        ("scrapers.export", "import models", "scrapers may not import models"),
        ("scrapers.export", "from tests import shards", "scrapers may not import tests"),
        ("transforms.classify", "def f():\n    import torch", "torch belongs to models"),
        ("storage.files", "import safetensors.numpy", "safetensors belongs to models"),
        ("transforms.detect", "from sklearn.svm import LinearSVC", "sklearn belongs to models"),
        ("transforms.detect", "import py3langid", "py3langid belongs to models"),
        ("models.pool", "import apache_beam as beam", "apache_beam belongs to pipelines, transforms"),
        ("transforms.route", "import duckdb", "duckdb belongs to storage"),
        ("pipelines.classify", "from deltalake import DeltaTable", "deltalake belongs to storage"),
        ("pipelines.classify", "import s3fs", "s3fs belongs to storage"),
        ("pipelines.scrape", "import scrapy", "scrapy belongs to scrapers"),
        ("storage.ledger", "import rich.table", "rich belongs to pipelines"),
        ("models.pool", "import torch", "torch is imported where it is used"),
        ("models.pool", "class Pool:\n    import transformers", "transformers is imported where it is used"),
        ("tests.models.test_pool", "from torch import nn", "torch is imported where it is used"),
        ("storage.shards", "from .files import Files", "imports are absolute"),
        ("tests.test_x", "from . import shards", "imports are absolute"),
        ("models.linear", "import pickle", "pickle can run what it reads"),
        ("models.linear", "def f():\n    from joblib import load", "joblib can run what it reads"),
        ("models.linear", "eval('1')", "no eval"),
        ("models.linear", "run = exec", "no exec"),
        ("storage.shards", LONG_MODULE, "a module over 300 is two"),
        ("tests.test_x", LONG_MODULE, "a module over 300 is two"),
        ("tests.test_x", LONG_FUNCTION, "verb has 41 lines"),
        ("storage.shards", "async " + LONG_FUNCTION, "verb has 41 lines"),
    ],
)
def test_a_broken_rule_is_said(module: str, source: str, said: str) -> None:
    (found,) = violations(source, module)
    assert said in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("schemas.arrow", "import pyarrow as pa\nfrom schemas.group import Group"),
        ("storage.tables", "import duckdb, deltalake, s3fs\nfrom schemas import work\nfrom storage import files"),
        ("models.transformer", "def load():\n    import torch\n    torch.nn.Module().eval()"),
        ("models.transformer", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("transforms.detect", "import apache_beam as beam\nimport models, schemas, storage"),
        ("scrapers.export", "import scrapy, schemas, storage"),
        ("pipelines.classify", "import apache_beam, rich, tyro, transforms, models"),
        ("tests.storage.test_tables", "import pickle, duckdb, apache_beam, pipelines\neval('1')"),
        ("storage.shards", LONG_MODULE.removesuffix("x = 1\n")),
        ("storage.shards", LONG_FUNCTION.removesuffix("    pass\n")),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations(source, module) == []
