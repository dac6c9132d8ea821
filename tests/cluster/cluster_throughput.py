"""What one worker gets done, and what several do, while nothing goes wrong."""

from __future__ import annotations

import time

import msgspec
from cluster_processes import Cluster, Failed, Slot


class Throughput(msgspec.Struct, frozen=True):
    """Events that so many workers handled in a second."""

    workers: int
    events_per_second: float


class ThroughputRun(Cluster):
    """`plan.seconds` is for how long each number of workers is watched."""

    def measure(self) -> list[Throughput]:
        """Nothing goes wrong: what one worker gets done, and what all of them do."""
        # Straight to the database: a wire that can break costs time.
        self.slots = [Slot(number, self.server.port) for number in range(self.plan.workers)]
        found = []
        try:
            self._start_venue("calm")
            for workers in (1, self.plan.workers):
                for slot in self.slots[:workers]:
                    if slot.life is None:
                        self._start_worker(slot)
                self._wait_until_all_trade()
                self._wait_until_shared(workers)
                before, began = self._handled(), time.monotonic()
                while time.monotonic() < began + self.plan.seconds:
                    self._note_deaths()
                    time.sleep(0.1)
                took = time.monotonic() - began
                found.append(Throughput(workers, round((self._handled() - before) / took, 1)))
            self._stop_workers()
        finally:
            self._kill_all()
        if self.broken:
            raise Failed("; ".join(self.broken))
        return found

    def _wait_until_shared(self, workers: int) -> None:
        """Until each has its part, and for a while longer."""
        until = time.monotonic() + self.plan.settling
        most = -(-self.plan.accounts // workers)
        while time.monotonic() < until:
            self._note_deaths()
            held = self._ask(
                "SELECT count(*) FROM accounts WHERE expires_at > clock_timestamp() AND holder IS NOT NULL "
                "GROUP BY holder"
            )
            if len(held) == workers and sum(one for (one,) in held) == self.plan.accounts and max(held)[0] <= most:
                time.sleep(10)
                return
            time.sleep(0.2)
        raise Failed(f"after {self.plan.settling:.0f} s the accounts are not shared evenly: {held}")
