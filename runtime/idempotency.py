"""Which events have been answered lately, and how.

Two dictionaries take turns, so forgetting costs nothing per event. What must never be repeated (a trade in the books)
does not rest on this.
"""

from __future__ import annotations

from runtime.events import Receipt


class SeenEvents:
    """Receipts by instance and identity.

    Args:
        expiry: milliseconds for which a receipt is known, exactly: a run that was restarted must know the same ones as
            a run that was not.
    """

    def __init__(self, expiry: int) -> None:
        self.expiry = expiry
        self._recent: dict[tuple[str, str], tuple[int, Receipt]] = {}
        self._older: dict[tuple[str, str], tuple[int, Receipt]] = {}
        self._turned_at = 0

    def get(self, instance: str, identity: str, now: int) -> Receipt | None:
        """The latest receipt, or None when there is none younger than the expiry; `now` in milliseconds."""
        key = (instance, identity)
        found = self._recent.get(key) or self._older.get(key)
        return None if found is None or now - found[0] >= self.expiry else found[1]

    def record(self, instance: str, identity: str, receipt: Receipt, now: int) -> None:
        """Remember `receipt`; `now` in milliseconds since the epoch."""
        if now - self._turned_at >= self.expiry:
            # After a silence of twice the expiry nothing in either dictionary is young enough to keep.
            self._older = self._recent if now - self._turned_at < 2 * self.expiry else {}
            self._recent = {}
            self._turned_at = now
        self._recent[instance, identity] = now, receipt

    def forget(self, instance: str, identity: str) -> None:
        """Undo `record`: the commit that went with it was not written."""
        self._recent.pop((instance, identity), None)
        self._older.pop((instance, identity), None)

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)
