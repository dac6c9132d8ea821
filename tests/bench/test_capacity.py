"""The page about capacity shows what follows from the results that are committed."""

from pathlib import Path

from bench.capacity import Fleet, needs, read_results, table

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"


def test_the_table_is_what_the_results_give() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition("<!-- the table begins -->\n")[2].partition("\n<!-- the table ends -->")[0]
    assert shown == table(needs(Fleet(), read_results()))


def test_twice_the_fleet_needs_twice_as_much() -> None:
    results = read_results()
    one, two = ({what: much for what, much, _ in needs(Fleet(instances=n), results)} for n in (10**6, 2 * 10**6))
    number = "transitions a second, all day"
    assert abs(int(two[number].replace(",", "")) - 2 * int(one[number].replace(",", ""))) <= 1
