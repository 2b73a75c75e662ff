"""The tables: what is published is there once, whole, and as any reader of Delta Lake or of hive folders sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError, DeltaError

from schemas.arrow import schema_of
from schemas.coding import Coding
from schemas.document import Document
from schemas.run import TableVersion
from schemas.work import StagedFile
from storage import tables
from storage.files import Files, StorageError
from storage.query import query
from storage.tables import PublishConflict, Snapshot, TableFile, dataset, file_schema, publish, snapshot, table_versions
from tests.rows import DE, HU, coding, codings, document, documents, ids_of, partition, publish_rows, rows_of, stage

S = {"source": "s"}
ABSENT = TableVersion()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "root"))


def one(name: str) -> pa.Table:
    return documents(document(name))


def parquet_on_disk(files: Files) -> list[str]:
    return [address for address in files.find("") if address.endswith(".parquet")]


def test_an_absent_table_has_no_files_no_version_and_the_nouns_columns(files: Files) -> None:
    assert snapshot(files, "documents") == Snapshot("documents", ABSENT, ())
    assert set(table_versions(files).values()) == {ABSENT}
    assert dataset(files, snapshot(files, "documents")).to_table() == schema_of(Document).empty_table()
    assert files.find("") == []


def test_a_snapshot_holds_exactly_the_files_published(files: Files) -> None:
    parts = [(partition(HU), codings(coding("s:1"), coding("s:2"))), (partition(DE), codings(coding("s:3", DE)))]
    found = publish_rows(files, "r1", "codings", parts)
    addresses = [
        f"codings/codebook=cap@1/language={lang}/domain=media/r1-{n}.parquet" for n, lang in ((1, "de"), (0, "hu"))
    ]
    assert found == Snapshot(
        "codings",
        TableVersion(0, 1),
        (
            TableFile(addresses[0], files.size(addresses[0]) or 0, 1, partition(DE)),
            TableFile(addresses[1], files.size(addresses[1]) or 0, 2, partition(HU)),
        ),
    )
    assert rows_of(files, found) == codings(coding("s:1"), coding("s:2"), coding("s:3", DE)).to_pylist()
    assert (found.rows, found.where(language="hu").files, found.where(language="fr").files) == (3, found.files[1:], ())
    assert parquet_on_disk(files) == addresses


def test_publishing_twice_changes_nothing(files: Files) -> None:
    staged = stage(files, "r1", "documents", S, one("1"))
    versions = [publish(files, "documents", "r1", [staged], [], ABSENT) for _ in range(2)]
    assert versions == [0, 0]
    assert ids_of(files, snapshot(files, "documents")) == ["s:1"]
    assert snapshot(files, "documents").at == TableVersion(0, 1)


def test_the_second_run_on_the_same_base_is_refused_and_leaves_nothing(files: Files) -> None:
    before = publish_rows(files, "r1", "documents", [(S, one("1"))])
    staged = stage(files, "r2", "documents", S, one("2"))
    with pytest.raises(PublishConflict, match=r"run r2 cannot publish to .*documents: another run has published there"):
        publish(files, "documents", "r2", [staged], [], ABSENT)
    assert snapshot(files, "documents") == before
    assert parquet_on_disk(files) == [staged.staged, "documents/source=s/r1-0.parquet"]


def during(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, act: Callable[[], object]) -> None:
    """Let something happen just before a function is called for the first time."""
    wrapped = getattr(owner, name)

    def patched(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(owner, name, wrapped)
        act()
        return wrapped(*arguments, **named)

    monkeypatch.setattr(owner, name, patched)


@pytest.mark.parametrize(("owner", "moment"), [(Files, "put_in_place"), (tables, "_commit")])
@pytest.mark.parametrize("exists", [False, True])
def test_a_run_that_publishes_while_another_does_is_refused(
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    moment: str,
    exists: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    if exists:
        publish_rows(files, "r0", "documents", [(S, one("0"))])
    base = snapshot(files, "documents").at
    staged = stage(files, "r2", "documents", S, one("2"))
    during(monkeypatch, owner, moment, lambda: publish_rows(files, "r1", "documents", [(S, one("1"))]))
    with pytest.raises(PublishConflict):
        publish(files, "documents", "r2", [staged], [], base)
    assert ids_of(files, snapshot(files, "documents")) == (["s:0"] if exists else []) + ["s:1"]
    assert "documents/source=s/r2-0.parquet" not in files.find("")


def test_a_commit_lost_after_the_files_were_placed_is_repeated(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = stage(files, "r1", "documents", S, one("1"))

    def die() -> None:
        raise KeyboardInterrupt

    during(monkeypatch, tables, "_commit", die)
    with pytest.raises(KeyboardInterrupt):
        publish(files, "documents", "r1", [staged], [], ABSENT)
    assert parquet_on_disk(files) == [staged.final]
    assert snapshot(files, "documents").files == ()
    assert publish(files, "documents", "r1", [staged], [], ABSENT) == 0
    assert ids_of(files, snapshot(files, "documents")) == ["s:1"]


@pytest.mark.parametrize("kind", [OSError, DeltaError, CommitFailedError])
@pytest.mark.parametrize("exists", [False, True])
def test_a_commit_that_storage_refuses_is_no_conflict_and_can_be_repeated(
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Exception],
    exists: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    if exists:
        publish_rows(files, "r0", "documents", [(S, one("0"))])
    before = snapshot(files, "documents")
    staged = stage(files, "r1", "documents", S, one("1"))

    def refuse() -> None:
        raise kind("No space left on device")

    during(monkeypatch, tables, "_commit", refuse)
    with pytest.raises(StorageError, match=f"cannot commit to {files.url('documents')}: No space left") as caught:
        publish(files, "documents", "r1", [staged], [], before.at)
    assert not isinstance(caught.value, PublishConflict)
    assert snapshot(files, "documents") == before
    assert publish(files, "documents", "r1", [staged], [], before.at) == before.at.version + 1
    assert ids_of(files, snapshot(files, "documents")) == (["s:0"] if exists else []) + ["s:1"]


@pytest.mark.parametrize("kind", [OSError, DeltaError])
def test_a_commit_whose_answer_is_lost_is_none_that_failed(
    files: Files, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    first = publish_rows(files, "r0", "documents", [(S, one("0"))])
    staged = stage(files, "r1", "documents", S, one("1"))
    commit = tables._commit

    def lose(*arguments: Any) -> None:
        commit(*arguments)
        raise kind("timed out")

    monkeypatch.setattr(tables, "_commit", lose)
    (gone,) = (file.address for file in first.files)
    assert publish(files, "documents", "r1", [staged], [gone], first.at) == 1
    assert (ids_of(files, snapshot(files, "documents")), parquet_on_disk(files)) == (["s:1"], [staged.final])


def test_a_refused_run_takes_back_what_an_earlier_attempt_had_placed(files: Files) -> None:
    staged = stage(files, "r2", "documents", S, one("2"))
    files.put_in_place(staged.staged, staged.final)
    publish_rows(files, "r1", "documents", [(S, one("1"))])
    with pytest.raises(PublishConflict):
        publish(files, "documents", "r2", [staged], [], ABSENT)
    assert parquet_on_disk(files) == ["documents/source=s/r1-0.parquet"]


def test_replaced_files_leave_the_snapshot_and_the_disk(files: Files) -> None:
    first = publish_rows(files, "r1", "documents", [(S, one("1")), (S, one("2"))])
    gone = "documents/source=s/r1-0.parquet"
    second = publish_rows(files, "r2", "documents", [(S, one("3"))], [gone])
    assert [file.address for file in first.files] == [gone, "documents/source=s/r1-1.parquet"]
    assert ids_of(files, second) == ["s:2", "s:3"]
    assert parquet_on_disk(files) == ["documents/source=s/r1-1.parquet", "documents/source=s/r2-0.parquet"]


def test_replaced_files_are_deleted_by_the_repetition_of_a_lost_deletion(files: Files) -> None:
    first = publish_rows(files, "r1", "documents", [(S, one("1"))])
    (gone,) = (file.address for file in first.files)
    content = files.read(gone)
    publish_rows(files, "r2", "documents", [], [gone])
    files.write_once(gone, content)
    assert publish(files, "documents", "r2", [], [gone], first.at) == 1
    assert (parquet_on_disk(files), snapshot(files, "documents").files) == ([], ())


def test_all_readers_see_the_same_rows(files: Files) -> None:
    parts = [(partition(HU), codings(coding("s:1"))), (partition(DE), codings(coding("s:2", DE)))]
    found = publish_rows(files, "r1", "codings", parts)
    mine = dataset(files, found).to_table().sort_by("document_id")
    assert dataset(files, found).schema.equals(schema_of(Coding))
    assert mine.schema.equals(schema_of(Coding))
    theirs = deltalake.DeltaTable(files.url("codings")).to_pyarrow_dataset().to_table().sort_by("document_id")
    assert theirs.select(mine.column_names).to_pylist() == mine.to_pylist()
    with query() as connection:
        sql = f"FROM read_parquet('{files.url('codings')}/**/*.parquet', hive_partitioning=true) ORDER BY document_id"
        hive = connection.sql(sql).to_arrow_table()
    assert sorted(hive.column_names) == sorted(mine.column_names)
    assert hive.select(mine.column_names).to_pylist() == mine.to_pylist()


def test_documents_come_back_as_they_were(files: Files) -> None:
    rows = documents(document("1", "Ő\u0000\n"), document("2", version=3))
    found = publish_rows(files, "r1", "documents", [(S, rows)])
    assert dataset(files, found).to_table().to_pylist() == rows.to_pylist()


def test_files_hold_all_columns_but_the_partitions() -> None:
    assert file_schema("codings").names == schema_of(Coding).names[:-3]
    assert schema_of(Coding).names[-3:] == ["codebook", "language", "domain"]


def test_a_file_of_another_size_than_was_staged_is_not_published(files: Files) -> None:
    good = stage(files, "r1", "documents", S, one("1"))
    bad = StagedFile(good.table, good.staged, good.final, good.size + 1, good.rows, good.partition)
    with pytest.raises(StorageError, match=f"has {good.size} bytes but {good.size + 1} were written"):
        publish(files, "documents", "r1", [bad], [], ABSENT)
    assert snapshot(files, "documents").files == ()


def test_a_file_that_is_gone_is_not_published(files: Files) -> None:
    staged = stage(files, "r1", "documents", S, one("1"))
    files.delete("_staging", recursive=True)
    with pytest.raises(StorageError, match="was staging deleted"):
        publish(files, "documents", "r1", [staged], [], ABSENT)
    assert snapshot(files, "documents").files == ()


def test_a_snapshot_can_be_of_an_older_version(files: Files) -> None:
    first = publish_rows(files, "r1", "documents", [(S, one("1"))])
    second = publish_rows(files, "r2", "documents", [(S, one("2"))])
    assert (first.at, second.at) == (TableVersion(0, 1), TableVersion(1, 2))
    assert snapshot(files, "documents", first.at) == first
    assert snapshot(files, "documents", second.at) == second
    assert snapshot(files, "documents", ABSENT) == Snapshot("documents", ABSENT, ())
    assert table_versions(files)["documents"] == second.at


@pytest.mark.parametrize("source", ["a b", "50%", "ö", "cap@1", "a%20b", "x=y", "a+b"])
def test_any_partition_value_is_a_folder_that_all_readers_understand(files: Files, source: str) -> None:
    found = publish_rows(files, "r1", "documents", [({"source": source}, documents(document("1")))])
    (file,) = found.files
    assert file.partition == {"source": source}
    assert parquet_on_disk(files) == [file.address]
    assert [row["source"] for row in rows_of(files, found)] == [source]
    theirs = deltalake.DeltaTable(files.url("documents")).to_pyarrow_dataset().to_table()
    assert theirs["source"].to_pylist() == [source]


def test_a_conflict_between_tables_is_none(files: Files) -> None:
    publish_rows(files, "r1", "documents", [(S, one("1"))])
    assert publish_rows(files, "r1", "codings", [(partition(), codings(coding("s:1")))]).at == TableVersion(0, 1)
