"""The clock of a process, over a machine's clock that is set and a machine that sleeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from runtime import clock as clocks
from runtime.clock import SystemClock

START = 1_790_000_000_000


class Machine:
    """Its wall clock, and what has passed; both in milliseconds."""

    def __init__(self) -> None:
        self.wall, self.passed = START, 5_000
        self.clock = SystemClock(lambda: self.wall * 1_000_000, lambda: self.passed * 1_000_000)

    def passes(self, milliseconds: int) -> None:
        self.wall += milliseconds
        self.passed += milliseconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_it_begins_with_the_machine_s_time() -> None:
    assert abs(SystemClock().now() - time.time() * 1000) < 5_000


@pytest.mark.parametrize("step", [-3_600_000, -1, 0, 1, 3_600_000])
def test_it_goes_on_evenly_while_the_machine_s_clock_is_set(machine: Machine, step: int) -> None:
    machine.passes(10_000)
    machine.wall += step
    assert machine.clock.now() == START + 10_000
    machine.passes(60_000)
    assert machine.clock.now() == START + 70_000
    assert machine.clock.set_by() == step
    machine.clock.follow()
    assert (machine.clock.now(), machine.clock.set_by()) == (START + 70_000 + step, 0)


@pytest.fixture
def slept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """How long each sleep was; time passes only by them."""
    slices: list[float] = []

    async def sleep(seconds: float) -> None:
        slices.append(seconds)
        machine.passes(round(seconds * 1000))

    monkeypatch.setattr(clocks.asyncio, "sleep", sleep)
    return slices


@pytest.mark.parametrize("step", [-3_600_000, 3_600_000])
def test_a_clock_that_is_set_moves_no_wait(machine: Machine, slept: list[float], step: int) -> None:
    machine.passes(1_000)
    machine.wall += step
    asyncio.run(machine.clock.sleep_until(START + 31_000))
    assert sum(slept) == 30


def test_after_the_machine_slept_a_wait_ends_within_a_slice(
    machine: Machine, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = clocks.asyncio.sleep

    async def suspended(seconds: float) -> None:
        await told(seconds)
        machine.passes(3_600_000 if len(slept) == 1 else 0)

    monkeypatch.setattr(clocks.asyncio, "sleep", suspended)
    asyncio.run(machine.clock.sleep_until(START + 600_000))
    assert sum(slept) <= 10


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has two of them")
def test_the_time_in_which_the_machine_slept_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = time.clock_gettime_ns
    monkeypatch.setattr(time, "clock_gettime_ns", lambda which: asked.append(which) or real(which))
    SystemClock().now()
    assert set(asked) == {time.CLOCK_BOOTTIME}
