"""What is installed, here and on a worker, is what lies in the tree, and nobody else's package has one of our names."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from schemas.version import PACKAGES

ROOT = Path(__file__).parent.parent
BESIDE_THE_PACKAGES = ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "constraints.txt")


def setup_lists() -> dict[str, list[str]]:
    """Return every list or tuple of strings in setup.py by its name; a dictionary of them gives one per key."""
    found: dict[str, Sequence[str]] = {}
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = ast.literal_eval(node.value)
            found.update(value if isinstance(value, dict) else {node.targets[0].id: value})
    return {name: list(values) for name, values in found.items()}


def normalised(requirement: str) -> str:
    """Return a requirement's name as the package index compares names: ``language_data>=1`` is ``language-data``."""
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def tree(root: Path) -> set[str]:
    """Return every file of the packages below a folder, as code_version counts them."""
    found = (path for package in PACKAGES for path in (root / package).rglob("*"))
    return {path.relative_to(root).as_posix() for path in found if path.is_file() and "__pycache__" not in path.parts}


def build(folder: Path, kind: str) -> Path:
    """Build an sdist or a wheel as Beam's stager does, with what is installed, and return the file."""
    command = [sys.executable, "setup.py", "-q", kind, "--dist-dir", "dist"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (made,) = (folder / "dist").iterdir()
    return made


def version_in(folder: Path) -> str:
    """Return what code_version says of the packages in a folder, as a worker that installed them would."""
    command = [sys.executable, "-c", "from schemas.version import code_version; print(code_version())"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that packaging reads, so that nothing is built in the tree itself."""
    folder = tmp_path_factory.mktemp("copy")
    for name in BESIDE_THE_PACKAGES:
        shutil.copy(ROOT / name, folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def sdist(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(build(copy, "sdist"), folder)
    (unpacked,) = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel that is built from the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(build(sdist, "bdist_wheel"), folder, "zip")
    return folder


def test_no_other_distribution_has_our_names() -> None:
    owners = packages_distributions()
    taken = {name: set(owners.get(name, ())) - {"babelbeam"} for name in (*PACKAGES, "tests")}
    assert not {name: others for name, others in taken.items() if others}


def test_every_folder_with_an_init_is_installed() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"} == set(PACKAGES)


def test_every_folder_with_modules_has_an_init() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_setup_and_workers_mean_the_same_packages() -> None:
    assert setup_lists()["PACKAGES"] == list(PACKAGES)


def test_sdist_holds_every_file_of_the_packages(copy: Path, sdist: Path) -> None:
    assert tree(sdist) == tree(copy)


def test_wheel_holds_every_file_of_the_packages(copy: Path, wheel: Path) -> None:
    assert tree(wheel) == tree(copy)


def test_an_installed_wheel_has_the_version_of_the_tree(copy: Path, wheel: Path) -> None:
    assert version_in(wheel) == version_in(copy)


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.+-]+", pin)]
    needed = {
        normalised(requirement) for name, list_ in setup_lists().items() if name != "PACKAGES" for requirement in list_
    }
    assert not needed - {normalised(pin) for pin in pins}


def test_pages_name_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    pages = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.exists()]
    named = {
        (page.name, target)
        for page in pages
        for target in re.findall(r"(?:`|^ *(?:\$ )?)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert not {(page, target) for page, target in named if target not in targets}
