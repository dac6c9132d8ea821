"""How a bot that trades on an exchange is put together: from what was asked for, the environment, and a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from engine.ccxt_exchange import CcxtExchange, CcxtMarket
from engine.exchange.credentials import Credentials, load_credentials
from engine.live_account import (
    Account,
    AccountStore,
    Mode,
    choose_mode,
    environment_name,
    hash_of_key,
)
from engine.live_notices import Tell
from engine.live_run import LiveRun
from engine.live_settings import LiveSettings
from engine.settings import Settings
from generated.trading import KNOBS, Config
from runtime.clock import SystemClock
from runtime.config import load_config
from runtime.errors import ConfigError


class BotOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to trade and where, as a user writes it."""

    exchange: str
    symbols: tuple[str, ...]
    sandbox: bool = False
    live: bool = False
    url: str | None = None
    new_key: bool = False


class Plan(msgspec.Struct, frozen=True):
    """A bot that may be put together: everything was understood and allowed."""

    options: BotOptions
    settings: Settings
    live: LiveSettings
    config: Config
    account: Account
    credentials: Credentials

    def opening(self, look: str) -> str:
        """What a bot says when it starts; `look` is the command that shows it."""
        where = f" at {self.options.url}" if self.options.url else ""
        money = "REAL MONEY" if self.account.mode is Mode.REAL else self.account.mode.value
        return (
            f"trading {', '.join(self.options.symbols)} on {self.account.exchange}, {money}{where}: bars of "
            f"{self.live.timeframe}, at most {_trades(self.settings.max_slots)} at once. Look at it with `{look}`"
        )


def plan_bot(options: BotOptions, environment: Mapping[str, str], credentials: Credentials | None = None) -> Plan:
    """Check what was asked for. Nothing is opened and nobody is asked.

    Args:
        credentials: by default those that the environment or the keyring has for this exchange.

    Raises:
        ConfigError, TradeError: the message says what to set.
    """
    settings = Settings.from_environment(environment)
    live = LiveSettings.from_environment(environment)
    config = load_config(Config, KNOBS, environment)
    mode = choose_mode(
        options.exchange,
        live=options.live,
        sandbox=options.sandbox,
        url=options.url,
        confirmation=live.confirmation,
    )
    if not settings.snapshots:
        raise ConfigError(
            "FSM_SNAPSHOT_ENABLED is false: without a database a restart would forget its orders and what it holds. "
            "On an exchange the bot always keeps one; unset the variable."
        )
    if not options.symbols:
        raise ConfigError("Say what to trade: --symbol BTC/USDT, once for each symbol.")
    unnamed = Account(options.exchange, mode, "", options.url or "")
    if credentials is None:
        credentials = load_credentials(options.exchange, environment_name(unnamed), environment)
    account = msgspec.structs.replace(unnamed, key=hash_of_key(options.exchange, credentials.api_key))
    return Plan(options, settings, live, config, account, credentials)


def open_bot(
    plan: Plan,
    store: AccountStore,
    tell: Tell,
    may_send: Callable[[], bool] = lambda: True,
    market: CcxtMarket | None = None,
) -> LiveRun:
    """The bot on its store, which is the account's. It closes the store when it is closed.

    Args:
        market: what it shares with other bots of this process on the same exchange.
    """
    clock = SystemClock()
    exchange = CcxtExchange(
        plan.options.exchange,
        plan.credentials,
        clock,
        sandbox=plan.account.mode is Mode.SANDBOX,
        url=plan.options.url,
        may_send=may_send,
        market=market,
    )
    return LiveRun(exchange, store, clock, plan.settings, plan.live, plan.config, plan.options.symbols, tell)


def _trades(count: int) -> str:
    return f"{count} trade{'' if count == 1 else 's'}"
