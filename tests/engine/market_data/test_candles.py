from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather, parquet

from engine.market_data.candles import Candle, DataError, load_candles

MINUTE = 60_000
START = 1_506_816_000_000  # 2017-10-01T00:00:00Z
HEADER = "date,open,high,low,close,volume"
GOOD = (
    "2017-10-01 00:00:00,10.10,12,9.5,11,100.25",
    "2017-10-01 00:30:00,11,12,9.5,10,7",
    "2017-10-01 01:00:00,10,12,9.5,11.5,0",
    "2017-10-01 01:30:00,11.5,12,9.5,11,3",
)


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def error_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_candles(path)
    text = str(caught.value)
    assert all(f.where and f.what and f.why and f.fix for f in caught.value.findings)
    assert "Why it matters: " in text
    assert "What to do: " in text
    return text


def test_a_csv_gives_exact_decimals_in_the_order_of_their_names(tmp_path):
    series = load_candles(write(tmp_path / "BTC_USD.csv", *GOOD))["BTC/USD"]
    first = series.candles[0]
    assert first == Candle(
        START, Decimal("10.10"), Decimal(12), Decimal("9.5"), Decimal(11), Decimal("100.25"), 30 * MINUTE
    )
    assert str(first.open) == "10.10"
    assert first.closed_at == START + 30 * MINUTE
    assert (series.symbol, series.length, series.gaps, len(series.candles)) == ("BTC/USD", 30 * MINUTE, 0, 4)


@pytest.mark.parametrize(
    "header",
    [
        "Date,BTC.open,BTC.close,BTC.high,BTC.low,BTC.volume",
        "\ufeffTimestamp,Open,Close,High,Low,Volume BTC",
        "open_time;OPEN;CLOSE;HIGH;LOW;VOL",
        ",Open,Close,High,Low,Volume",
        "Time,btc_open,btc_close,btc_high,btc_low,btc_volume",
    ],
)
def test_columns_are_found_by_name_whatever_their_order_case_or_prefix(tmp_path, header):
    rows = ["2017-10-01T00:00:00Z,1,3,4,0.5,9", "2017-10-01T00:01:00Z,1,3,4,0.5,9"]
    if ";" in header:
        rows = [row.replace(",", ";") for row in rows]
    (candle, _) = load_candles(write(tmp_path / "BTC_USD.csv", *rows, header=header))["BTC/USD"].candles
    assert [candle.open, candle.close, candle.high, candle.low, candle.volume] == list(
        map(Decimal, ["1", "3", "4", "0.5", "9"])
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1506816000", "1506816060"),
        ("1506816000.0", "1506816060.0"),
        ("1506816000000", "1506816060000"),
        ("1506816000000000", "1506816060000000"),
        ("2017-10-01", "2017-10-01 00:01"),
        ("2017-10-01 02:00:00+02:00", "2017-10-01 02:01:00+02:00"),
        ("2017-10-01 00:00:00 UTC", "2017-10-01 00:01:00 UTC"),
    ],
)
def test_stamps_are_iso_or_epoch_and_utc_unless_they_name_a_zone(tmp_path, first, second):
    path = write(tmp_path / "BTC_USD.csv", f"{first},1,1,1,1,1", f"{second},1,1,1,1,1")
    assert [c.opened_at for c in load_candles(path)["BTC/USD"].candles] == [START, START + MINUTE]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTC_USD", "BTC/USD"),
        ("BTC-USDT", "BTC/USDT"),
        ("btcusd", "BTC/USD"),
        ("ETHBTC", "ETH/BTC"),
        ("BTC_USDT-1h", "BTC/USDT"),
        ("Binance_BTCUSDT_1h", "BTC/USDT"),
        ("BTCUSDT_30m", "BTC/USDT"),
        ("XRP_XYZ", "XRP/XYZ"),
    ],
)
def test_the_symbol_comes_from_the_file_name(tmp_path, name, symbol):
    assert list(load_candles(write(tmp_path / f"{name}.csv", *GOOD))) == [symbol]


@pytest.mark.parametrize("name", ["candles", "BNBUSD", "my_old_candle_file", "USD_USD"])
def test_a_file_name_that_does_not_tell_the_symbol_is_no_guess(tmp_path, name):
    text = error_of(write(tmp_path / f"{name}.csv", *GOOD))
    assert "does not tell its market" in text
    assert "BTC_USD.csv" in text


def test_a_symbol_column_splits_one_file_into_series(tmp_path):
    rows = [f"{s},{row}" for row in GOOD for s in ("BTC/USD", "ETHUSD")]
    loaded = load_candles(write(tmp_path / "all.csv", *rows, header="symbol," + HEADER))
    assert {s: len(x.candles) for s, x in loaded.items()} == {"BTC/USD": 4, "ETH/USD": 4}


def test_a_bad_cell_of_the_symbol_column_is_named(tmp_path):
    rows = [f"{s},{row}" for s, row in zip(("BTC/USD", "<b>", "BTC/USD", "BTC/USD"), GOOD, strict=True)]
    text = error_of(write(tmp_path / "all.csv", *rows, header="symbol," + HEADER))
    assert "line 3: '<b>' is not a symbol" in text


def test_a_folder_gives_every_file_by_symbol_and_ignores_other_files(tmp_path):
    write(tmp_path / "ETH_USD.csv", *GOOD)
    write(tmp_path / "BTC_USD.CSV", *GOOD)
    (tmp_path / "README.md").write_text("not candles")
    (tmp_path / "._BTC_USD.csv").write_bytes(b"\x00\x05")
    assert list(load_candles(tmp_path)) == ["BTC/USD", "ETH/USD"]


def arrow_table(stamps: pa.Array, kind: pa.DataType) -> pa.Table:
    prices = pa.array([0.1, 4367.1], kind)
    return pa.table({"Date": stamps, **dict.fromkeys(("open", "high", "low", "close", "volume"), prices)})


@pytest.mark.parametrize("suffix", ["feather", "parquet"])
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("stamp", [pa.timestamp("ns", "UTC"), pa.timestamp("us"), pa.timestamp("s"), pa.int64()])
def test_arrow_files_give_the_shortest_decimal_of_each_float(tmp_path, suffix, kind, stamp):
    stamps = pa.array([START, START + MINUTE]).cast(pa.timestamp("ms")).cast(stamp if stamp != pa.int64() else "int64")
    path = tmp_path / f"BTC_USD.{suffix}"
    (feather.write_feather if suffix == "feather" else parquet.write_table)(arrow_table(stamps, kind), str(path))
    candles = load_candles(path)["BTC/USD"].candles
    assert [c.close for c in candles] == [Decimal("0.1"), Decimal("4367.1")]
    assert [c.opened_at for c in candles] == [START, START + MINUTE]


@given(st.floats(min_value=1e-9, max_value=1e9, allow_nan=False))
def test_a_float_of_a_parquet_file_is_its_repr(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("data") / "BTC_USD.parquet"
    column = pa.array([value, value])
    names = ("open", "high", "low", "close", "volume")
    parquet.write_table(pa.table({"time": [START, START + MINUTE], **dict.fromkeys(names, column)}), str(path))
    assert load_candles(path)["BTC/USD"].candles[0].close == Decimal(repr(value))


def test_missing_bars_are_counted_and_no_error(tmp_path):
    rows = [GOOD[0], GOOD[1], GOOD[3], "2017-10-01 04:00:00,11,12,9,10,1", "2017-10-01 04:30:00,11,12,9,10,1"]
    assert load_candles(write(tmp_path / "BTC_USD.csv", *rows))["BTC/USD"].gaps == 1 + 4


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "inf", "-Infinity", "sNaN", "eleven", "1,5"])
@pytest.mark.parametrize("column", range(1, 6))
def test_what_is_no_number_is_found_in_every_column(tmp_path, cell, column):
    cells = GOOD[1].split(",")
    cells[column] = f'"{cell}"'
    text = error_of(write(tmp_path / "BTC_USD.csv", GOOD[0], ",".join(cells), *GOOD[2:]))
    assert "BTC_USD.csv, line 3: a price or volume is empty or not a number" in text


def test_a_null_of_a_parquet_file_is_found_by_row(tmp_path):
    table = arrow_table(pa.array([START, START + MINUTE]), pa.float64())
    path = tmp_path / "BTC_USD.parquet"
    parquet.write_table(table.set_column(4, "close", pa.array([1.0, None])), str(path))
    assert "row 2: a price or volume is empty" in error_of(path)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("2017-10-01 00:30:00,0,12,0,10,7", "a price is not above zero"),
        ("2017-10-01 00:30:00,11,12,-1,10,7", "a price is not above zero"),
        ("2017-10-01 00:30:00,11,12,9.5,10,-7", "a volume is negative"),
        ("2017-10-01 00:30:00,11,9,12,10,7", "open or close lies outside low to high"),
        ("2017-10-01 00:30:00,13,12,9.5,10,7", "open or close lies outside low to high"),
        ("2017-10-01 00:30:00,11,12,9.5,9,7", "open or close lies outside low to high"),
        ("yesterday,11,12,9.5,10,7", "'yesterday' is not a time"),
        ("30,11,12,9.5,10,7", "'30' is not a time"),
        ("2017-10-01 00:30:00,11,12,9.5,10", "5 fields where the header has 6"),
        ("2017-10-01 00:00:00,11,12,9.5,10,7", "the stamp of the bar before is there again"),
        ("2017-09-30 00:00:00,11,12,9.5,10,7", "a bar is older than the bar before it"),
        ("2017-10-01 00:45:00,11,12,9.5,10,7", "mixed bar lengths: 45 minutes here, 30 minutes in most of the file"),
    ],
)
def test_a_bad_bar_is_named_by_its_line(tmp_path, row, what):
    path = write(tmp_path / "BTC_USD.csv", GOOD[0], row, *GOOD[2:], "2017-10-01 02:00:00,11.5,12,9.5,11,3")
    text = error_of(path)
    assert text.startswith(f"{path}, line 3: ")
    assert what in text


def test_the_first_few_lines_and_the_count_are_named_and_blank_lines_counted(tmp_path):
    bad = [f"2017-10-01 0{h}:00:00,nan,12,9,10,1" for h in range(2, 8)]
    text = error_of(write(tmp_path / "BTC_USD.csv", *GOOD[:2], "", *GOOD[2:], *bad))
    assert "lines 7, 8, 9, ... (6 in all): a price or volume is empty or not a number" in text


def test_every_kind_of_finding_of_every_file_is_told(tmp_path):
    write(tmp_path / "BTC_USD.csv", "never,1,1,1,1,1", "2017-10-01,nan,1,1,1,1", "2017-10-02,1,1,2,1,1")
    write(tmp_path / "ETH_USD.csv", GOOD[1], GOOD[0])
    with pytest.raises(DataError) as caught:
        load_candles(tmp_path)
    assert [Path(f.where.split(",")[0]).name for f in caught.value.findings] == ["BTC_USD.csv"] * 3 + ["ETH_USD.csv"]


def test_a_file_sorted_newest_first_is_told_so(tmp_path):
    assert "sorted newest first" in error_of(write(tmp_path / "BTC_USD.csv", *reversed(GOOD)))


def test_a_file_that_changes_to_longer_bars_is_no_series_of_gaps(tmp_path):
    stamps = [START + i * MINUTE for i in range(100)] + [START + (100 + 5 * i) * MINUTE for i in range(40)]
    text = error_of(write(tmp_path / "BTC_USD.csv", *(f"{stamp},1,1,1,1,1" for stamp in stamps)))
    assert "line 103: mixed bar lengths: 5 minutes here, 1 minutes in most of the file" in text


def test_files_of_different_bar_lengths_do_not_trade_together(tmp_path):
    write(tmp_path / "BTC_USD.csv", *GOOD)
    write(tmp_path / "ETH_USD.csv", "2017-10-01,1,1,1,1,1", "2017-10-02,1,1,1,1,1")
    assert "mixed bar lengths: 30 minutes in BTC_USD.csv, 1440 minutes in ETH_USD.csv" in error_of(tmp_path)


def test_one_market_in_two_files_is_refused(tmp_path):
    write(tmp_path / "BTC_USD.csv", *GOOD)
    write(tmp_path / "BTCUSD.csv", *GOOD)
    assert "BTC/USD is in BTCUSD.csv as well" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("date,open,high,low,volume,x", "no column for close; the columns are 'date', 'open'"),
        ("a,b,c,d,e,f", "no column for time, open, high, low, close, volume"),
        ("date,open,high,low,close,close", "column 'close' is there more than once"),
    ],
)
def test_wrong_columns_name_the_header(tmp_path, header, what):
    text = error_of(write(tmp_path / "BTC_USD.csv", *GOOD, header=header))
    assert "the header (line 1): " + what in text


def test_markets_side_by_side_in_one_file_are_refused(tmp_path):
    names = [f"{coin}.{column}" for coin in ("BTC", "ETH") for column in ("open", "high", "low", "close", "volume")]
    text = error_of(write(tmp_path / "BTC_USD.csv", "2017-10-01" + ",1" * 10, header="date," + ",".join(names)))
    assert "several markets stand side by side ('btc.open', 'eth.open')" in text


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("BTC_USD.csv", b"", "holds no bars"),
        ("BTC_USD.csv", HEADER.encode(), "holds no bars"),
        ("BTC_USD.csv", b"PK\x03\x04\xff\xfe", "not CSV text in UTF-8"),
        ("BTC_USD.csv", HEADER.encode() + b'\n"unclosed', "not CSV text in UTF-8"),
        ("BTC_USD.parquet", b"", "not a parquet file, or it is damaged"),
        ("BTC_USD.parquet", b"PAR1 cut off", "not a parquet file, or it is damaged"),
        ("BTC_USD.feather", b"FEA1", "not a feather file, or it is damaged"),
        ("BTC_USD.xlsx", b"", "neither a file of candles (.csv, .feather, .parquet) nor a folder of them"),
        ("BTC_USD.csv", f"{HEADER}\n{GOOD[0]}\n".encode(), "there is only one bar"),
    ],
)
def test_a_file_that_is_no_candle_file_is_refused(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_bytes(content)
    text = error_of(path)
    assert text.startswith(str(path))
    assert what in text


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path):
    assert "there is no such file or folder" in error_of(tmp_path / "BTC_USD.csv")
    assert "holds no file of candles" in error_of(tmp_path)


def test_a_folder_named_like_a_file_inside_a_folder_is_refused(tmp_path):
    (tmp_path / "BTC_USD.csv").mkdir()
    assert "cannot be read: Is a directory" in error_of(tmp_path)


def test_a_file_without_a_header_is_told_what_it_lacks(tmp_path):
    rows = [f"{START + number * MINUTE},1,3,0.5,2,9,{START + (number + 1) * MINUTE},0,0" for number in range(3)]
    path = tmp_path / "BTCUSDT.csv"
    path.write_text("\n".join(rows) + "\n")
    assert f"the header (line 1): it holds numbers instead of names: '{START}', '1'" in error_of(path)


@pytest.mark.parametrize("text", ["100,25", "1 000", "", "n/a"])
def test_a_price_that_is_no_number_is_shown_as_it_is_written(tmp_path, text):
    path = write(tmp_path / "BTC_USD.csv", *GOOD, f'2017-10-01 02:00:00,"{text}",12,9.5,11.5,3')
    assert f"(open {text!r}, high '12'" in error_of(path)
