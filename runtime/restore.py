"""From what is stored back to instances in memory. Whatever cannot be understood is set aside, never guessed at."""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.definition import MachineDefinition, Migration, OnRestore
from runtime.dispatch import Instance
from runtime.machine import Machine, Snapshot
from runtime.store import StoredInstance


class Quarantined(msgspec.Struct, frozen=True):
    """An instance that does not start: why, and the way out. Its row in the database is left as it is."""

    instance: str
    reason: str
    way_out: str


def restore(machine: Machine, stored: StoredInstance, now: int) -> Instance | Quarantined:
    """The instance as the last commit left it, its timer treated as its phase's `on_restore` says.

    `now` in milliseconds since the epoch.
    """
    definition = machine.definition
    if stored.machine != definition.name:
        return _quarantine(stored, f"it belongs to the machine '{stored.machine}', not to '{definition.name}'")
    migrated = stored.digest != definition.digest
    snapshot = _migrate(machine, stored) if migrated else _decode(machine, stored, stored.snapshot)
    if isinstance(snapshot, Quarantined):
        return snapshot
    if snapshot.phase not in definition.phases:
        return _quarantine(stored, f"its phase {snapshot.phase} is not in {definition.source}")
    if snapshot.timer is not None and snapshot.timer.event not in definition.events:
        return _quarantine(stored, f"its timer's event {snapshot.timer.event} is not in {definition.source}")
    for event in snapshot.deferred:
        if event.event not in definition.events:
            return _quarantine(stored, f"its waiting event {event.event} is not in {definition.source}")
        try:
            msgspec.json.decode(event.payload, type=definition.events[event.event].payload)
        except ValueError as error:
            return _quarantine(stored, f"its waiting event {event.event} cannot be read: {error}")
    for group, phase in snapshot.history.items():
        if phase not in definition.phases:
            return _quarantine(stored, f"the phase {phase} in which it left {group} is not in {definition.source}")
    _restart_timer(machine, snapshot, now, migrated=migrated)
    return Instance(stored.instance, machine, snapshot, stored.version)


def _decode(machine: Machine, stored: StoredInstance, raw: bytes) -> Snapshot[Any] | Quarantined:
    try:
        return machine.decode(raw)
    except (ValueError, RecursionError) as error:
        return _quarantine(stored, f"its snapshot cannot be read: {error}")


def _migrate(machine: Machine, stored: StoredInstance) -> Snapshot[Any] | Quarantined:
    definition = machine.definition
    migration = _migration_from(definition, stored.digest)
    if migration is None:
        return Quarantined(
            stored.instance,
            f"it was written under another version of {definition.source} (digest {stored.digest[:12]}, now "
            f"{definition.digest[:12]}), and nothing says how to carry it over",
            f"Add to {definition.source}:  migrations: [{{from: {stored.digest[:12]}, phases: {{}}}}]  (name what was "
            "renamed; as it stands it carries over unchanged), run `make generate` and start again. "
            f"Or run the version that wrote it until {stored.instance} holds nothing.",
        )
    try:
        raw = msgspec.json.decode(stored.snapshot)
        raw["phase"] = migration.phases.get(raw["phase"], raw["phase"])
        raw["history"] = {group: migration.phases.get(phase, phase) for group, phase in raw["history"].items()}
        data = {migration.rename_data.get(name, name): value for name, value in raw["data"].items()}
        raw["data"] = {name: value for name, value in data.items() if name not in migration.drop_data}
        unknown = sorted(set(raw["data"]) - set(definition.data.__struct_fields__))
    except (ValueError, RecursionError, KeyError, AttributeError, TypeError) as error:
        return _quarantine(stored, f"its snapshot cannot be carried over: {error!r}")
    if unknown:
        return _quarantine(stored, f"its data {', '.join(unknown)} are not in {definition.source}; drop or rename them")
    return _decode(machine, stored, msgspec.json.encode(raw))


def _migration_from(definition: MachineDefinition, digest: str) -> Migration | None:
    return next((m for m in definition.migrations if digest.startswith(m.from_digest)), None)


def _restart_timer(machine: Machine, snapshot: Snapshot[Any], now: int, *, migrated: bool) -> None:
    timeout, timer = machine.definition.phases[snapshot.phase].timeout, snapshot.timer
    if timeout is None or timeout.on_restore is OnRestore.DROP:
        snapshot.timer = None
    elif timer is None or timer.event != timeout.raises:
        # Without a timer it has fired in this visit; but a timer that the older version did not have starts now.
        snapshot.timer = machine.timer_for(timeout, snapshot, now) if migrated else timer
    elif timeout.on_restore is OnRestore.RESTART:
        snapshot.timer = machine.timer_for(timeout, snapshot, now)


def _quarantine(stored: StoredInstance, reason: str) -> Quarantined:
    return Quarantined(
        stored.instance,
        reason,
        "Its last snapshot and its history are in the database, untouched: `phasewright audit "
        f"{stored.instance}` shows them. Restore a backup, or settle its orders on the exchange by hand.",
    )
