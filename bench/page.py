"""The results as one page that needs nothing but a browser."""

from __future__ import annotations

import json
from collections import defaultdict
from html import escape
from pathlib import Path
from typing import Any

from bench.measuring import is_behind
from engine.report.charts import BLUE, GRID, INK, MUTED
from engine.report.style import STYLE

_PEER = "#a8b3c0"
_BAR, _MARGINS = 30, 90
_WIDE_RANGE = 30
"""The slowest by the fastest of a chart, beyond which its axis is logarithmic."""

_OWN_STYLE = """
td, th { white-space: normal; }
.limit { color: var(--muted); }
"""


def write_page(folder: Path) -> Path:
    """Draw every result in `folder` into its index.html."""
    from plotly.offline import get_plotlyjs

    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    target = folder / "index.html"
    target.write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Phasewright: benchmarks</title>\n<style>{STYLE}{_OWN_STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n<main>\n"
        "<header><h1>Benchmarks</h1><p>What is compared was measured in turns. Ours is blue.</p></header>\n"
        f"{''.join(map(_section, results))}</main>\n</body>\n</html>\n",
        encoding="utf-8",
    )
    return target


def _section(result: dict[str, Any]) -> str:
    name = escape(result["name"])
    return (
        f'<section id="{name}"><h2>{name.replace("_", " ").capitalize()}</h2>\n{_ratios(result["ratios"])}'
        f"{_rows(result['name'], result['rows'])}{_machine(result)}</section>\n"
    )


def _ratios(ratios: dict[str, dict[str, Any]]) -> str:
    lines = []
    for name, ratio in ratios.items():
        limit = f"≥ {ratio['at_least']:g}" if "at_least" in ratio else f"≤ {ratio['at_most']:g}"
        look, word = ("lost", "behind") if is_behind(ratio) else ("won", "ok")
        lines.append(
            f'<tr><th scope="row">{escape(name)}</th><td>{ratio["value"]:,.2f}</td><td class="limit">{limit}</td>'
            f'<td class="{look}">{word}</td><td class="text">{escape(ratio["why"])}</td></tr>\n'
        )
    head = '<tr><th>Ratio</th><th>Found</th><th>Limit</th><th></th><th class="text">Why</th></tr>'
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>\n'


def _rows(name: str, rows: list[dict[str, Any]]) -> str:
    charts: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    others = []
    for row in rows:
        if "case" in row and isinstance(row.get("value"), int | float):
            charts[row.get("group", ""), row.get("unit", "")].append(row)
        else:
            others.append(row)
    grown: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in others:
        if "size" in row:
            grown[row["what"]].append(row)
    drawn = [_growth(f"{name}-growth-{n}", what, sizes) for n, (what, sizes) in enumerate(grown.items())]
    drawn += [_chart(f"{name}-{n}", *key, bars) for n, (key, bars) in enumerate(charts.items())]
    kinds = defaultdict(list)
    for row in others:
        kinds[row.get("what") if "size" in row else ""].append(row)
    return "".join([*drawn, *map(_table, kinds.values())])


def _chart(chart_id: str, group: str, unit: str, bars: list[dict[str, Any]]) -> str:
    from plotly.graph_objects import Figure

    values = [bar["value"] for bar in bars]
    chart = Figure()
    chart.add_bar(
        x=values,
        y=[bar["case"] for bar in bars],
        orientation="h",
        marker_color=[BLUE if bar.get("ours") else _PEER for bar in bars],
        text=[f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in values],
        textposition="outside",
        cliponaxis=False,
        hovertext=[_hover(bar) for bar in bars],
        hoverinfo="text",
    )
    wide = min(values) > 0 and max(values) / min(values) > _WIDE_RANGE
    chart.update_layout(
        title={"text": escape(group), "font": {"size": 15}, "x": 0, "xref": "paper"},
        height=_MARGINS + _BAR * len(bars),
        margin={"l": 8, "r": 90, "t": 36 if group else 8, "b": 46},
        font={"color": INK, "size": 13},
        plot_bgcolor="#fff",
        bargap=0.3,
    )
    title = f"{unit}, logarithmic" if wide else unit
    chart.update_xaxes(
        title={"text": title, "font": {"color": MUTED}}, gridcolor=GRID, type="log" if wide else "linear"
    )
    if wide:
        chart.update_xaxes(dtick=1)
    else:
        chart.update_xaxes(rangemode="tozero")
    chart.update_yaxes(autorange="reversed", automargin=True)
    config = {"displaylogo": False, "responsive": True, "displayModeBar": False}
    return str(chart.to_html(full_html=False, include_plotlyjs=False, div_id=chart_id, config=config)) + "\n"


def _growth(chart_id: str, what: str, rows: list[dict[str, Any]]) -> str:
    """Seconds by size, both axes logarithmic: what grows as its size does runs along the dotted line."""
    from plotly.graph_objects import Figure

    chart = Figure()
    sizes = [row["size"] for row in rows]
    columns = [key for key in rows[-1] if key.endswith("_s") and not key.endswith("_cpu_s")]
    for key in columns:
        chart.add_scatter(x=sizes, y=[row[key] for row in rows], name=key[:-2].replace("_", " "), mode="lines+markers")
    slope = max(row[key] for row in rows[-1:] for key in columns) / sizes[-1]
    chart.add_scatter(
        x=sizes,
        y=[size * slope for size in sizes],
        name="in proportion",
        mode="lines",
        line={"dash": "dot", "color": _PEER},
    )
    chart.update_layout(
        title={"text": escape(what.capitalize()), "font": {"size": 15}, "x": 0, "xref": "paper"},
        height=320,
        margin={"l": 60, "r": 20, "t": 36, "b": 46},
        font={"color": INK, "size": 13},
        plot_bgcolor="#fff",
    )
    chart.update_xaxes(title={"text": "how many", "font": {"color": MUTED}}, gridcolor=GRID, type="log")
    chart.update_yaxes(title={"text": "seconds", "font": {"color": MUTED}}, gridcolor=GRID, type="log")
    config = {"displaylogo": False, "responsive": True, "displayModeBar": False}
    return str(chart.to_html(full_html=False, include_plotlyjs=False, div_id=chart_id, config=config)) + "\n"


def _hover(bar: dict[str, Any]) -> str:
    shown = (f"{key}: {_shown(value)}" for key, value in bar.items() if key not in ("group", "ours"))
    return "<br>".join(map(escape, shown))


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_shown(row.get(column, '')))}</td>" for column in columns) + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:,.4g}"
    return str(value)


def _machine(result: dict[str, Any]) -> str:
    facts = {**result["machine"], **result.get("versions", {})}
    facts |= facts.pop("packages", {})
    listed = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items() if value != "")
    return f'<p class="hint">{escape(listed)}</p>\n'
