"""What the database of many workers must say of itself."""

from __future__ import annotations

from typing import Any

import psycopg

_LEASE_LOG = """
CREATE TABLE lease_log (
    account text, epoch bigint, holder text, released boolean, expired boolean, at timestamptz, last_seq bigint
)
----
CREATE FUNCTION log_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lease_log VALUES (
        NEW.account, NEW.epoch, NEW.holder, OLD.holder IS NULL, OLD.expires_at <= clock_timestamp(), clock_timestamp(),
        (SELECT coalesce(max(seq), 0) FROM audit WHERE account = NEW.account)
    );
    RETURN NEW;
END $$
----
CREATE TRIGGER log_lease AFTER UPDATE ON accounts FOR EACH ROW
WHEN (OLD.epoch <> NEW.epoch OR OLD.holder IS DISTINCT FROM NEW.holder) EXECUTE FUNCTION log_lease()
"""
LEASE_LOG = tuple(_LEASE_LOG.split("----"))
"""Writes down every change of hands, in the transaction that makes it."""

_TWO_HOLDERS = """
SELECT format('%s: epoch %s was held by %s', account, epoch, string_agg(DISTINCT holder, ' and by '))
FROM lease_log WHERE holder IS NOT NULL GROUP BY account, epoch HAVING count(DISTINCT holder) > 1
"""
_SAME_EPOCH_AGAIN = """
SELECT format('%s: epoch %s was taken %s times', account, epoch, count(*))
FROM lease_log WHERE holder IS NOT NULL GROUP BY account, epoch HAVING count(*) > 1
"""
_TAKEN_TOO_EARLY = """
SELECT format('%s: %s took it in epoch %s before the lease of another worker had run out', account, holder, epoch)
FROM (SELECT *, lag(holder) OVER (PARTITION BY account ORDER BY at) AS former FROM lease_log) AS log
WHERE holder IS NOT NULL AND NOT released AND NOT expired AND holder <> former
"""
_OLD_EPOCH = """
SELECT format('%s: event %s of %s was committed in epoch %s after epoch %s had begun', a.account, a.event, a.instance,
    a.epoch, l.epoch)
FROM audit a JOIN lease_log l ON l.account = a.account AND l.holder IS NOT NULL AND l.epoch > a.epoch
    AND a.seq > l.last_seq
LIMIT 20
"""
_HANDLED_TWICE = """
SELECT format('%s %s: %s %s was handled %s times', account, instance, event, identity, count(*))
FROM audit WHERE outcome = 'handled' AND identity <> '' GROUP BY account, instance, event, identity HAVING count(*) > 1
LIMIT 20
"""


def violations_in_database(connection: psycopg.Connection[Any]) -> list[str]:
    """What must never be at any time."""
    checks = (_TWO_HOLDERS, _SAME_EPOCH_AGAIN, _TAKEN_TOO_EARLY, _OLD_EPOCH, _HANDLED_TWICE)
    return [text for check in checks for (text,) in connection.execute(check.encode()).fetchall()]
