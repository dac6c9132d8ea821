"""What an API key may do, by the exchange's own word; nothing is tried out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec


class KeyRights(msgspec.Struct, frozen=True):
    """None stands for what the exchange does not tell, or was not asked here."""

    may_trade: bool | None = None
    may_withdraw: bool | None = None
    is_bound: bool | None = None
    """To addresses from which alone it can be used."""
    burns_token: bool | None = None
    """Fees are taken in the exchange's own coin."""


async def read_rights(client: Any, name: str, *, is_real: bool) -> KeyRights:
    """Ask the exchange.

    Args:
        client: ccxt's, for the exchange `name`.
        is_real: whether it is the exchange itself: test networks and venues have fewer endpoints.
    """
    reader = _READERS.get(name)
    return KeyRights() if reader is None else await reader(client, is_real)


async def _binance(client: Any, is_real: bool) -> KeyRights:
    """GET account says what the account may do; account/apiRestrictions what the key may, and bnbBurn who pays fees:
    https://developers.binance.com/docs/wallet/account/api-key-permission"""
    account = await client.fetch_balance()
    of_account = _flag(account.get("info"), "canTrade")
    if not is_real:
        return KeyRights(of_account)
    key = await client.sapi_get_account_apirestrictions()
    try:
        burn = await client.sapi_get_bnbburn()
    except Exception:
        # Some accounts may not ask; what the key may do is known all the same.
        burn = None
    of_key = _flag(key, "enableSpotAndMarginTrading")
    may_trade = of_key if of_account is not False else False
    return KeyRights(may_trade, _flag(key, "enableWithdrawals"), _flag(key, "ipRestrict"), _flag(burn, "spotBNBBurn"))


async def _okx(client: Any, is_real: bool) -> KeyRights:
    """account/config: `perm` lists read_only, trade and withdraw, `ip` the addresses:
    https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-account-configuration"""
    rows = (await client.private_get_account_config()).get("data")
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    perm, address = row.get("perm"), row.get("ip")
    listed = perm.split(",") if isinstance(perm, str) and perm else None
    return KeyRights(
        None if listed is None else "trade" in listed,
        None if listed is None else "withdraw" in listed,
        bool(address) if isinstance(address, str) else None,
    )


async def _bybit(client: Any, is_real: bool) -> KeyRights:
    """user/query-api: https://bybit-exchange.github.io/docs/v5/user/apikey-info"""
    key = (await client.private_get_v5_user_query_api()).get("result")
    permissions = key.get("permissions") if isinstance(key, dict) else None
    if not isinstance(key, dict) or not isinstance(permissions, dict) or key.get("readOnly") not in (0, 1):
        return KeyRights()
    addresses = key.get("ips")
    return KeyRights(
        key["readOnly"] == 0 and "SpotTrade" in (permissions.get("Spot") or ()),
        "Withdraw" in (permissions.get("Wallet") or ()),
        bool(addresses) and "*" not in addresses if isinstance(addresses, list) else None,
    )


def _flag(said: Any, name: str) -> bool | None:
    value = said.get(name) if isinstance(said, Mapping) else None
    return value if isinstance(value, bool) else None


_READERS: dict[str, Callable[[Any, bool], Awaitable[KeyRights]]] = {
    "binance": _binance,
    "okx": _okx,
    "bybit": _bybit,
}
