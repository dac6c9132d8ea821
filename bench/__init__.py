"""How fast it is, against what the same work costs otherwise: `make bench`.

Each module here that has `measure(scale: str)` measures one thing and returns what can be written as JSON:

    rows       what was measured: mappings of the same keys. A row with "case" (what), "value" (how much) and "unit" is
               a bar in the chart of its "group"; `"ours": True` marks our own. Without them the rows are a table.
    ratios     by name {"value": x, "at_least" or "at_most": limit, "why": what the limit rests on}. A ratio outside its
               limit is behind, and the run fails; times are never judged.
    versions   of what it was compared with, by name (may be left out)

`scale` is "full" for figures to be published, or "ci": seconds instead of minutes, without other people's packages, and
with limits that hold on a loaded machine. What is compared is measured in turns, so that what else the machine does
hits all alike. `CannotMeasure` says that this machine lacks what a module needs.
"""
