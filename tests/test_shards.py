"""Shards: staged files of a table, and grouped shards whose row groups each hold one Group."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.group import Group
from schemas.work import Slice, StagedFile
from storage import shards
from storage.files import Files
from storage.shards import Staging, grouped_slices, read_pieces, read_slice, write_grouped
from tests.rows import DE, HU, coding, codings, document, documents, partition

GROUPED = "grouped/g.parquet"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "root"))


def some(*names: str) -> pa.Table:
    return documents(*(document(name, name * 3) for name in names))


def pending_list(*rows: tuple[str, int]) -> pa.Table:
    names, versions = zip(*rows, strict=True)
    return pa.table({"document_id": pa.array(names, pa.string()), "version": pa.array(versions, pa.int16())})


def row_groups(files: Files, column: str) -> list[list[str]]:
    with pq.ParquetFile(files.path(GROUPED)) as parquet:
        return [parquet.read_row_group(number)[column].to_pylist() for number in range(parquet.num_row_groups)]


def test_a_staged_file_has_the_final_name_of_its_run_and_partition(files: Files) -> None:
    staging = Staging(files, "r1", "a2")
    rows = codings(coding("s:1"), coding("s:2"))
    staging.write("codings", partition(), "u", rows)
    final = "codings/codebook=cap@1/language=hu/domain=media/r1-u.parquet"
    staged = f"_staging/r1/a2/{final}"
    assert staging.staged == [StagedFile("codings", staged, final, files.size(staged) or 0, 2, partition())]
    (piece,) = read_pieces(files, staged)
    assert piece.to_pylist() == rows.drop_columns(list(partition())).to_pylist()


def test_columns_may_come_in_any_order_and_partitions_too(files: Files) -> None:
    rows = codings(coding("s:1"))
    staging = Staging(files, "r1", "a1")
    staging.write("codings", dict(reversed(partition().items())), "u", rows.select(rows.column_names[::-1]))
    (file,) = staging.staged
    assert list(file.partition.items()) == list(partition().items())
    (piece,) = read_pieces(files, file.staged)
    assert piece.to_pylist() == rows.drop_columns(list(partition())).to_pylist()


def test_a_missing_column_is_not_made_up(files: Files) -> None:
    with pytest.raises(KeyError, match="text_digest"):
        Staging(files, "r1", "a1").write("documents", {"source": "s"}, "0", some("1").drop_columns(["text_digest"]))
    assert files.find("") == []


def test_a_file_without_rows_is_not_kept(files: Files) -> None:
    staging = Staging(files, "r1", "a1")
    staging.write("documents", {"source": "s"}, "0", some())
    with staging.file("documents", {"source": "s"}, "1"):
        pass
    assert (staging.staged, files.find("")) == ([], [])


def test_a_file_whose_block_raises_is_not_kept(files: Files) -> None:
    staging = Staging(files, "r1", "a1")

    def broken() -> None:
        with staging.file("documents", {"source": "s"}, "0") as file:
            file.write(some("1"))
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert (staging.staged, files.find("")) == ([], [])


def test_discard_deletes_what_was_staged(files: Files) -> None:
    staging = Staging(files, "r1", "a1")
    staging.write("documents", {"source": "s"}, "0", some("1"))
    staging.discard()
    assert files.find("") == []


def test_each_row_group_of_a_grouped_shard_holds_one_group(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 2)
    written = write_grouped(files, GROUPED, [(DE, some("a", "bb", "c")), (HU, some("d"))])
    assert written == [Slice(GROUPED, 0, DE, 2, 9), Slice(GROUPED, 1, DE, 1, 3), Slice(GROUPED, 2, HU, 1, 3)]
    assert grouped_slices(files, GROUPED) == written
    found = row_groups(files, "document_id")
    assert found == [["s:a", "s:bb"], ["s:c"], ["s:d"]]
    assert [read_slice(files, piece)["document_id"].to_pylist() for piece in written] == found


def test_groups_without_rows_take_no_row_group(files: Files) -> None:
    written = write_grouped(files, GROUPED, [(DE, some()), (HU, some("d"))])
    assert written == grouped_slices(files, GROUPED) == [Slice(GROUPED, 0, HU, 1, 3)]


@pytest.mark.parametrize(
    "lengths",
    [
        [[4, 6], [1]],
        [[25]],
        [[4], [25], [3, 7], [11], [11], [10]],
        [[1, 1, 1], [1, 2]],
        [[8, 1, 1], [1, 9], [11], [1, 1, 1], [1]],
    ],
    ids=str,
)
def test_row_groups_are_cut_by_characters_too_and_a_longer_row_is_one_of_its_own(
    files: Files, monkeypatch: pytest.MonkeyPatch, lengths: list[list[int]]
) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_CHARACTERS", 10)
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 3)
    texts = [["ő" * length for length in part] for part in lengths]
    rows = documents(*(document(str(n), text) for n, text in enumerate(text for part in texts for text in part)))
    written = write_grouped(files, GROUPED, [(HU, rows), (DE, rows)])
    assert row_groups(files, "text") == texts * 2
    assert [row for names in row_groups(files, "id") for row in names] == rows["id"].to_pylist() * 2
    sizes = [(len(part), sum(part)) for part in lengths]
    assert [(piece.rows, piece.characters) for piece in written] == sizes * 2
    assert [piece.group for piece in written] == [HU] * len(sizes) + [DE] * len(sizes)
    assert grouped_slices(files, GROUPED) == written
    assert [read_slice(files, piece)["text"].to_pylist() for piece in written] == texts * 2


def test_characters_are_counted_not_bytes(files: Files) -> None:
    written = write_grouped(files, GROUPED, [(HU, documents(document("1", "ő😀ж"), document("2", "xy")))])
    assert [piece.characters for piece in written] == [5]


def test_a_grouped_shard_that_was_not_written_has_no_slices(files: Files) -> None:
    assert grouped_slices(files, GROUPED) is None


def test_a_grouped_shard_is_there_whole_or_not_at_all(files: Files) -> None:
    def groups() -> Iterator[tuple[Group, pa.Table]]:
        yield HU, some("1")
        raise KeyError

    with pytest.raises(KeyError):
        write_grouped(files, GROUPED, groups())
    assert (files.find(""), grouped_slices(files, GROUPED)) == ([], None)


def test_a_slice_gives_its_rows_or_those_that_are_pending(files: Files) -> None:
    rows = some("1", "2", "3")
    (piece,) = write_grouped(files, GROUPED, [(HU, rows)])
    assert read_slice(files, piece).to_pylist() == rows.to_pylist()
    with files.whole("pending.parquet") as file:
        pq.write_table(pending_list(("s:3", 1), ("s:1", 1), ("s:9", 1)), file)
    wanted = Slice(piece.grouped, piece.row_group, HU, 2, 6, "pending.parquet")
    assert read_slice(files, wanted).to_pylist() == [rows.to_pylist()[0], rows.to_pylist()[2]]
    assert read_slice(files, wanted, ["text", "document_id", "version"]).to_pylist() == [
        {"text": "111", "document_id": "s:1", "version": 1},
        {"text": "333", "document_id": "s:3", "version": 1},
    ]


@pytest.mark.parametrize(("version", "texts"), [(1, ["a"]), (2, ["b"]), (3, [])])
def test_of_two_versions_in_a_slice_only_the_pending_one_is_given(files: Files, version: int, texts: list[str]) -> None:
    rows = documents(document("1", "a"), document("2", "c"), document("1", "b", version=2))
    (piece,) = write_grouped(files, GROUPED, [(HU, rows)])
    with files.whole("pending.parquet") as file:
        pq.write_table(pending_list(("s:1", version)), file)
    wanted = Slice(piece.grouped, piece.row_group, HU, 1, 1, "pending.parquet")
    assert read_slice(files, wanted)["text"].to_pylist() == texts


def test_pieces_are_bounded_and_in_order(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 2)
    staging = Staging(files, "r1", "a1")
    staging.write("documents", {"source": "s"}, "0", some("3", "1", "2"))
    pieces = list(read_pieces(files, staging.staged[0].staged, ["id"]))
    assert [piece.to_pydict() for piece in pieces] == [{"id": ["3", "1"]}, {"id": ["2"]}]
