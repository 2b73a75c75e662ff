"""Files under a root: open, list, write once and whole. Every address here is relative to the root."""

import errno
import os
import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, TypeVar

import fsspec
import msgspec
import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.implementations.local import LocalFileSystem

Value = TypeVar("Value")

_LOOKING = ("delete", "list", "look at", "read")
_PROTOCOLS = ("file", "s3")
_FULL = {errno.ENOSPC: "it is full", errno.EDQUOT: "its quota is used up"}


class AddressError(ValueError):
    """A root, or an address below it, that cannot be one."""


class StorageError(OSError):
    """Storage cannot do what is asked of it; the message says what, where, and what to do."""


class LostFile(StorageError):
    """A file that was staged is nowhere any more."""


@cache
def _filesystem(root: str) -> tuple[fsspec.AbstractFileSystem, str]:
    filesystem, path = fsspec.core.url_to_fs(root)
    return filesystem, path.rstrip("/")


@contextmanager
def _explained(doing: str, address: str) -> Iterator[None]:
    """Make a StorageError of what storage says, but for a file that is missing where one was to be looked for."""
    try:
        yield
    except (FileExistsError, StorageError):
        raise
    except (OSError, BotoCoreError, ClientError) as error:
        if isinstance(error, FileNotFoundError) and doing in _LOOKING:
            raise
        why = _FULL.get(getattr(error, "errno", 0)) or getattr(error, "strerror", "") or str(error)
        raise StorageError(f"cannot {doing} {address}: {why}") from error


@dataclass(frozen=True, slots=True)
class Files:
    """The files under one root, a local folder or any fsspec URL; small enough to send to a worker.

    Addresses are relative, with '/' between names; one that would leave the root raises AddressError.
    """

    root: str

    def __post_init__(self) -> None:
        if not self.root:
            raise AddressError("the root is empty; give a folder or a URL such as s3://bucket/prefix")
        protocol = self.root.partition("://")[0] if "://" in self.root else "file"
        if protocol not in _PROTOCOLS:
            raise AddressError(
                f"root {self.root!r}: allowed are a folder, {' and '.join(f'{p}://' for p in _PROTOCOLS)}"
            )
        if "://" not in self.root:
            object.__setattr__(self, "root", os.path.abspath(self.root))  # noqa: PTH100 - also for paths that do not exist

    @property
    def filesystem(self) -> fsspec.AbstractFileSystem:
        """The fsspec file system of the root."""
        return _filesystem(self.root)[0]

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return isinstance(self.filesystem, LocalFileSystem)

    def path(self, address: str) -> str:
        """Return the path of an address on the root's file system."""
        parts = address.split("/")
        if address and (address.startswith("/") or "\0" in address or any(part in ("", ".", "..") for part in parts)):
            raise AddressError(f"address {address!r} is not a plain path below the root")
        return posixpath.join(_filesystem(self.root)[1], address) if address else _filesystem(self.root)[1]

    def url(self, address: str = "") -> str:
        """Return the address as a person, DuckDB or deltalake takes it: a local path or a URL."""
        return str(self.filesystem.unstrip_protocol(self.path(address))) if not self.is_local else self.path(address)

    def exists(self, address: str) -> bool:
        """Say whether there is a file or a folder."""
        with _explained("look at", self.url(address)):
            return bool(self.filesystem.exists(self.path(address)))

    def size(self, address: str) -> int | None:
        """Return the size of a file in bytes, or None where there is none."""
        try:
            with _explained("look at", self.url(address)):
                return int(self.filesystem.info(self.path(address))["size"])
        except FileNotFoundError:
            return None

    def names(self, address: str) -> list[str]:
        """Return the addresses of what lies directly in a folder, sorted; none where there is no such folder."""
        self.filesystem.invalidate_cache(self.path(address))
        try:
            with _explained("list", self.url(address)):
                found = self.filesystem.ls(self.path(address), detail=False)
        except FileNotFoundError:
            return []
        names = sorted(posixpath.basename(path.rstrip("/")) for path in found)
        return [f"{address}/{name}" if address else name for name in names if name]

    def find(self, address: str) -> list[str]:
        """Return the addresses of all files below a folder, sorted."""
        self.filesystem.invalidate_cache(self.path(address))
        base = self.path("")
        with _explained("list", self.url(address)):
            return sorted(posixpath.relpath(path, base) for path in self.filesystem.find(self.path(address)))

    def make_folder(self, address: str) -> None:
        """Make a folder and those above it."""
        with _explained("make", self.url(address)):
            self.filesystem.makedirs(self.path(address), exist_ok=True)

    def open(self, address: str) -> IO[bytes]:
        """Open a file for reading; raise StorageError where there is none, for what is opened is known to be there."""
        with _explained("open", self.url(address)):
            return self.filesystem.open(self.path(address), "rb")  # type: ignore[no-any-return]

    def read(self, address: str) -> bytes:
        """Return a file's bytes; raise FileNotFoundError where there is none."""
        with _explained("read", self.url(address)):
            return bytes(self.filesystem.cat_file(self.path(address)))

    def delete(self, address: str, *, recursive: bool = False) -> None:
        """Delete a file, or a folder with all in it, but never the root; nothing happens where there is none."""
        if not address:
            raise AddressError("the root itself is not deleted")
        try:
            with _explained("delete", self.url(address)):
                self.filesystem.rm(self.path(address), recursive=recursive)
        except FileNotFoundError:
            return

    def write_once(self, address: str, data: bytes) -> bool:
        """Write a whole file unless there is one; return whether this call wrote it.

        Exactly one of several concurrent callers is told True. A local file is linked into place, which is atomic on
        NFS too; an object store must know conditional writes.
        """
        with _explained("write", self.url(address)):
            self.filesystem.makedirs(posixpath.dirname(self.path(address)), exist_ok=True)
            if not self.is_local:
                return self._create(address, data)
            temporary = self._temporary(address)
            try:
                with open(temporary, "xb") as file:  # noqa: PTH123 - these are plain paths
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(temporary, self.path(address))
            except FileExistsError:
                return False
            finally:
                with suppress(FileNotFoundError):
                    os.remove(temporary)  # noqa: PTH107 - these are plain paths
            return True

    def _create(self, address: str, data: bytes) -> bool:
        try:
            self.filesystem.pipe_file(self.path(address), data, mode="create")
        except FileExistsError:
            return False
        return True

    def _temporary(self, address: str) -> str:
        folder, name = posixpath.split(self.path(address))
        return posixpath.join(folder, f"_{secrets.token_hex(4)}.{name}")

    @contextmanager
    def whole(self, address: str) -> Iterator[IO[bytes]]:
        """Open a file for writing that is there, whole, when the block ends, and not at all if the block raises.

        A file that is there already is replaced. Of what the block raises only a full disk is taken for the file's.
        """
        with _explained("write", self.url(address)):
            self.filesystem.makedirs(posixpath.dirname(self.path(address)), exist_ok=True)
            target = self._target(address)
        try:
            yield target
            with _explained("write", self.url(address)):
                self._keep(target, address)
        except BaseException as error:
            self._drop(target)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise StorageError(f"cannot write {self.url(address)}: {_FULL[error.errno]}") from error
            raise

    def _target(self, address: str) -> Any:
        if self.is_local:
            return open(self._temporary(address), "xb")  # noqa: PTH123 - a plain path, closed by _keep or _drop
        return self.filesystem.open(self.path(address), "wb", autocommit=False)

    def _keep(self, target: Any, address: str) -> None:
        if self.is_local:
            target.flush()
            os.fsync(target.fileno())
            target.close()
            os.replace(target.name, self.path(address))  # noqa: PTH105 - these are plain paths
        else:
            target.close()
            target.commit()

    def _drop(self, target: Any) -> None:
        if not self.is_local:
            target.discard()
            return
        with suppress(OSError):
            target.close()
        with suppress(FileNotFoundError):
            os.remove(target.name)  # noqa: PTH107 - these are plain paths

    def put_in_place(self, staged: str, final: str) -> None:
        """Give a staged file its final place, replacing what is there; doing it again changes nothing.

        Raises LostFile where the file is in neither place.
        """
        if not self.exists(staged):
            if not self.exists(final):
                raise LostFile(f"{self.url(staged)} is gone and {self.url(final)} is not there: was staging deleted?")
            return
        with _explained("write", self.url(final)):
            self.filesystem.makedirs(posixpath.dirname(self.path(final)), exist_ok=True)
            if self.is_local:
                os.replace(self.path(staged), self.path(final))  # noqa: PTH105 - these are plain paths
            else:
                self.filesystem.copy(self.path(staged), self.path(final))


@contextmanager
def undamaged(address: str) -> Iterator[None]:
    """Raise StorageError where a Parquet file that is read in the block is not one."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise StorageError(f"{address} is damaged: {error}") from error


def to_json(value: Any) -> bytes:
    """Return a noun as JSON, two spaces deep, with a final newline."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def from_json(data: bytes, kind: type[Value]) -> Value:
    """Return the noun of that kind; raise StorageError where the JSON is not one."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise StorageError(f"a file of a {kind.__name__} is damaged: {error}") from error
