"""The version of the code that runs: a digest of the source tree, so that uncommitted changes count."""

from functools import cache
from hashlib import blake2b
from pathlib import Path

PACKAGES = ("schemas", "storage", "models", "transforms", "scrapers", "pipelines")
"""The packages of BabelBeam, which setup.py installs and workers must hold in the same version."""


class VersionMismatch(RuntimeError):
    """A worker runs other code than the submitter."""


@cache
def code_version() -> str:
    """Return 12 hexadecimal digits of every source and data file of PACKAGES, names and contents."""
    root = Path(__file__).parent.parent
    state = blake2b(digest_size=6)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                state.update(f"{path.relative_to(root)}\0".encode())
                state.update(blake2b(path.read_bytes()).digest())
    return state.hexdigest()


def check_version(expected: str) -> None:
    """Raise VersionMismatch unless this process runs the submitter's code."""
    if code_version() != expected:
        raise VersionMismatch(
            f"this worker runs BabelBeam {code_version()} but the run was started with {expected}; "
            "install the same code on every worker"
        )
