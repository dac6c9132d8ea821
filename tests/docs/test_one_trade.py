"""The page about one trade shows what passes between the bot and a venue."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

from one_trade import KEYS, PAGE, blocks_of, happened, rewritten


def test_the_page_shows_what_happens(tmp_path: Path) -> None:
    page, texts = PAGE.read_text(encoding="utf-8"), happened(tmp_path)
    assert len(blocks_of(page)) == len(texts), "the page has other blocks than tests/docs/one_trade.py fills"
    shown, true = page.splitlines(keepends=True), rewritten(page, texts).splitlines(keepends=True)
    difference = "".join(unified_diff(shown, true, "the page", "what happens"))
    assert not difference, f"\n{difference}\nIf that is meant: python tests/docs/one_trade.py rewrites the page."


def test_no_key_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert KEYS.api_key not in page
    assert KEYS.secret not in page
