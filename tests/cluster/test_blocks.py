"""Blocks hold every picture and every row of tables once."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.cluster.blocks import blocks_of, find_column, plan, read_rows
from earthclip.errors import InputError
from earthclip.pictures.prepare import Failure


@settings(deadline=None)  # the first example imports
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 17), st.sets(st.integers(0, 9)))
def test_blocks_hold_every_row_once(counts: list[int], size: int, done: set[int]) -> None:
    made = plan([Failure(f"{i}", "gone") for i in range(sum(counts))], size)
    blocks = list(blocks_of(made, done))
    assert all(block.column("block").unique().to_pylist() not in ([n] for n in done) for block in blocks)
    rows = [path for block in blocks_of(made, set()) for path in block.column("path").to_pylist()]
    assert rows == [str(i) for i in range(sum(counts))]
    assert max(len(block) for block in blocks_of(made, set())) <= size


def test_blocks_of_tables_cross_row_groups_and_files(tmp_path: Path) -> None:
    for name, rows in (("a", 25), ("b", 10)):
        pq.write_table(pa.table({"x": range(rows)}), tmp_path / f"{name}.parquet", row_group_size=10)
    made = plan(["a.parquet", "picture.jpg", "b.parquet"], 8, str(tmp_path))
    blocks = list(blocks_of(made, set()))
    assert [sum(block.column("rows").to_pylist()) for block in blocks] == [8, 8, 8, 8, 4]
    found = [
        value
        for piece in made.to_pylist()
        if piece["path"] != "picture.jpg"
        for value in read_rows(str(tmp_path / piece["path"]), piece["row"], piece["rows"])["x"].to_pylist()
    ]
    assert found == [*range(25), *range(10)]
    assert [piece["row"] for piece in made.to_pylist() if piece["path"] == "b.parquet"] == [0, 6]
    for row, rows in ((3, 15), (9, 2), (20, 5)):
        read = read_rows(str(tmp_path / "a.parquet"), row, rows, lambda schema: schema.names[0])
        assert read.column(0).to_pylist() == list(range(row, row + rows))
    for row in (24, 25):
        with pytest.raises(InputError, match=rf"expected 2 rows from row {row} on, found {25 - row}"):
            read_rows(str(tmp_path / "a.parquet"), row, 2)
    with pytest.raises(InputError, match="no pictures and no table rows"):
        plan([], 8)
    (tmp_path / "bad.parquet").write_text("not Parquet")
    for name, says in (("bad.parquet", "not readable as Parquet"), ("none.parquet", "no such table")):
        with pytest.raises(InputError, match=says):
            plan([name], 8, str(tmp_path))


def test_a_name_that_is_not_unicode_is_one_fault() -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    rows = plan([odd, "b.jpg", Failure(odd, f"{odd}: gone")], 8).to_pylist()
    assert [row["path"] for row in rows] == ["caf?.jpg", "b.jpg", "caf?.jpg"]
    assert rows[0]["error"] == "caf?.jpg: a name that is not UTF-8; rename it" and rows[1]["error"] is None


@pytest.mark.parametrize(
    ("columns", "asked", "found"),
    [
        ({"path": pa.string(), "image": pa.binary()}, None, "image"),
        ({"id": pa.int64(), "url": pa.large_string()}, None, "url"),
        ({"image": pa.struct([("bytes", pa.binary()), ("path", pa.string())])}, None, "image"),
        ({"image": pa.int64(), "x": pa.binary()}, "x", "x"),
        ({"image": pa.int64()}, None, None),
        ({"image": pa.binary()}, "img", None),
    ],
)
def test_the_column_of_pictures(columns: dict[str, pa.DataType], asked: str | None, found: str | None) -> None:
    schema = pa.schema(list(columns.items()))
    if found:
        assert find_column(schema, asked, "t.parquet") == found
    else:
        with pytest.raises(InputError, match=r"t\.parquet: "):
            find_column(schema, asked, "t.parquet")
