from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange.faults import (
    CALM,
    HOSTILE,
    PROFILES,
    REALISTIC,
    Fate,
    FaultProfile,
    RequestKind,
    parts,
    passage,
    read_is_lost,
    report_passage,
)

N = 4_000


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_the_rates_of_a_profile_are_met(profile: FaultProfile) -> None:
    fates = Counter(passage(profile, 1, f"o{n}", RequestKind.SUBMIT, n).fate for n in range(N))
    reports = [report_passage(profile, 1, f"o{n}", n, 0) for n in range(N)]
    measured = {
        "unsent": fates[Fate.UNSENT],
        "dropped": fates[Fate.DROPPED],
        "reply_lost": fates[Fate.REPLY_LOST],
        "read_lost": sum(read_is_lost(profile, 1, f"o{n}", n) for n in range(N)),
        "report_lost": sum(not report.copies_ms for report in reports),
        "report_duplicated": sum(len(report.copies_ms) > 1 for report in reports),
        "report_reordered": sum(not report.in_order for report in reports),
    }
    for name, count in measured.items():
        rate = getattr(profile, name)
        assert abs(count / N - rate / 10_000) < 0.02, name
        assert (count > 0) == (rate > 0), name


def test_only_the_hostile_profile_loses_reports_and_it_is_ten_times_as_bad() -> None:
    assert REALISTIC.report_lost == CALM.report_lost == 0 < HOSTILE.report_lost
    for name in ("slow", "unsent", "dropped", "reply_lost", "report_delayed", "report_reordered", "report_duplicated"):
        assert getattr(CALM, name) == 0
        assert getattr(HOSTILE, name) == 10 * getattr(REALISTIC, name)


def test_a_fate_depends_on_the_message_alone() -> None:
    fates = [passage(HOSTILE, 1, "o", RequestKind.SUBMIT, n) for n in range(50)]
    assert fates == [passage(HOSTILE, 1, "o", RequestKind.SUBMIT, n) for n in range(50)]
    assert fates != [passage(HOSTILE, 2, "o", RequestKind.SUBMIT, n) for n in range(50)]
    assert fates != [passage(HOSTILE, 1, "o", RequestKind.CANCEL, n) for n in range(50)]


@given(st.text(max_size=40), st.integers(1, 10**12), st.sampled_from(["1", "0.001", "0.25"]))
def test_parts_are_whole_steps_and_sum_to_the_order(order_id: str, steps: int, step: str) -> None:
    amount = steps * Decimal(step)
    split = parts(HOSTILE, 1, order_id, 7, amount, Decimal(step))
    ends = [part.upto for part in split]
    assert ends[-1] == amount
    assert all(earlier < later for earlier, later in zip([Decimal(0), *ends], ends, strict=False))
    assert all(end % Decimal(step) == 0 for end in ends)
    assert len(split) <= 3


def test_some_orders_come_in_one_part_some_in_two_some_in_three() -> None:
    sizes = Counter(len(parts(REALISTIC, 1, f"o{n}", n, Decimal(10), Decimal("0.1"))) for n in range(N))
    assert set(sizes) == {1, 2, 3}
    assert abs(sizes[1] / N - 0.8) < 0.03


def test_a_latency_below_a_millisecond_is_refused() -> None:
    with pytest.raises(ValueError, match="no span of at least 1 ms"):
        msgspec.structs.replace(CALM, up_ms=(0, 5))
