import json
import re
from decimal import Decimal
from html.parser import HTMLParser

import msgspec
import pytest

from engine.market_data.candles import Candle
from engine.report.charts import monthly_chart, price_chart
from engine.report.figures import RoundTrip, RunFigures
from engine.report.page import render, write_report

START = 1_506_816_000_000
BAR = 1_800_000
HOSTILE = "<script>alert('x')</script>&\"</svg>"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg"><g id="edge-A-GO" class="edge"><title>A-&gt;B</title>'
    '<path stroke="#000" d="M0,0C1,1 2,2 3,3"/><text x="1" y="1">GO</text></g></svg>'
)


def bars(count: int) -> tuple[Candle, ...]:
    prices = [Decimal(100 + i % 7) for i in range(count)]
    return tuple(Candle(START + i * BAR, p, p, p, p, Decimal(1), BAR) for i, p in enumerate(prices))


def trips(symbol: str, count: int = 2, reason: str = "take_profit") -> list[RoundTrip]:
    price = Decimal(100)
    return [
        RoundTrip(
            symbol,
            START + i * BAR,
            START + i * BAR + 1,
            price,
            price + 1,
            Decimal(1),
            Decimal("1234.5"),
            Decimal("0.25"),
            reason,
        )
        for i in range(count)
    ]


def figures(symbol: str = "BTC/USD", count: int = 50, trades: int = 2, **others) -> RunFigures:
    given = {
        "title": "A run",
        "quote": "USD",
        "symbols": (symbol,),
        "equity": [(START + i * BAR, Decimal(1000 + i % 11)) for i in range(count)],
        "round_trips": trips(symbol, trades),
        "candles": {symbol: bars(count)},
        "diagram": SVG,
        "edge_counts": {"edge-A-GO": 7},
        "notes": ("Paper money.",),
    }
    return RunFigures(**given | others)


class Page(HTMLParser):
    """Tags and attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data


def test_the_page_shows_every_part():
    page = Page(render(figures()))
    for part in ("A run", "2017-10-01 to 2017-10-02 UTC", "BTC/USD price and trades", "+2,469.00", "100.0 %", "0.50"):
        assert part in page.text, part
    assert "1 of 1 edges were taken" in page.text
    assert "GO×7" in page.text
    assert "Paper money." in page.text
    text = render(figures())
    for chart in ("chart-equity", "chart-months", "chart-price-0"):
        assert f'id="{chart}"' in text


def test_the_page_needs_no_network():
    page = Page(render(figures()))
    assert page.addresses == []
    assert "link" not in page.tags


def test_names_from_the_data_never_become_markup():
    hostile = figures(
        HOSTILE, title=HOSTILE, quote=HOSTILE, notes=(HOSTILE,), round_trips=trips(HOSTILE, reason=HOSTILE)
    )
    text, tame = render(hostile), render(figures())
    assert "<script>alert" not in text
    assert Page(text).tags == Page(tame).tags
    assert Page(text).text.count(HOSTILE) >= 4


def test_the_same_figures_give_the_same_page():
    assert render(figures()) == render(figures())


def test_a_run_without_trades_has_a_page():
    page = Page(render(figures(trades=0, diagram="")))
    assert "–" in page.text
    assert "Profit by month" not in page.text
    assert "What the machine did" not in page.text


def test_a_run_that_has_not_begun_has_a_page():
    empty = RunFigures(title="Nothing", quote="USD", symbols=(), equity=(), round_trips=(), candles={})
    assert "Nothing" in Page(render(empty)).text


def test_small_amounts_are_not_rounded_away():
    small = [RoundTrip("ETH/BTC", START, START + 1, *[Decimal(1)] * 3, Decimal("0.00012"), Decimal(0), "stop_loss")]
    assert "+0.00012000" in Page(render(figures("ETH/BTC", quote="BTC", round_trips=small, equity=()))).text


def test_a_long_run_of_many_trades_stays_small(tmp_path):
    path = tmp_path / "out" / "report.html"
    symbols = [f"C{i}/USD" for i in range(5)]
    candles = bars(35_000)
    write_report(
        path,
        figures(
            symbols=symbols,
            candles=dict.fromkeys(symbols, candles),
            round_trips=[trip for symbol in symbols for trip in trips(symbol, 9_000)],
            count=35_000,
        ),
    )
    assert 5_000_000 < path.stat().st_size < 15_000_000
    assert "One of every 3 trades is marked." in path.read_text()


def test_a_failed_report_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, figures())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not an SVG"):
        write_report(path, figures(diagram="<svg"))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_the_charts_hold_the_deepest_fall():
    equity = [(START + i * BAR, Decimal(10_000 - (9_000 if i == 7_777 else 0))) for i in range(20_000)]
    text = render(figures(equity=equity))
    assert re.search(r'"y":\[[^\]]*-9000\.0', text)


def test_one_symbol_is_no_plural():
    assert ">1 symbol<" in render(figures())
    assert ">2 symbols<" in render(figures(symbols=("BTC/USD", "ETH/USD")))


@pytest.mark.parametrize("months", [1, 5])
def test_the_axis_of_a_few_months_is_labelled_in_months(months):
    last = trips("BTC/USD", 1)[0]
    later = msgspec.structs.replace(last, closed_at=last.closed_at + (months - 1) * 31 * 48 * BAR)
    chart = monthly_chart(figures(round_trips=[last, later]))
    assert '"dtick":"M1"' in chart
    low, high = json.loads(re.search(r'"xaxis":.*?"range":(\[[^\]]+\])', chart)[1])
    assert low < START < later.closed_at < high


def test_the_axis_of_many_months_is_left_to_the_chart():
    last = trips("BTC/USD", 1)[0]
    later = msgspec.structs.replace(last, closed_at=last.closed_at + 300 * 48 * BAR)
    assert '"dtick":"M1"' not in monthly_chart(figures(round_trips=[last, later]))


def test_a_price_that_never_moves_has_one_label():
    flat = tuple(Candle(START + i * BAR, *[Decimal("0.25")] * 4, Decimal(1), BAR) for i in range(5))
    chart, _ = price_chart(figures(candles={"BTC/USD": flat}), 0, "BTC/USD")
    assert '"ticktext":["0.25"]' in chart
