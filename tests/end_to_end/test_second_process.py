"""Two bots on one database would trade against each other's decisions: the second is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from small_market import Variant, open_run, write_market

SECOND = """
import sys
from pathlib import Path
from small_market import Variant, open_run
try:
    open_run(Path(sys.argv[1]), Variant(), Path(sys.argv[2]))
except Exception as error:
    print(type(error).__name__, error)
"""


def second_process(market: Path, books: Path) -> str:
    command = [sys.executable, "-c", SECOND, str(market), str(books)]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout


def test_a_second_process_on_the_same_database_is_told_to_stay_away(tmp_path: Path) -> None:
    market, books = tmp_path / "market", tmp_path / "books"
    write_market(market, bars=20)
    first = open_run(market, Variant(), books)
    message = second_process(market, books)
    assert message.startswith("StoreError")
    assert f"{books / 'bot.db'}: another process is using this database" in message
    assert "--db" in message, "it says what to do"
    first.store.close()
    message = second_process(market, books)
    assert message.startswith("PaperExchangeError")
    assert "another process runs this paper exchange" in message
    first.exchange.close()
    assert second_process(market, books) == ""
