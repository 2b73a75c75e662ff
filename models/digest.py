"""What lies in a model's folder: the files that inference needs and their digest, the shapes of its weights."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from models.classifier import ModelError
from schemas.model_card import ModelCard

_NEEDED = (
    *("*.safetensors", "*.safetensors.index.json", "config*.json", "*.model", "*.toml"),
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt"),
)
_NOT_NEEDED = ("card.toml", "detector.toml", "routes.toml")
"""What is said about models, where the digest itself stands."""

_PIECE = 2**20

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def needed_files(folder: Path) -> list[Path]:
    """Return the files directly in a folder that inference needs, whatever the kind of model, sorted by name.

    Weights as safetensors, tokenizers, configurations and terms; no card, no pickled weights, no code, no page.
    """
    files = (path for path in folder.iterdir() if path.is_file() and path.name not in _NOT_NEEDED)
    needed = (path for path in files if any(fnmatchcase(path.name, pattern) for pattern in _NEEDED))
    return sorted(needed, key=lambda path: path.name)


def folder_digest(address: str | Path) -> str:
    """Return 32 hexadecimal digits of the names and contents of the files in a folder that inference needs.

    Raises ModelError where there is no such folder, it holds none of them, or one cannot be read.
    """
    folder, state = Path(address), blake2b(digest_size=16)
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder; a card's address is the folder of its model")
    files = needed_files(folder)
    if not files:
        raise ModelError(f"{folder} holds no file of a model; such files are {', '.join(_NEEDED)}")
    try:
        for path in files:
            state.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            for piece in _pieces(path):
                state.update(piece)
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error}") from error
    return state.hexdigest()


def folder_state(address: str) -> str:
    """Return what tells, without reading them, whether the files that inference needs have changed: size and time."""
    files = ((path.name, path.stat()) for path in needed_files(Path(address)))
    return " ".join(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in files)


def check_digest(card: ModelCard) -> None:
    """Raise ModelError where a card states a digest and the files of its folder have another."""
    if card.digest and (found := folder_digest(card.address)) != card.digest:
        raise ModelError(
            f"model {card.name}: {card.address}: the digest of its files is {found} "
            f"but should be the card's {card.digest}"
        )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; raise ModelError, naming the file, where it is anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; needed are config.json, {_WEIGHTS} and a tokenizer") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds {type(found).__name__} but should hold an object")
    return found


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights that transformers would load from a folder, by name, from their files' headers.

    Raises ModelError where there is no whole safetensors file. Pickled weights are refused where there are no others,
    and never opened: they can run code.
    """
    return {name: shape for file in _weight_files(folder) for name, shape in _shapes(file).items()}


def _weight_files(folder: Path) -> list[Path]:
    names = sorted(path.name for path in folder.iterdir())
    if not any(name.endswith(".safetensors") for name in names):
        pickled = ", ".join(name for name in names if name.endswith(_PICKLED))
        why = (
            f"weights are pickled ({pickled}) and refused, for they can run code" if pickled else "there are no weights"
        )
        raise ModelError(f"{folder}: {why}; needed is {_WEIGHTS}")
    if _WEIGHTS in names:
        return [folder / _WEIGHTS]
    index = read_object(folder / _INDEX).get("weight_map")
    files = sorted({str(file) for file in index.values()}) if isinstance(index, dict) else []
    strange = [file for file in files if file not in names or not file.endswith(".safetensors")]
    if strange or not files:
        raise ModelError(f"{folder / _INDEX} names the files {strange or files}; allowed: *.safetensors of its folder")
    return [folder / file for file in files]


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, "np") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} is not a whole safetensors file: {error}") from error
