"""A small machine whose every mutant can be named, and a small world in which an order can be lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from codegen.loading import Loaded, load

LIFT = """\
machine: lift
version: 1
summary: A lift between two floors.
initial: BELOW
error_event: FAILED

config:
  ride: {type: duration, default: 9s, summary: How long a ride takes.}

events:
  CALLED: {summary: Somebody calls., otherwise: {ignore: It is on its way.}}
  ARRIVED: {summary: The ride is over., otherwise: {reject: Only a timer can raise this.}}
  FAILED: {summary: Something fails., payload: {error: str, failed_event: str}, otherwise: {ignore: It goes on.}}

guards:
  loaded: {summary: Somebody is in it.}

actions:
  ring: {summary: Ring the bell.}

phases:
  BELOW:
    summary: It stands below.
    waits_for: Somebody who calls.
    on:
      CALLED: &call
        - {if: loaded, to: RISING}
        - otherwise
  RISING:
    summary: It rises.
    timeout: {after: ride, raises: ARRIVED, on_restore: keep_deadline}
    on:
      CALLED: defer
      ARRIVED: {to: ABOVE, do: [ring]}
  ABOVE:
    summary: It stands above.
    waits_for: Somebody who calls.
    on:
      CALLED: *call
      FAILED: {to: BELOW}

properties:
  - {recoverable: ABOVE, loss: Nobody comes up.}
"""

BOT = """\
machine: bot
version: 1
summary: Sends one order at a time.
initial: IDLE
error_event: FAILED

config:
  patience: {type: duration, default: 9s, summary: How long it waits for an answer.}

data:
  order: {type: optional str, summary: The order.}

events:
  WANTED: {summary: Somebody wants an order., otherwise: {ignore: There is one.}}
  PLACED: {summary: The shop has it., otherwise: {ignore: That is known.}}
  DONE: {summary: The order is over., otherwise: {ignore: That is known.}}
  LOST: {summary: No answer came., otherwise: {ignore: There is one now.}}
  LATE: {summary: It is time to ask again., otherwise: {reject: Only a timer can raise this.}}
  FAILED: {summary: Something fails., payload: {error: str, failed_event: str}, otherwise: {ignore: It goes on.}}

guards:
  present: {summary: It is about the present order., when: event.order == present}

actions:
  draw_up: {summary: Draw up the order., plans: [order]}

effects:
  send:
    summary: Send the order.
    class: at_most_once
    window: patience
    args: [order]
    outcomes: {accepted: PLACED, unknown: LOST}
  ask:
    summary: Ask what became of it.
    class: idempotent
    args: [order]
    after: [send]
    outcomes: {open: PLACED, over: DONE, absent: DONE}

phases:
  IDLE:
    summary: There is no order.
    waits_for: Somebody who wants one.
    on:
      WANTED: {to: SENDING, do: [draw_up]}
  SENDING:
    summary: The order is sent.
    entry: {request: [send]}
    timeout: {after: patience, raises: LATE, on_restore: keep_deadline}
    on:
      PLACED: {to: OPEN}
      LOST: {to: OPEN}
      FAILED: {to: OPEN}
      LATE: {to: OPEN}
  OPEN:
    summary: The shop is asked until the order is over.
    entry: {request: [ask]}
    timeout: {after: patience, raises: LATE, on_restore: keep_deadline}
    on:
      DONE:
        - {if: present, to: IDLE}
        - otherwise
      LATE: {to: OPEN}

venue:
  machine: shop
  fills: sold
  live: live
  look_up: LOOK_UP
  orders:
    order:
      requests: {CREATE: send, LOOK_UP: ask}
      reports: {}

invariants:
  one_order:
    that: phase == IDLE implies count(order, live) == 0
    loss: An order is live and nobody looks after it.
"""

SHOP = """\
machine: shop
version: 1
summary: A shop.
initial: NONE
error_event: FAILED

facts:
  sold: [none, all]  # what is sold of the order

events:
  CREATE: {summary: An order comes.}
  LOOK_UP: {summary: Somebody asks.}
  SOLD: {summary: It is sold., otherwise: {ignore: There is nothing to sell.}}
  FAILED: {summary: Something fails., payload: {error: str, failed_event: str}, otherwise: {ignore: It goes on.}}

actions:
  sell: {summary: Sell it., set: {sold: all}}

phases:
  NONE:
    summary: There is no order.
    waits_for: The order.
    on:
      CREATE: {to: LIVE, reply: accepted}
      LOOK_UP: {reply: absent}
  LIVE:
    summary: The order waits.
    waits_for: Somebody who buys.
    on:
      CREATE: {reply: accepted}
      LOOK_UP: {reply: open}
      SOLD: {to: OVER, do: [sell]}
      FAILED: {to: OVER}
  OVER:
    summary: The order is over.
    final: true
    on:
      CREATE: {reply: accepted}
      LOOK_UP: {reply: over}

groups:
  live: {summary: It can be sold., phases: [LIVE]}
"""


@pytest.fixture
def lift(tmp_path: Path) -> Loaded:
    (tmp_path / "lift.yaml").write_text(LIFT, encoding="utf-8")
    return load(tmp_path / "lift.yaml")


@pytest.fixture
def shop(tmp_path: Path) -> Callable[[], tuple[Loaded, Loaded]]:
    def both() -> tuple[Loaded, Loaded]:
        (tmp_path / "bot.yaml").write_text(BOT, encoding="utf-8")
        (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
        return load(tmp_path / "bot.yaml"), load(tmp_path / "shop.yaml")

    return both
