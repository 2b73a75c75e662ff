"""Files under a root: addresses stay inside, files are whole or absent, and what ails storage is said."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from shutil import which
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.files import Files, StorageError
from storage.tables import publish, snapshot
from tests.rows import document, documents, ids_of, publish_rows, stage

Mount = Callable[[str], Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "root"))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    places: list[Path] = []

    def make(options: str) -> Path:
        place = tmp_path / f"mount{len(places)}"
        place.mkdir()
        if which("mount") is None:
            pytest.skip("there is no mount here")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        places.append(place)
        return place

    yield make
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # deltalake's threads close files a little later


@pytest.mark.parametrize("address", ["../x", "x/../../y", "..", "/etc", "a//b", "a/", "a\0b", ".", "./a", "a/.", "/"])
def test_an_address_that_leaves_the_root_or_is_not_plain_is_refused(files: Files, address: str) -> None:
    for use in (files.path, files.url, files.read, files.names, files.find, files.delete, files.exists, files.size):
        with pytest.raises(ValueError, match="not a plain path below the root"):
            use(address)
    with pytest.raises(ValueError, match="not a plain path below the root"):
        files.write_once(address, b"")
    with pytest.raises(ValueError, match="not a plain path below the root"), files.whole(address):
        pass


@given(st.lists(st.sampled_from(["", ".", "..", "a", "b=c", "~", "é", "...", "%2e%2e"]), max_size=5).map("/".join))
def test_every_address_is_refused_or_lies_below_the_root(address: str) -> None:
    root = Path(tempfile.gettempdir()) / "root"
    try:
        path = Files(str(root)).path(address)
    except ValueError:
        assert {"", ".", ".."} & set(address.split("/"))
    else:
        assert Path(os.path.normpath(path)) == root / address == Path(path)


def test_an_empty_root_is_refused() -> None:
    with pytest.raises(ValueError, match="the root is empty"):
        Files("")


def test_write_once_writes_and_leaves_what_is_there(files: Files) -> None:
    assert files.write_once("a/b", b"first") is True
    assert files.write_once("a/b", b"second") is False
    assert (files.find(""), files.read("a/b")) == (["a/b"], b"first")


def test_exactly_one_of_many_at_once_writes_and_its_bytes_stay(files: Files) -> None:
    barrier = Barrier(8)

    def write(number: int, address: str) -> bool:
        barrier.wait()
        return files.write_once(address, b"%d" % number * 5000)

    with ThreadPoolExecutor(8) as pool:
        for turn in range(20):
            address = f"turns/{turn}"
            won = list(pool.map(write, range(8), [address] * 8))
            assert sorted(won) == [False] * 7 + [True]
            assert files.read(address) == b"%d" % won.index(True) * 5000
    assert files.names("turns") == sorted(f"turns/{turn}" for turn in range(20))


def test_whole_leaves_nothing_where_the_block_raises(files: Files) -> None:
    def broken() -> None:
        with files.whole("a/b") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert files.find("") == []
    files.write_once("a/b", b"old")
    with pytest.raises(KeyError):
        broken()
    assert (files.find(""), files.read("a/b")) == (["a/b"], b"old")


def test_whole_replaces_a_file_only_when_the_block_ends(files: Files) -> None:
    files.write_once("a/b", b"old and long")
    with files.whole("a/b") as file:
        file.write(b"new")
        file.flush()
        assert files.read("a/b") == b"old and long"
    assert (files.find(""), files.read("a/b")) == (["a/b"], b"new")


def test_put_in_place_moves_replaces_and_does_nothing_again(files: Files) -> None:
    files.write_once("staged", b"new")
    files.write_once("table/final", b"old")
    files.put_in_place("staged", "table/final")
    files.put_in_place("staged", "table/final")
    assert (files.find(""), files.read("table/final")) == (["table/final"], b"new")


def test_put_in_place_says_so_where_the_file_is_in_neither_place(files: Files) -> None:
    with pytest.raises(StorageError) as caught:
        files.put_in_place("staged", "final")
    root = files.root
    assert str(caught.value) == f"{root}/staged is gone and {root}/final is not there: was staging deleted?"


def test_names_find_size_and_delete(files: Files) -> None:
    for address in ("a/c", "a/b/d", "e"):
        files.write_once(address, address.encode())
    assert [files.names(""), files.names("a"), files.names("none")] == [["a", "e"], ["a/b", "a/c"], []]
    assert [files.find(""), files.find("a"), files.find("none")] == [["a/b/d", "a/c", "e"], ["a/b/d", "a/c"], []]
    assert [files.size("a/b/d"), files.size("none")] == [5, None]
    files.delete("none")
    files.delete("none", recursive=True)
    files.delete("e")
    files.delete("a", recursive=True)
    assert files.find("") == []
    with pytest.raises(FileNotFoundError):
        files.read("e")


def test_a_folder_is_not_deleted_as_a_file(files: Files) -> None:
    files.write_once("a/b", b"")
    with pytest.raises(ValueError, match="directory"):
        files.delete("a")
    assert files.find("") == ["a/b"]


def test_a_full_disk_is_named_and_leaves_nothing_half_done(mount: Mount) -> None:
    files = Files(str(mount("size=64k")))
    with pytest.raises(StorageError) as caught:
        files.write_once("a/b", bytes(100_000))
    assert str(caught.value) == f"cannot write {files.root}/a/b: it is full"
    with pytest.raises(StorageError, match="a/c: it is full"), files.whole("a/c") as file:
        file.write(bytes(100_000))
    rows = documents(*(document(str(number), os.urandom(60_000).hex()) for number in range(2)))
    with pytest.raises(StorageError, match=r"documents/source=s/r1-0\.parquet: it is full"):
        stage(files, "r1", "documents", {"source": "s"}, rows)
    assert files.find("") == []


def test_a_commit_to_a_full_disk_can_be_repeated(mount: Mount) -> None:
    files = Files(str(mount("size=128k")))
    base = publish_rows(files, "r0", "documents", [({"source": "s"}, documents(document("0")))]).at
    staged = stage(files, "r1", "documents", {"source": "s"}, documents(document("1")))
    filler = Path(files.root) / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:  # until the disk is full
            file.write(bytes(4096))
    with pytest.raises(StorageError, match="No space left on device"):
        publish(files, "documents", "r1", [staged], [], base)
    filler.unlink()
    assert publish(files, "documents", "r1", [staged], [], base) == 1
    assert ids_of(files, snapshot(files, "documents")) == ["s:0", "s:1"]


def test_a_disk_without_inodes_is_named_as_full(mount: Mount) -> None:
    files = Files(str(mount("size=64k,nr_inodes=4")))
    files.write_once("a/b", b"")
    (Path(files.root) / "last").touch()
    with pytest.raises(StorageError, match="a/e: it is full"), files.whole("a/e"):
        pass
    with pytest.raises(StorageError, match="a/d: it is full"):
        files.write_once("a/d", b"")


def test_a_read_only_root_is_named_and_can_still_be_read(mount: Mount) -> None:
    files = Files(str(mount("size=64k")))
    files.write_once("a/b", b"here")
    subprocess.run(["mount", "-o", "remount,ro", files.root], check=True)
    for address in ("a/c", "d/e"):
        with pytest.raises(StorageError, match=f"cannot write .*/{address}: Read-only file system"):
            files.write_once(address, b"")
        with pytest.raises(StorageError, match=f"{address}: Read-only file system"), files.whole(address):
            pass
    with pytest.raises(StorageError, match=r"cannot delete .*/a/b: Read-only file system"):
        files.delete("a/b")
    assert (files.find(""), files.read("a/b")) == (["a/b"], b"here")
