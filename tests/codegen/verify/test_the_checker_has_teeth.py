"""What protects the money is not there for show: without it the checker finds the loss, and names it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codegen.verify.result import Verified

FEW = 2

CASES: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "a partial fill that is not booked": (
        (
            (
                "&entry_partial\n        - {if: entry_order_event, do: [book_fills]}",
                "&entry_partial\n        - {if: entry_order_event, ignore: It will be told again.}",
            ),
        ),
        "no_fill_let_go",
    ),
    "a cancel without a request": (
        (("    entry: {request: [cancel_buy]}\n", ""),),
        "phase in [CANCEL_BUY, CANCEL_SELL] leads to phase not in [CANCEL_BUY, CANCEL_SELL], assuming answers, timers",
    ),
    "an early fill that is not deferred": (
        (
            (
                "PLACEMENT_TIMEOUT: {to: BUY_UNKNOWN, do: [mark_entry_unknown]}\n      BUY_ORDER_PARTIAL: defer",
                "PLACEMENT_TIMEOUT: {to: BUY_UNKNOWN, do: [mark_entry_unknown]}\n"
                "      BUY_ORDER_PARTIAL: {reject: Too early.}",
            ),
        ),
        "no_fill_let_go",
    ),
    "a look-up that does not wait for the request": (
        (("    after: [submit_buy]\n", ""),),
        "no_forgotten_buy_order",
    ),
    "a reconciliation that does not wait for the requests": (
        (("    after: [submit_buy, submit_sell]\n", ""),),
        "no_forgotten_buy_order",
    ),
    "an answer about earlier orders": (
        (("    when: event.entry.order != past and event.exit.order != past", "    whenever: IDLE or not IDLE"),),
        "no_forgotten_buy_order",
    ),
    "an answer from before there was a sell order": (
        (("event.entry.order != past and event.exit.order != past", "event.entry.order != past"),),
        "no_forgotten_sell_order",
    ),
    "an answer about the buy order before": (
        (("event.entry.order != past and event.exit.order != past", "event.exit.order != past"),),
        "no_forgotten_buy_order",
    ),
    "a cancel that takes not found for absent": (
        (
            (
                "filled: BUY_ORDER_FILLED, absent: ORDER_NOT_FOUND",
                "filled: BUY_ORDER_FILLED, absent: BUY_ORDER_ABSENT",
            ),
            (
                "      ORDER_NOT_FOUND:\n        - {if: entry_order_event, to: BUY_UNKNOWN",
                "      BUY_ORDER_ABSENT:\n        - {if: entry_order_event, to: BUY_UNKNOWN",
            ),
        ),
        "no_forgotten_buy_order",
    ),
    "a create that is taken for repeatable": (
        (
            (
                "    summary: Send the buy order.\n    class: at_most_once",
                "    summary: Send the buy order.\n    class: idempotent",
            ),
        ),
        "bought_once",
    ),
    "a reservation that is kept": (
        (("TRADE_COMPLETE: {to: COOLDOWN, do: [release_reservation]}", "TRADE_COMPLETE: {to: COOLDOWN}"),),
        "no_forgotten_reservation",
    ),
    "a trade that is not closed": (
        (("entry: {do: [close_round_trip], raise: [TRADE_COMPLETE]}", "entry: {raise: [TRADE_COMPLETE]}"),),
        "every_trade_closed",
    ),
    "dust that is not set aside": (
        (("entry: {do: [set_dust_aside], raise: [DUST_SET_ASIDE]}", "entry: {raise: [DUST_SET_ASIDE]}"),),
        "no_forgotten_position",
    ),
    "an order from another one's event": (
        (("    when: event.side == entry and event.order == present", "    when: event.side == entry"),),
        "no_forgotten_buy_order",
    ),
    "a recovery that cannot tell dust": (
        (
            (
                "          - {to: DUST, do: [adopt_reports]}\n",
                "          - {to: ERROR, do: [adopt_reports, note_error]}\n",
            ),
        ),
        "ERROR leads to not (ERROR or RECOVERING), assuming answers, timers, outside",
    ),
}


@pytest.mark.parametrize("weakness", CASES)
def test_a_weakness_is_found_and_named(verified: Callable[..., Verified], weakness: str) -> None:
    changes, claim = CASES[weakness]
    result = verified("trading", *changes, under_way=FEW)
    assert claim in [one.name for one in result.broken]
