"""What every store must do, as tests that anybody's store can be put to. In a file that pytest collects:

    class TestMyStore(StoreContract):
        open_store = staticmethod(lambda folder: MyStore(folder / "bot.db"))

`open_store` is given a folder of the test's own. Called again after `close`, with the same folder, it must find what
was committed; a store that forgets when it is closed says `forgets = True`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from unittest import SkipTest

from msgspec.structs import replace

from runtime.effects import Claim, Intent
from runtime.errors import StoreConflictError, StoreError, StoreIntegrityError
from runtime.events import Outcome, Receipt
from runtime.ledger import JournalEntry, Posting, TradeFill, deposit_entry, trade_entry
from runtime.portfolio import PortfolioChange, Reservation
from runtime.store import AuditRow, Commit, Store, StoredInstance, StoredState


class StoreContract:
    """The public contract suite; subclass it and say how your store is opened."""

    open_store: Callable[[Path], Store]
    forgets: bool = False

    # -- what is committed is there, and all of it -----------------------------------------------------------------

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        assert store.load() == StoredState((), (), (), (), {}, ())
        assert store.audit() == []
        assert store.journal() == []
        assert store.branch_counts() == {}
        assert store.last_event_at() is None
        assert store.namespace
        store.close()

    def test_load_returns_every_part_of_a_commit(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        commit = full_commit()
        store.commit([commit])
        assert store.load() == StoredState(
            instances=(StoredInstance("BTC/USD", "trading", "digest", 1, "IDLE", 1000, b'{"phase":"IDLE"}'),),
            open_intents=tuple(commit.requested),
            identities=(("BTC/USD", "FILLED/1", 1000, receipt("BTC/USD", 1)),),
            entries=(DEPOSIT, PURCHASE),
            balances={
                ("cash", "USD"): Decimal("979.8"),
                ("equity", "USD"): Decimal("-1000"),
                ("position:BTC/USD", "BTC"): Decimal("0.1"),
                ("trading", "BTC"): Decimal("-0.1"),
                ("trading", "USD"): Decimal("20"),
                ("fees", "USD"): Decimal("0.2"),
            },
            reservations=(Reservation("BTC/USD", "USD", Decimal("12.50"), 1),),
        )
        assert store.audit() == commit.audit
        assert store.journal() == [DEPOSIT, PURCHASE]
        assert store.branch_counts() == {"WARMUP/READY/1": 1}
        assert store.last_event_at() == 1000
        store.close()

    def test_bytes_and_texts_come_back_as_they_were(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        awkward = "Ünïcödé'\"; DROP TABLE audit; --\n\t\\ \x1a0 \0 {NULL}"
        commit = commit_of(awkward, snapshot=b"\x00\xff\xfe raw, not even text \x00")
        row = commit.audit[0]
        commit.audit = [replace(row, payload=b"\x00\xff", reason=awkward, error=awkward, identity=awkward)]
        commit.identities = [(awkward, replace(receipt(awkward, 1), reason=awkward))]
        store.commit([commit])
        loaded = store.load()
        assert (loaded.instances[0].instance, loaded.instances[0].snapshot) == (awkward, commit.snapshot)
        assert loaded.identities == ((awkward, awkward, 1000, commit.identities[0][1]),)
        assert store.audit(awkward) == commit.audit
        store.close()

    def test_amounts_are_exact_and_large_instants_survive(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        tiny, huge, late = Decimal("1e-40"), Decimal("123456789012345678901234567890"), 253_402_300_799_999
        first = deposit_entry("", late, "a", "X", huge)
        second = deposit_entry("", late, "b", "X", tiny)
        store.commit([commit_of("A", at=late, portfolio=PortfolioChange((first, second)))])
        assert store.load().balances["cash", "X"] == Decimal(
            "123456789012345678901234567890.0000000000000000000000000000000000000001"
        )
        assert store.load().entries == (first, second)
        assert store.last_event_at() == late
        store.close()

    def test_a_commit_without_a_snapshot_leaves_the_instance_as_it_is(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([commit_of("A")])
        store.commit([commit_of("A", expected=1, snapshot=None, at=2000)])
        assert [(one.version, one.updated_at) for one in store.load().instances] == [(1, 1000)]
        assert [row.at for row in store.audit("A")] == [1000, 2000]
        store.close()

    def test_a_commit_may_carry_the_account_alone(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([replace(commit_of("", snapshot=None, portfolio=PortfolioChange((DEPOSIT,))), audit=[])])
        assert store.load().instances == ()
        assert store.load().balances["cash", "USD"] == 1000
        store.close()

    def test_an_empty_group_changes_nothing(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([])
        assert store.load() == StoredState((), (), (), (), {}, ())
        store.close()

    # -- all or nothing --------------------------------------------------------------------------------------------

    def test_a_refused_group_leaves_nothing_of_any_of_its_commits(self, tmp_path: Path) -> None:
        for refused, error in REFUSED:
            store = self.open_store(tmp_path / refused.__name__)
            prepare(store)
            before = everything(store)
            innocent = replace(full_commit("ETH/USD"), portfolio=PortfolioChange((SALE,), (Reservation("ETH/USD"),)))
            with raising(error):
                store.commit([innocent, refused(), commit_of("XRP/USD")])
            assert everything(store) == before, refused.__name__
            store.commit([innocent, commit_of("XRP/USD")])  # what was refused is in nobody's way
            store.close()

    def test_a_refused_commit_leaves_nothing_of_itself(self, tmp_path: Path) -> None:
        for refused, error in REFUSED:
            store = self.open_store(tmp_path / refused.__name__)
            prepare(store)
            before = everything(store)
            with raising(error):
                store.commit([refused()])
            assert everything(store) == before, refused.__name__
            store.close()

    # -- versions --------------------------------------------------------------------------------------------------

    def test_a_commit_on_any_but_the_current_version_is_a_conflict(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([commit_of("A"), commit_of("A", expected=1)])
        for expected in (0, 1, 3):
            for snapshot in (b"{}", None):
                with raising(StoreConflictError):
                    store.commit([commit_of("A", expected=expected, snapshot=snapshot)])
        with raising(StoreConflictError):
            store.commit([commit_of("B", expected=1)])
        assert [(one.instance, one.version) for one in store.load().instances] == [("A", 2)]
        store.close()

    def test_several_commits_of_one_instance_in_one_group_follow_each_other(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit(
            [
                commit_of("A", snapshot=b"1"),
                commit_of("B", snapshot=b"1"),
                commit_of("A", expected=1, snapshot=None),
                commit_of("A", expected=1, snapshot=b"2", phase="NEXT"),
                commit_of("A", expected=2, snapshot=b"3", phase="LAST"),
            ]
        )
        found = [(one.instance, one.version, one.phase, one.snapshot) for one in store.load().instances]
        assert found == [("A", 3, "LAST", b"3"), ("B", 1, "IDLE", b"1")]
        assert [row.version for row in store.audit("A")] == [0, 1, 1, 2]
        with raising(StoreConflictError):
            store.commit([commit_of("A", expected=3), commit_of("A", expected=3)])
        with raising(StoreConflictError):
            store.commit([commit_of("A", expected=3, snapshot=None), commit_of("A", expected=4)])
        store.close()

    # -- identities ------------------------------------------------------------------------------------------------

    def test_the_latest_receipt_of_an_identity_is_kept(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        deferred = replace(receipt("A", 1), outcome=Outcome.DEFERRED)
        store.commit([replace(commit_of("A"), identities=[("x", deferred)])])
        store.commit([replace(commit_of("A", expected=1, at=2000), identities=[("x", receipt("A", 2))])])
        store.commit([replace(commit_of("B", at=3000), identities=[("x", receipt("B", 1))])])
        assert store.load().identities == (
            ("A", "x", 2000, receipt("A", 2)),
            ("B", "x", 3000, receipt("B", 1)),
        )
        store.close()

    def test_identities_are_loaded_oldest_first(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        for at, name in ((3000, "a"), (1000, "c"), (2000, "b")):
            store.commit([replace(commit_of(name, at=at), identities=[(name, receipt(name, 1))])])
        assert [identity for _, identity, _, _ in store.load().identities] == ["c", "b", "a"]
        store.close()

    def test_forget_identities_drops_those_from_before_an_instant(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        for at in (1000, 2000, 3000):
            store.commit([replace(commit_of(str(at), at=at), identities=[("x", receipt("A", 1))])])
        assert store.forget_identities(2000) == 1
        assert [at for _, _, at, _ in store.load().identities] == [2000, 3000]
        assert store.forget_identities(2000) == 0
        assert len(store.audit()) == 3
        store.close()

    # -- the outbox ------------------------------------------------------------------------------------------------

    def test_open_intents_come_in_the_order_of_their_creation(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        late, early, same = intent("late", at=3000), intent("z-early", at=1000), intent("a-early", at=1000)
        store.commit([replace(commit_of("A"), requested=[late, early, same])])
        assert store.load().open_intents == (same, early, late)
        store.close()

    def test_a_claim_is_recorded_only_for_the_attempt_that_follows(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([replace(commit_of("A"), requested=[intent("one")])])
        for attempt in (0, 1, 3):
            with raising(StoreConflictError):
                store.claim(Claim("one", "A", attempt, 5000, 6000))
        assert store.intent("one") == intent("one")
        store.claim(Claim("one", "A", 2, 5000, 6000))
        claimed = replace(intent("one"), attempt=2, claimed_at=5000, deadline=6000)
        assert store.intent("one") == claimed
        assert store.load().open_intents == (claimed,)
        with raising(StoreConflictError):
            store.claim(Claim("one", "A", 2, 7000, 8000))
        with raising(StoreConflictError):
            store.claim(Claim("unheard of", "A", 1, 5000, 6000))
        assert store.intent("one") == claimed
        store.close()

    def test_only_the_current_attempt_finishes_an_intent_and_only_once(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([replace(commit_of("A"), requested=[intent("one")])])
        store.claim(Claim("one", "A", 2, 5000, 6000))
        for attempt in (1, 3):
            with raising(StoreConflictError):
                store.commit([replace(commit_of("A", expected=1), finished=[("one", attempt, "DONE")])])
        store.commit([replace(commit_of("A", expected=1), finished=[("one", 2, "DONE")])])
        assert store.load().open_intents == ()
        finished = store.intent("one")
        assert finished is not None
        assert finished.attempt == 2
        with raising(StoreConflictError):
            store.commit([replace(commit_of("A", expected=2), finished=[("one", 2, "DONE")])])
        with raising(StoreConflictError):
            store.claim(Claim("one", "A", 3, 7000, 8000))
        with raising(StoreConflictError):
            store.commit([replace(commit_of("A", expected=2), finished=[("unheard of", 1, "DONE")])])
        assert store.load().instances[0].version == 2
        store.close()

    def test_an_intent_is_found_by_its_id_alone(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([replace(commit_of("A"), requested=[intent("one"), intent("two")])])
        assert store.intent("two") == intent("two")
        assert store.intent("three") is None
        store.close()

    # -- the ledger ------------------------------------------------------------------------------------------------

    def test_reservations_are_replaced_and_deleted(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        for version, cash in enumerate(("5", "7", "0")):
            held = Reservation("A", "USD", Decimal(cash), int(cash) and 1)
            store.commit([commit_of("A", expected=version, portfolio=PortfolioChange((), (held,)))])
            assert store.load().reservations == ((held,) if held else ())
        store.close()

    def test_the_journal_can_be_read_by_instance(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([commit_of("A", portfolio=PortfolioChange((DEPOSIT, PURCHASE))), commit_of("B")])
        store.commit([commit_of("B", expected=1, portfolio=PortfolioChange((SALE,)))])
        assert store.journal() == [DEPOSIT, PURCHASE, SALE]
        assert store.journal("BTC/USD") == [PURCHASE]
        assert store.journal("nobody") == []
        store.close()

    # -- the audit -------------------------------------------------------------------------------------------------

    def test_the_audit_gives_the_latest_rows_oldest_first(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        for version, at in enumerate((1000, 2000, 3000)):
            store.commit([commit_of("A", expected=version, at=at), commit_of("B", expected=version, at=at)])
        assert [(row.instance, row.at) for row in store.audit(limit=3)] == [("B", 2000), ("A", 3000), ("B", 3000)]
        assert [row.at for row in store.audit("A", limit=2)] == [2000, 3000]
        assert [row.at for row in store.audit("A")] == [1000, 2000, 3000]
        assert len(store.audit("A", limit=99)) == 3
        assert store.audit(limit=0) == store.audit("nobody") == []
        store.close()

    def test_rows_of_the_table_are_counted(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        for version, branch in enumerate(("a", "b", "a", "")):
            commit = commit_of("A", expected=version)
            commit.audit = [replace(commit.audit[0], branch=branch)]
            store.commit([commit])
        assert store.branch_counts() == {"a": 2, "b": 1}
        store.close()

    # -- closing and opening again ---------------------------------------------------------------------------------

    def test_a_closed_store_refuses_every_call(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        store.commit([full_commit()])
        store.close()
        calls: tuple[Callable[[], object], ...] = (
            store.load,
            store.last_event_at,
            store.audit,
            store.journal,
            store.branch_counts,
            lambda: store.commit([commit_of("B")]),
            lambda: store.claim(Claim("one", "A", 2, 0, 0)),
            lambda: store.intent("one"),
            lambda: store.forget_identities(0),
        )
        for call in calls:
            with raising(StoreError):
                call()
        store.close()  # again is harmless

    def test_a_store_that_is_opened_again_has_all_that_was_committed(self, tmp_path: Path) -> None:
        if self.forgets:
            raise SkipTest("this store forgets when it is closed")
        store = self.open_store(tmp_path)
        prepare(store)
        with raising(StoreIntegrityError):
            store.commit([commit_of("B", portfolio=PortfolioChange((PURCHASE,)))])
        before, namespace = everything(store), store.namespace
        store.close()
        store = self.open_store(tmp_path)
        assert everything(store) == before
        assert store.namespace == namespace
        store.commit([commit_of("BTC/USD", expected=2)])
        store.close()

    def test_every_store_has_a_namespace_of_its_own(self, tmp_path: Path) -> None:
        if self.forgets:
            raise SkipTest("this store is given its namespace")
        one, other = self.open_store(tmp_path / "one"), self.open_store(tmp_path / "other")
        assert one.namespace != other.namespace
        one.close()
        other.close()


# -- what the tests commit -----------------------------------------------------------------------------------------

DEPOSIT = deposit_entry("", 900, "opening", "USD", Decimal(1000))
PURCHASE = trade_entry(
    "BTC/USD",
    TradeFill(
        trade_id="t1",
        symbol="BTC/USD",
        side="buy",
        base="BTC",
        quote="USD",
        qty=Decimal("0.1"),
        price=Decimal(200),
        at=1000,
        fee=Decimal("0.2"),
        fee_currency="USD",
        client_order_id="c1",
        round_trip="c1",
    ),
)
SALE = trade_entry(
    "ETH/USD",
    TradeFill(
        trade_id="t1",
        symbol="ETH/USD",
        side="sell",
        base="ETH",
        quote="USD",
        qty=Decimal(3),
        price=Decimal("7.25"),
        at=1000,
    ),
)


def commit_of(
    instance: str,
    *,
    expected: int = 0,
    snapshot: bytes | None = b"{}",
    phase: str = "IDLE",
    at: int = 1000,
    portfolio: PortfolioChange | None = None,
) -> Commit:
    """A plain commit of one audited event."""
    row = AuditRow(
        instance=instance,
        version=expected,
        at=at,
        event="READY",
        identity="",
        outcome=Outcome.HANDLED,
        phase_from="WARMUP",
        phase_to=phase,
        branch="WARMUP/READY/1",
        actions=("count", "note"),
        requested=("show_green/one", "show_red/two"),
        payload=b'{"bar_at":1}',
        reason="",
        error="",
        digest="digest",
    )
    version = expected if snapshot is None else expected + 1
    return Commit(
        instance=instance,
        machine="trading",
        digest="digest",
        at=at,
        expected_version=expected,
        version=version,
        phase=phase,
        snapshot=snapshot,
        audit=[row],
        identities=[],
        requested=[],
        finished=[],
        portfolio=portfolio,
    )


def full_commit(instance: str = "BTC/USD") -> Commit:
    """A commit with something in each of its parts."""
    held = Reservation(instance, "USD", Decimal("12.50"), 1)
    commit = commit_of(instance, snapshot=b'{"phase":"IDLE"}', portfolio=PortfolioChange((DEPOSIT, PURCHASE), (held,)))
    commit.identities = [("FILLED/1", receipt(instance, 1))]
    commit.requested = [intent(f"{instance} one"), intent(f"{instance} two")]
    return commit


def receipt(instance: str, version: int) -> Receipt:
    return Receipt(Outcome.HANDLED, "READY", instance, "WARMUP", "IDLE", version)


def intent(intent_id: str, at: int = 1000) -> Intent:
    return Intent(intent_id, "A", "submit_buy", 7, b'{"price":"1.5"}', 3, at, 1, at, at + 500)


def prepare(store: Store) -> None:
    """Two commits, so that there is something to contradict: an intent is finished, one is at its second attempt."""
    store.commit([full_commit()])
    store.claim(Claim("BTC/USD two", "A", 2, 5000, 6000))
    store.commit([replace(commit_of("BTC/USD", expected=1, at=2000), finished=[("BTC/USD one", 1, "DONE")])])


def _wrong_version() -> Commit:
    return commit_of("BTC/USD", expected=1)


def _known_instance_as_new() -> Commit:
    return commit_of("BTC/USD")


def _wrong_version_without_snapshot() -> Commit:
    return commit_of("BTC/USD", expected=7, snapshot=None)


def _known_entry() -> Commit:
    held = Reservation("LTC/USD", "USD", Decimal(1), 1)
    return commit_of("LTC/USD", portfolio=PortfolioChange((_other_entry(), PURCHASE), (held,)))


def _entry_twice() -> Commit:
    return commit_of("LTC/USD", portfolio=PortfolioChange((_other_entry(), _other_entry())))


def _known_intent() -> Commit:
    return replace(commit_of("LTC/USD"), requested=[intent("new"), intent("BTC/USD two")])


def _known_finished_intent() -> Commit:
    return replace(commit_of("LTC/USD"), requested=[intent("BTC/USD one")])


def _finished_twice() -> Commit:
    return replace(commit_of("LTC/USD"), finished=[("BTC/USD two", 2, "DONE"), ("BTC/USD one", 1, "DONE")])


def _finished_by_an_older_attempt() -> Commit:
    return replace(commit_of("LTC/USD"), finished=[("BTC/USD two", 1, "DONE")])


def _other_entry() -> JournalEntry:
    postings = (Posting("cash", "USD", Decimal(1)), Posting("equity", "USD", Decimal(-1)))
    return JournalEntry("other", "LTC/USD", 1000, "deposit", postings, {})


REFUSED: tuple[tuple[Callable[[], Commit], type[StoreError]], ...] = (
    (_wrong_version, StoreConflictError),
    (_known_instance_as_new, StoreConflictError),
    (_wrong_version_without_snapshot, StoreConflictError),
    (_known_entry, StoreIntegrityError),
    (_entry_twice, StoreIntegrityError),
    (_known_intent, StoreIntegrityError),
    (_known_finished_intent, StoreIntegrityError),
    (_finished_twice, StoreConflictError),
    (_finished_by_an_older_attempt, StoreConflictError),
)


def everything(store: Store) -> object:
    """All that can be asked of a store."""
    loaded = store.load()
    intents = [store.intent(f"{owner} {number}") for owner in ("BTC/USD", "ETH/USD") for number in ("one", "two")]
    reservations = sorted(loaded.reservations, key=lambda one: one.instance)
    return (
        replace(loaded, reservations=tuple(reservations)),
        store.audit(),
        store.journal(),
        store.branch_counts(),
        store.last_event_at(),
        intents,
    )


@contextmanager
def raising(error: type[StoreError]) -> Iterator[None]:
    """Fails unless the block raises `error`, with a message."""
    message: str | None = None
    try:
        yield
    except error as raised:
        message = str(raised)
    assert message is not None, f"nothing was raised; {error.__name__} was expected"
    assert message, f"{error.__name__} without a word of what happened"
