"""The charts of the report, as HTML fragments that need plotly.js on the page. Here, and only here, money becomes
floats: for pixels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any

from engine.market_data.candles import Candle
from engine.report.figures import RunFigures, falls, monthly_profit
from engine.report.thinning import outline

INK, MUTED, GRID = "#1f2933", "#66717f", "#e6eaef"
BLUE, GREEN, RED, AMBER = "#2457a6", "#15803d", "#c2261d", "#b45309"
EQUITY_POINTS = 6_000
# Over all symbols, so that the page stays small however many are traded.
PRICE_POINTS = 30_000
MARKED_TRADES = 15_000
FEW_MONTHS = 6
DAY = 86_400_000


def equity_chart(figures: RunFigures) -> str:
    """Equity above, its distance below the highest so far beneath it."""
    from plotly.subplots import make_subplots

    values = [value for _, value in figures.equity]
    below = falls(values)
    keep = outline(values, EQUITY_POINTS)
    at = [figures.equity[i][0] for i in keep]
    quote = escape(figures.quote)
    chart = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.06)
    chart.add_scatter(
        x=at,
        y=[float(values[i]) for i in keep],
        mode="lines",
        line={"color": BLUE, "width": 1.5},
        hovertemplate=f"%{{y:,.2f}} {quote}<extra>equity</extra>",
        row=1,
        col=1,
    )
    chart.add_scatter(
        x=at,
        y=[-float(below[i]) for i in keep],
        mode="lines",
        line={"color": RED, "width": 1},
        fill="tozeroy",
        fillcolor="rgba(194,38,29,0.15)",
        hovertemplate=f"%{{y:,.2f}} {quote}<extra>below the high</extra>",
        row=2,
        col=1,
    )
    chart.update_xaxes(range=_range(figures))
    chart.update_yaxes(title_text=f"Equity ({quote})", row=1, col=1)
    chart.update_yaxes(title_text="Drawdown", rangemode="tozero", row=2, col=1)
    return _fragment(chart, "chart-equity", 420)


def monthly_chart(figures: RunFigures) -> str:
    """Realised profit of each month as a bar."""
    from plotly.graph_objects import Figure

    profit = monthly_profit(figures.round_trips)
    quote = escape(figures.quote)
    chart = Figure()
    chart.add_bar(
        x=[f"{month}-01" for month in profit],
        y=[float(value) for value in profit.values()],
        marker_color=[GREEN if value >= 0 else RED for value in profit.values()],
        hovertemplate=f"%{{x|%b %Y}}: %{{y:,.2f}} {quote}<extra></extra>",
    )
    chart.update_layout(bargap=0.25, hovermode="closest")
    if len(profit) <= FEW_MONTHS:
        # Left to itself, plotly labels days of so few months, and a single bar fills the chart.
        chart.update_traces(width=18 * DAY)
        chart.update_xaxes(dtick="M1", ticklabelmode="instant", range=_around(list(profit)))
    chart.update_xaxes(tickformat="%b\n%Y")
    chart.update_yaxes(title_text=f"Realised ({quote})", zeroline=True, zerolinecolor=MUTED, zerolinewidth=1)
    return _fragment(chart, "chart-months", 260)


def price_chart(figures: RunFigures, number: int, symbol: str) -> tuple[str, int]:
    """The closes of a symbol with its entries and exits; and of how many trades one is marked (1: all are)."""
    from plotly.graph_objects import Figure

    count = max(len(figures.symbols), 1)
    candles = figures.candles.get(symbol, ())
    trips = sorted((trip for trip in figures.round_trips if trip.symbol == symbol), key=lambda trip: trip.opened_at)
    every = -(-len(trips) // max(MARKED_TRADES // count, 1)) or 1
    trips = trips[::every]
    chart = Figure()
    chart.add_scatter(
        **_line(candles, max(PRICE_POINTS // count, 4)),
        mode="lines",
        line={"color": "#8794a5", "width": 1},
        hovertemplate="%{y}<extra>close</extra>",
    )
    won = [trip for trip in trips if trip.realised > 0]
    lost = [trip for trip in trips if trip.realised <= 0]
    chart.add_scatter(
        x=[trip.opened_at for trip in trips],
        y=[float(trip.entry_price) for trip in trips],
        customdata=[str(trip.qty) for trip in trips],
        hovertemplate="%{x|%Y-%m-%d %H:%M}<br>%{customdata} at %{y}<extra>entry</extra>",
        **_markers("triangle-up", BLUE),
    )
    for kind, own, colour in (("profit", won, GREEN), ("loss", lost, RED)):
        chart.add_scatter(
            x=[trip.closed_at for trip in own],
            y=[float(trip.exit_price) for trip in own],
            customdata=[f"{trip.realised:+,.2f} {escape(figures.quote)}, {escape(trip.reason)}" for trip in own],
            hovertemplate=f"%{{x|%Y-%m-%d %H:%M}}<br>%{{customdata}} at %{{y}}<extra>exit, {kind}</extra>",
            **_markers("triangle-down", colour),
        )
    chart.update_layout(hovermode="closest")
    chart.update_yaxes(title_text=f"{escape(symbol)} (log)", type="log", **_ticks(candles))
    chart.update_xaxes(range=_range(figures))
    return _fragment(chart, f"chart-price-{number}", 320), every


def _around(months: Sequence[str]) -> list[int]:
    """A time axis (in milliseconds) that has room for FEW_MONTHS, the months in its middle."""
    first, last = (
        int(datetime.fromisoformat(f"{month}-01T00:00:00+00:00").timestamp()) * 1000
        for month in (months[0], months[-1])
    )
    room = (FEW_MONTHS * 31 * DAY - (last - first)) // 2
    return [first - room, last + room]


def _ticks(candles: Sequence[Candle]) -> dict[str, Any]:
    """Round prices, as dense as they need to be: plotly's own labels of a logarithmic axis leave out the power of
    ten."""
    if not candles:
        return {}
    low, high = min(candle.close for candle in candles), max(candle.close for candle in candles)
    if low == high:
        return {"tickvals": [float(low)], "ticktext": [f"{low:,f}"]}
    for digits in (("1",), ("1", "2", "5"), ("1", "1.5", "2", "3", "4", "5", "7")):
        values = [Decimal(d).scaleb(power) for power in range(low.adjusted(), high.adjusted() + 1) for d in digits]
        values = [value for value in values if low <= value <= high]
        if len(values) >= 4:
            break
    if len(values) < 2:
        return {}
    return {"tickvals": [float(value) for value in values], "ticktext": [f"{value:,f}" for value in values]}


def _range(figures: RunFigures) -> list[int] | None:
    """The time that all charts have in common, so that they can be read one under the other."""
    instants = [at for at, _ in (*figures.equity[:1], *figures.equity[-1:])]
    instants += [bar.opened_at for bars in figures.candles.values() for bar in (*bars[:1], *bars[-1:])]
    return [min(instants), max(instants)] if instants else None


def _line(candles: Sequence[Candle], limit: int) -> dict[str, Any]:
    closes = [candle.close for candle in candles]
    keep = outline(closes, limit)
    return {"x": [candles[i].opened_at for i in keep], "y": [float(closes[i]) for i in keep]}


def _markers(shape: str, colour: str) -> dict[str, Any]:
    return {
        "mode": "markers",
        "marker": {"symbol": shape, "size": 7, "color": colour, "line": {"color": "white", "width": 0.5}},
    }


def _fragment(chart: Any, name: str, height: int) -> str:
    chart.update_layout(
        template="none",
        height=height,
        margin={"l": 72, "r": 16, "t": 8, "b": 36},
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", "size": 12, "color": INK},
        showlegend=False,
        hoverlabel={"bgcolor": "white", "bordercolor": GRID, "font": {"color": INK}},
        separators=".,",
    )
    if chart.layout.hovermode is None:
        chart.update_layout(hovermode="x unified")
    chart.update_xaxes(type="date", gridcolor=GRID, linecolor=GRID, zeroline=False)
    chart.update_yaxes(gridcolor=GRID, linecolor=GRID, zeroline=chart.layout.yaxis.zeroline or False, tickformat=",")
    html: str = chart.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        default_height=f"{height}px",
        config={"displayModeBar": False, "responsive": True},
    )
    return html
