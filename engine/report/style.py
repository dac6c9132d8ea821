"""The looks of the report."""

STYLE = """
:root { color-scheme: light; --ink: #1f2933; --muted: #5b6673; --line: #dfe4ea; --soft: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { margin: 0; font-size: 28px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 0 0 8px; font-size: 18px; line-height: 1.3; }
header p, .hint, .key { margin: 4px 0 0; color: var(--muted); }
.hint, .key { font-size: 13px; }
section { margin-top: 40px; }
.tiles { display: grid; grid-template-columns: repeat(6, 1fr); gap: 12px; margin: 24px 0 0; }
.tiles div { padding: 12px 14px; border: 1px solid var(--line); border-radius: 8px; background: var(--soft); }
.tiles dt { color: var(--muted); font-size: 13px; }
.tiles dd { margin: 0; color: var(--muted); font-size: 12px; }
.tiles dt + dd { color: var(--ink); font-size: 22px; font-weight: 600; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, .text { text-align: left; }
thead th { color: var(--muted); font-size: 13px; font-weight: 600; }
tbody th { font-weight: 500; }
tfoot th, tfoot td { border-top: 2px solid var(--ink); border-bottom: 0; font-weight: 600; }
.won { color: #15803d; }
.lost { color: #c2261d; }
.entry { color: #2457a6; }
.key span { margin-left: 14px; }
.key span:first-child { margin-left: 0; }
.diagram label { color: var(--muted); font-size: 13px; }
.map { margin-top: 12px; padding: 8px; border: 1px solid var(--line); border-radius: 8px; }
.map svg { display: block; width: 100%; height: auto; margin: 0 auto; }
#full-size:checked ~ .map svg { width: auto; max-width: none; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--muted); font-size: 13px; }
.notes li { margin: 2px 0; }
@media (max-width: 1000px) { .tiles { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 640px) {
  .tiles { grid-template-columns: repeat(2, 1fr); }
  main { padding: 20px 14px 40px; }
  th, td { padding: 6px 8px; }
}
@page { size: A4 landscape; margin: 10mm; }
@media print {
  /* The charts keep the width they have on the screen, so the page is shrunk to hold them. */
  main { max-width: none; padding: 0; zoom: 0.9; }
  section, .tiles div { break-inside: avoid; }
  .diagram input, .diagram label, .screen { display: none !important; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
