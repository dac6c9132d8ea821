"""The report: one HTML file that needs nothing else, neither network nor fonts, and prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from pathlib import Path

from engine.report.charts import equity_chart, monthly_chart, price_chart
from engine.report.diagram import annotate_svg, edges_taken
from engine.report.figures import RunFigures, SummaryRow, summarise
from engine.report.style import STYLE

KEY = (
    '<p class="key"><span class="entry">▲</span> entry <span class="won">▼</span> exit with profit '
    '<span class="lost">▼</span> exit with loss</p>'
)
ZOOM = '<p class="hint screen">In every chart: drag to zoom, double-click to see all again.</p>'


def write_report(path: Path, figures: RunFigures) -> None:
    """Write the report to `path`; a report that is there stays as it is until the new one is complete.

    Raises:
        OSError: the file cannot be written.
        ValueError: `figures.diagram` is not an SVG.
    """
    page = render(figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def render(figures: RunFigures) -> str:
    """The page as text; the same figures give the same bytes.

    Raises:
        ValueError: `figures.diagram` is not an SVG.
    """
    from plotly.offline import get_plotlyjs

    *rows, total = summarise(figures)
    money = _Money(figures.quote, [total, *rows])
    sections = [
        _section("Equity", equity_chart(figures) + ZOOM) if figures.equity else "",
        _section("By symbol", _table(rows, total, money)),
        _section("Profit by month", monthly_chart(figures)) if figures.round_trips else "",
        *(_price(figures, number, row.symbol) for number, row in enumerate(rows)),
        _diagram(figures),
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in figures.notes)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(figures.title)}</title>\n<style>{STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n<main>\n"
        f"<header>\n<h1>{escape(figures.title)}</h1>\n<p>{_period(figures)}</p>\n</header>\n"
        f"{_tiles(figures, total, money)}\n{''.join(sections)}\n"
        + (f'<section class="notes"><h2>Notes</h2><ul>{notes}</ul></section>\n' if notes else "")
        + "</main>\n</body>\n</html>\n"
    )


class _Money:
    """Amounts in quote currency, with as many decimals as the largest of them needs."""

    def __init__(self, quote: str, rows: Sequence[SummaryRow]) -> None:
        largest = max((abs(v) for row in rows for v in (row.realised, row.fees, row.max_drawdown)), default=Decimal(0))
        self.unit = escape(quote)
        self._places = 2 if largest >= 1 or not largest else 8

    def __call__(self, amount: Decimal) -> str:
        text = f"{amount:,.{self._places}f}"
        return text.replace("-", "\u2212")

    def signed(self, amount: Decimal) -> str:
        """The amount in the colour of its sign."""
        kind = "won" if amount > 0 else "lost" if amount < 0 else ""
        return f'<span class="{kind}">{"+" if amount > 0 else ""}{self(amount)}</span>'


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>\n"


def _tiles(figures: RunFigures, total: SummaryRow, money: _Money) -> str:
    tiles = [("Realised profit", money.signed(total.realised), f"{money.unit}, after fees")]
    if figures.equity:
        first, last = figures.equity[0][1], figures.equity[-1][1]
        tiles.append(("Final equity", money(last), f"{money.unit}, from {money(first)}"))
    tiles += [
        ("Max drawdown", money(total.max_drawdown), f"{money.unit}{_worst(figures, total.max_drawdown)}"),
        ("Trades", f"{total.trades:,}", _counted(len(figures.symbols), "symbol")),
        ("Win rate", _percent(total.win_rate), "of trades, after fees"),
        ("Fees", money(total.fees), money.unit),
    ]
    cells = (f"<div><dt>{name}</dt><dd>{value}</dd><dd>{detail}</dd></div>" for name, value, detail in tiles)
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def _worst(figures: RunFigures, drawdown: Decimal) -> str:
    highest = max((value for _, value in figures.equity), default=Decimal(0))
    return f", {drawdown / highest * 100:.1f} % of the highest equity" if highest > 0 else ""


def _table(rows: Iterable[SummaryRow], total: SummaryRow, money: _Money) -> str:
    head = ("Symbol", "Trades", "Win rate", "Realised profit", "Fees", "Max drawdown")
    lines = [f"<tr>{_cells(row, money)}</tr>" for row in rows]
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(f"<th>{name}</th>" for name in head)}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody><tfoot><tr>{_cells(total, money)}</tr></tfoot></table></div>"
        f'<p class="hint">Amounts in {money.unit}. Realised profit is after fees. Max drawdown: of a symbol, the '
        "deepest fall of its realised profit; in total, of the equity.</p>"
    )


def _cells(row: SummaryRow, money: _Money) -> str:
    values = (
        f"{row.trades:,}",
        _percent(row.win_rate),
        money.signed(row.realised),
        money(row.fees),
        money(row.max_drawdown),
    )
    return f'<th scope="row">{escape(row.symbol)}</th>' + "".join(f"<td>{value}</td>" for value in values)


def _price(figures: RunFigures, number: int, symbol: str) -> str:
    chart, every = price_chart(figures, number, symbol)
    thinned = f'<p class="hint">One of every {every} trades is marked.</p>' if every > 1 else ""
    return _section(f"{symbol} price and trades", KEY + chart + thinned)


def _diagram(figures: RunFigures) -> str:
    if not figures.diagram:
        return ""
    edges = edges_taken(figures.diagram, figures.edge_counts)
    taken = [edge for edge in edges if edge.count]
    lines = "".join(
        f'<tr><th scope="row">{escape(edge.source)} → {escape(edge.target)}</th>'
        f'<td class="text">{escape(edge.label)}</td><td>{edge.count:,}</td></tr>'
        for edge in taken
    )
    return (
        '<section class="diagram">\n<h2>What the machine did</h2>\n'
        f'<p class="hint">{len(taken)} of {len(edges)} edges were taken: the wider, the more often. Grey: never.</p>\n'
        '<input type="checkbox" id="full-size"><label for="full-size"> Full size</label>\n'
        f'<div class="scroll map">{annotate_svg(figures.diagram, figures.edge_counts)}</div>\n'
        f"<details><summary>The edges as a table</summary>"
        f'<div class="scroll"><table><thead><tr><th>Edge</th><th class="text">Label</th><th>Taken</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div></details>\n</section>\n"
    )


def _period(figures: RunFigures) -> str:
    instants = [at for at, _ in figures.equity[:1]] + [at for at, _ in figures.equity[-1:]]
    for candles in figures.candles.values():
        if candles:
            instants += candles[0].opened_at, candles[-1].closed_at
    bars = sum(map(len, figures.candles.values()))
    symbols = ", ".join(map(escape, figures.symbols))
    period = f"{_day(min(instants))} to {_day(max(instants))} UTC · " if instants else ""
    return f"{period}{symbols}" + (f" · {bars:,} bars" if bars else "")


def _day(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d")


def _percent(fraction: Decimal | None) -> str:
    return "\u2013" if fraction is None else f"{fraction * 100:.1f} %"
