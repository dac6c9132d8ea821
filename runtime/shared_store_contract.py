"""What a store must do beyond `StoreContract` when several workers share it, as tests for anybody's:

    class TestMySharedStore(SharedStoreContract):
        def take(self, account, worker): ...        a new lease, whoever had the account; it is made at the first call
        def let_expire(self, account): ...          from now on, nobody's lease on the account is alive
        def open_store(self, lease): ...            the account's store under a lease

Accounts are names of the test's own. Stores of one account are opened side by side, and called from several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Event
from typing import Any

from msgspec.structs import replace

from runtime.effects import Claim
from runtime.errors import StoreConflictError, StoreFencedError
from runtime.portfolio import PortfolioChange, Reservation
from runtime.store import Store
from runtime.store_contract import DEPOSIT, commit_of, everything, full_commit, intent, prepare, raising

_ROUNDS = 10


class SharedStoreContract:
    """The public contract suite of shared stores; subclass it and say how an account is taken and opened."""

    def take(self, account: str, worker: str) -> Any:
        raise NotImplementedError

    def let_expire(self, account: str) -> None:
        raise NotImplementedError

    def open_store(self, lease: Any) -> Store:
        raise NotImplementedError

    # -- whoever does not hold the account writes nothing ----------------------------------------------------------

    def test_whoever_takes_an_account_finds_all_that_was_committed(self, tmp_path: Path) -> None:
        first = self.open_store(self.take(str(tmp_path), "first"))
        prepare(first)
        second = self.open_store(self.take(str(tmp_path), "second"))
        assert everything(second) == everything(first)
        assert second.namespace == first.namespace
        second.commit([commit_of("BTC/USD", expected=2)])
        second.close()

    def test_after_a_take_over_the_former_worker_writes_nothing(self, tmp_path: Path) -> None:
        paused = self.open_store(self.take(str(tmp_path), "paused"))
        prepare(paused)
        second = self.open_store(self.take(str(tmp_path), "second"))
        self._is_fenced(paused, second)
        second.commit([commit_of("BTC/USD", expected=2)])
        self._is_fenced(paused, second, version=3)
        second.close()

    def test_a_worker_is_not_taken_for_its_earlier_self(self, tmp_path: Path) -> None:
        before = self.open_store(self.take(str(tmp_path), "worker"))
        prepare(before)
        after = self.open_store(self.take(str(tmp_path), "worker"))
        self._is_fenced(before, after)
        after.close()

    def test_a_lease_that_ran_out_is_none_even_if_nobody_took_the_account(self, tmp_path: Path) -> None:
        store = self.open_store(self.take(str(tmp_path), "worker"))
        prepare(store)
        self.let_expire(str(tmp_path))
        self._is_fenced(store, store)
        store.close()

    def test_a_paused_worker_finds_out_whoever_has_come_and_gone_since(self, tmp_path: Path) -> None:
        paused = self.open_store(self.take(str(tmp_path), "paused"))
        prepare(paused)
        for name in ("second", "third"):
            other = self.open_store(self.take(str(tmp_path), name))
            self.let_expire(str(tmp_path))
            self._is_fenced(paused, other)
        last = self.open_store(self.take(str(tmp_path), "paused"))
        self._is_fenced(paused, last)
        last.commit([commit_of("BTC/USD", expected=2)])
        last.close()

    def _is_fenced(self, store: Store, seen_by: Store, version: int = 2) -> None:
        before = everything(seen_by)
        account_alone = replace(commit_of("", snapshot=None, portfolio=PortfolioChange((DEPOSIT,))), audit=[])
        calls: tuple[Callable[[], object], ...] = (
            lambda: store.commit([commit_of("BTC/USD", expected=version)]),
            lambda: store.commit([commit_of("XRP/USD"), commit_of("LTC/USD")]),
            lambda: store.commit([account_alone]),
            lambda: store.claim(Claim("BTC/USD two", "A", 3, 7000, 8000)),
            lambda: store.forget_identities(1 << 50),
        )
        for call in calls:
            with raising(StoreFencedError):
                call()
        assert everything(seen_by) == before

    # -- decisions on what is no longer so -------------------------------------------------------------------------

    def test_a_result_of_an_attempt_before_the_take_over_does_not_count(self, tmp_path: Path) -> None:
        paused = self.open_store(self.take(str(tmp_path), "paused"))
        paused.commit([replace(commit_of("A"), requested=[intent("one")])])
        second = self.open_store(self.take(str(tmp_path), "second"))
        second.claim(Claim("one", "A", 2, 5000, 6000))
        with raising(StoreFencedError):
            paused.commit([replace(commit_of("A", expected=1), finished=[("one", 1, "DONE")])])
        with raising(StoreConflictError):
            second.commit([replace(commit_of("A", expected=1), finished=[("one", 1, "DONE")])])
        second.commit([replace(commit_of("A", expected=1), finished=[("one", 2, "DONE")])])
        second.close()

    def test_under_one_lease_only_who_knows_the_latest_commit_may_write(self, tmp_path: Path) -> None:
        lease = self.take(str(tmp_path), "worker")
        one, other = self.open_store(lease), self.open_store(lease)
        one.commit([commit_of("A")])
        with raising(StoreConflictError):
            # Another instance, but the cash that both count on is the same.
            other.commit([commit_of("B")])
        other.load()
        other.commit([commit_of("B")])
        with raising(StoreConflictError):
            one.forget_identities(1 << 50)
        assert [stored.instance for stored in other.load().instances] == ["A", "B"]
        one.close()
        other.close()

    def test_of_two_that_commit_at_once_one_writes_all_and_the_other_nothing(self, tmp_path: Path) -> None:
        lease = self.take(str(tmp_path), "worker")
        stores = [self.open_store(lease), self.open_store(lease)]
        gate = Barrier(2)

        def contend(who: int, number: int) -> bool:
            held = Reservation(f"{number}", "USD", Decimal(who + 1), 1)
            group = [commit_of(f"{number} {name}", phase=f"OF {who}") for name in "abc"]
            group[1].portfolio = PortfolioChange((), (held,))
            stores[who].load()
            gate.wait(30)
            try:
                stores[who].commit(group)
            except StoreConflictError:
                return False
            finally:
                gate.wait(30)
            return True

        with ThreadPoolExecutor(2) as threads:
            for number in range(_ROUNDS):
                written = list(threads.map(contend, (0, 1), (number, number)))
                assert sorted(written) == [False, True]
                state = stores[0].load()
                phases = {one.phase for one in state.instances if one.instance.startswith(f"{number} ")}
                assert phases == {f"OF {written.index(True)}"}
                assert {one.cash for one in state.reservations if one.instance == f"{number}"} == {
                    Decimal(written.index(True) + 1)
                }
        assert len(stores[0].audit()) == 3 * _ROUNDS

    def test_what_the_next_worker_has_loaded_no_late_commit_changes(self, tmp_path: Path) -> None:
        store = self.open_store(self.take(str(tmp_path), "worker 0"))
        version = 0
        with ThreadPoolExecutor(1) as threads:
            for number in range(1, _ROUNDS + 1):
                started = Event()
                committing = threads.submit(_commit_until_fenced, store, version, started)
                started.wait(30)
                store = self.open_store(self.take(str(tmp_path), f"worker {number}"))
                seen = store.load()
                acknowledged = committing.result(30)
                assert store.load() == seen
                version = seen.instances[0].version
                # The latest may have been written without anybody hearing of it; never the other way round.
                assert version - acknowledged in (0, 1)
        store.close()

    # -- accounts have nothing to do with each other ---------------------------------------------------------------

    def test_accounts_share_no_name_and_no_sum(self, tmp_path: Path) -> None:
        one = self.open_store(self.take(str(tmp_path / "one"), "worker"))
        other = self.open_store(self.take(str(tmp_path / "other"), "worker"))
        prepare(one)
        prepare(other)
        assert everything(one) == everything(other)
        assert one.namespace != other.namespace
        before = everything(other)
        one.commit([commit_of("BTC/USD", expected=2, portfolio=PortfolioChange((), (Reservation("BTC/USD"),)))])
        one.forget_identities(1 << 50)
        one.commit([replace(full_commit("LTC/USD"), portfolio=None)])
        assert everything(other) == before
        one.close()
        other.close()


def _commit_until_fenced(store: Store, version: int, started: Event) -> int:
    """Commit version after version until somebody else has the account; returns the last that was acknowledged."""
    while True:
        try:
            store.commit([commit_of("A", expected=version)])
        except StoreFencedError:
            return version
        finally:
            started.set()
        version += 1
