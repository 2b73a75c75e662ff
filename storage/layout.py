"""Layout: the address, under one root, of every kind of thing that BabelBeam keeps."""

from collections.abc import Mapping
from urllib.parse import quote

STAGING = "_staging"
RUNS = "runs"
CLAIMS = "runs/_claims"
GROUPED = "grouped"


def partition_folder(table: str, partition: Mapping[str, str]) -> str:
    """Return the hive-style folder of a partition: ``codings/codebook=cap@1/language=hu/domain=media``."""
    folders = (f"{name}={quote(value, safe='@')}" for name, value in partition.items())
    return "/".join((table, *folders))


def run_file(run: str, name: str) -> str:
    """Return the address of a file of the ledger about a Run."""
    return f"{RUNS}/{run}/{name}"


def staging(run: str, *names: str) -> str:
    """Return an address in the staging area of a Run, or the area itself."""
    return "/".join((STAGING, run, *names))


def receipt_file(run: str, unit: str) -> str:
    """Return the address of a Unit's Receipt."""
    return staging(run, "receipts", f"{unit}.json")


def grouped_shard(content: str) -> str:
    """Return the address of the grouped shard with that digest of file and detection settings."""
    return f"{GROUPED}/{content}.parquet"
