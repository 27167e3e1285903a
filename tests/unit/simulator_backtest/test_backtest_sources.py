"""History from files: what is read, and the sentence for what cannot be."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from simulator.backtest import sources
from simulator.backtest.bars import Bars, Happening, HistoryError
from simulator.backtest.sources import read_history

WIDE = "date,A,B\n2024-03-05,11,\n2024-03-04,10,\n2024-03-06,12,20.5\n"
LONG = (
    "date,symbol,open,high,low,close,volume,dividend,split\n"
    "2024-03-04,A,9,12,8,10,1000,,\n2024-03-05,A,10,13,9,11,2000,0.25,\n"
    "2024-03-04,B,20,21,19,20,500,,\n2024-03-05,B,10,11,9,10,700,,2\n"
)


def written(folder: Path, text: str, name: str = "h.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(HistoryError) as caught:
        read_history(written(folder, text), folder)
    return str(caught.value)


def test_a_wide_file_is_closes_in_order_of_time(tmp_path: Path) -> None:
    found = read_history(written(tmp_path, WIDE), tmp_path)
    assert found.days == (date(2024, 3, 4), date(2024, 3, 5), date(2024, 3, 6))
    assert found.symbols == ("A", "B")
    assert found.close[:, 0].tolist() == [10, 11, 12]
    assert np.isnan(found.close[:2, 1]).all()
    assert found.day(0).close == {"A": Decimal(10)}
    assert found.day(2).close == {"A": Decimal(12), "B": Decimal("20.5")}
    assert found.day(2).open == found.day(2).close == found.day(2).typical
    assert found.day(2).volume == {}


def test_a_long_file_has_bars_dividends_and_splits(tmp_path: Path) -> None:
    found = read_history(written(tmp_path, LONG), tmp_path)
    day = found.day(1)
    assert day.open == {"A": Decimal(10), "B": Decimal(10)}
    assert day.typical == {"A": Decimal(11), "B": Decimal(10)}
    assert day.volume == {"A": 2000.0, "B": 700.0}
    assert set(day.happenings) == {Happening("A", Decimal("0.25")), Happening("B", split=Decimal(2))}
    assert found.day(0).happenings == ()


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "h.csv.gz").write_bytes(gzip.compress(WIDE.encode()))
    assert len(read_history("h.csv.gz", tmp_path)) == 3


def test_a_parquet_file_is_read_as_the_csv_is(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.read_csv(tmp_path / written(tmp_path, LONG), parse_dates=["date"])
    frame.to_parquet(tmp_path / "h.parquet")
    frame.set_index("date").to_parquet(tmp_path / "indexed.parquet")
    ours, indexed = read_history("h.parquet", tmp_path), read_history("indexed.parquet", tmp_path)
    theirs = read_history("h.csv", tmp_path)
    for one in (ours, indexed):
        assert one.days == theirs.days
        assert np.array_equal(one.close, theirs.close)
        assert one.happenings == theirs.happenings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no row; write a header and a row a day"),
        ("day\n2024-03-04\n", "write a column for each symbol, each once"),
        ("when,A\n2024-03-04,1\n", "the first column is 'when'; name it date"),
        ("date,A\n4.3.2024,1\n2024-03-05,1\n", "row 2, date is '4.3.2024'; write it as 2024-03-12"),
        ("date,A\n2024-03-04,x\n2024-03-05,1\n", "row 2, A is 'x'; write a number, or nothing"),
        ("date,A\n2024-03-04,1\n", "two days and one symbol at least"),
        ("date,A\n2024-03-04,1\n2024-03-04,2\n", "days must be in order, each once"),
        ("date,A\n2024-03-04,0\n2024-03-05,2\n", "A has a price of 0 or below on 2024-03-04"),
        ("date,A,B\n2024-03-04,1,\n2024-03-05,2,\n", "B has no price at all; leave it out"),
        (
            "date,A\n2024-03-04,1\n2024-03-05,\n2024-03-06,2\n",
            "A has no price on 2024-03-05 (1 days in all) between its first and its last; fill the gap",
        ),
        ("date,symbol,open\n2024-03-04,A,1\n", "close is missing; a long file has date, symbol, close"),
        ("date,symbol,close,wind\n2024-03-04,A,1,2\n", "column wind is not known"),
        ("date,symbol,close\n2024-03-04,A,1\n2024-03-04,A,2\n", "A stands twice on 2024-03-04; keep one row"),
        ("date,symbol,close,split\n2024-03-04,A,1,0\n2024-03-05,A,1,\n", "row 2, split is '0'"),
        ("date,symbol,close,dividend\n2024-03-04,A,1,-1\n2024-03-05,A,1,\n", "row 2, dividend is '-1'"),
        ("date,symbol,close,dividend\n2024-03-04,A,1,x\n2024-03-05,A,1,\n", "row 2, dividend is 'x'"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, text)


def test_a_file_that_is_not_there_and_a_name_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="cannot be read"):
        read_history("none.csv", tmp_path)
    with pytest.raises(HistoryError, match="bundled:x is not known; there are factors, sp500, sp500-index"):
        read_history("bundled:x")


def test_bundled_data_without_its_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(
        HistoryError, match=r"needs the package skfolio; pip install 'rebalance-gateway\[data\]'"
    ):
        read_history("bundled:sp500")
    with pytest.raises(HistoryError, match="Parquet needs pandas and pyarrow"):
        read_history("h.parquet")


def test_the_bundled_names_are_real_and_without_a_gap() -> None:
    if sources.importlib.util.find_spec("skfolio") is None:
        pytest.skip("the data extra is not installed")
    found = read_history("bundled:sp500")
    assert (len(found), len(found.symbols), str(found.days[0]), str(found.days[-1])) == (
        8313, 20, "1990-01-02", "2022-12-28",
    )  # fmt: skip


def test_a_part_of_a_history_is_a_history() -> None:
    days = tuple(date(2024, 3, n) for n in (4, 5, 6, 7))
    whole = Bars(days, ("A", "B"), np.arange(1.0, 9.0).reshape(4, 2), volume=np.ones((4, 2)), name="h")
    part = whole.between(date(2024, 3, 5), date(2024, 3, 6), ["B"])
    assert part.days == days[1:3]
    assert part.close.tolist() == [[4.0], [6.0]]
    assert part.volume is not None
    assert part.open is None
    with pytest.raises(HistoryError, match="C is not in the history h; it has A, B"):
        whole.between(None, None, ["C"])
    with pytest.raises(HistoryError, match="no day of h lies in 2025"):
        whole.between(date(2025, 1, 1), None)
