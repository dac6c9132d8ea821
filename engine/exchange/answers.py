"""What an exchange's answer says, read from its raw body: each exchange has a form of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def complaint(body: str) -> tuple[str | None, str]:
    """The exchange's code and text in an answer that is a refusal, each its own way."""
    try:
        said = json.loads(body)
    except ValueError:
        return None, ""
    if not isinstance(said, dict):
        return None, ""
    if isinstance(said.get("error"), list):
        text = str(said["error"][0]) if said["error"] else ""
        return text or None, text
    row = next(iter(said["data"]), None) if isinstance(said.get("data"), list) else None
    if isinstance(row, dict) and row.get("sCode", "0") != "0":
        return str(row["sCode"]), str(row.get("sMsg", ""))
    code = said.get("code", said.get("retCode"))
    if code is None or str(code).strip("0") == "":
        return None, ""
    return str(code), str(said.get("msg", said.get("retMsg", "")))


def _list_of_okx(said: Any) -> bool:
    return isinstance(said, dict) and said.get("code") == "0" and isinstance(said.get("data"), list)


def _list_of_bybit(said: Any) -> bool:
    if not isinstance(said, dict) or said.get("retCode") != 0 or not isinstance(said.get("result"), dict):
        return False
    return isinstance(said["result"].get("list"), list)


def _list_of_kraken(said: Any) -> bool:
    if not isinstance(said, dict) or said.get("error") != [] or not isinstance(said.get("result"), dict):
        return False
    return any(isinstance(said["result"].get(name), dict) for name in ("open", "closed"))


_LISTS: dict[str, Callable[[Any], bool]] = {
    "binance": lambda said: isinstance(said, list),
    "okx": _list_of_okx,
    "bybit": _list_of_bybit,
    "kraken": _list_of_kraken,
}


def holds_list(exchange: str, body: str) -> bool:
    """Whether the answer holds a list in the exchange's own form, be it an empty one."""
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return exchange in _LISTS and _LISTS[exchange](said)


def retry_after(headers: Mapping[str, str]) -> int | None:
    """The pause that the exchange asks for, in milliseconds."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return int(value) * 1_000 if value.isdecimal() and len(value) <= 7 else None
