"""Failures: what is said, in one line, of an error that is not a fault of the program, and the exit code for it."""

import re

from models.classifier import ModelError
from schemas.version import VersionMismatch
from storage.files import AddressError, StorageError
from storage.ledger import RunRefused
from storage.uploads import UploadError


class ConfigurationError(ValueError):
    """Options that name what there is not, or that do not go together."""


def check_share(flag: str, value: float) -> None:
    """Raise ConfigurationError unless the value of a flag is in [0, 1]."""
    if not 0 <= value <= 1:
        raise ConfigurationError(f"{flag} is {value} but should be in [0, 1]")


_USAGE: tuple[type[Exception], ...] = (AddressError, ConfigurationError, ModelError, UploadError)
_FAILED: tuple[type[Exception], ...] = (RunRefused, StorageError, VersionMismatch)
_NAMES = "|".join(kind.__name__ for kind in (*_USAGE, *_FAILED, *StorageError.__subclasses__()))
_WORKER = re.compile(rf"^(?:[\w.]+\.)?({_NAMES}): (.*)$", re.MULTILINE)


def _on_worker(error: BaseException) -> tuple[str, str] | None:
    """Return the name and message of our own error that a Beam worker raised: runners hand on its traceback as text."""
    found = _WORKER.findall(str(error))
    return found[-1] if found else None


def is_interrupt(error: BaseException) -> bool:
    """Say whether somebody pressed Ctrl-C; Beam makes another error of it where a DoFn was at work."""
    return isinstance(error, KeyboardInterrupt) or str(error).startswith(KeyboardInterrupt.__name__)


def exit_code(error: BaseException) -> int | None:
    """Return 2 for bad usage or configuration, 1 for a failure, None for what is a fault of the program."""
    if isinstance(error, _USAGE):
        return 2
    if isinstance(error, _FAILED):
        return 1
    known = _on_worker(error) if isinstance(error, RuntimeError) else None
    if known is None:
        return None
    return 2 if known[0] in {kind.__name__ for kind in _USAGE} else 1


def explain(error: BaseException) -> str:
    """Return the message of an error, without the traceback that a Beam runner puts around a worker's."""
    known = None if isinstance(error, (*_USAGE, *_FAILED)) else _on_worker(error)
    return re.sub(r" \[while running.*", "", known[1]) if known else str(error)
