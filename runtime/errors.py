"""What can go wrong, told to a person: what happened, where, why it matters, what to do."""

from __future__ import annotations


class PhasewrightError(Exception):
    """Something that a user can act on. Its text is the whole message; a command prints it without a traceback."""


class StoreError(PhasewrightError):
    """The database cannot be used, or can no longer be written. Nothing of the attempted commit is in it."""


class StoreAwayError(StoreError):
    """The database does not answer, or not yet. It may later."""


class StoreConflictError(StoreError):
    """Somebody else has written to an instance since it was loaded; a decision based on the old state was refused."""


class StoreIntegrityError(StoreError):
    """A commit contradicts what the database holds, for instance a trade that is in the books already."""


class StoreFencedError(StoreError):
    """Another worker has this account now, or may have it; nothing that this one decides counts any more."""


class HandlerError(PhasewrightError):
    """A guard, an action or an effect of the machine has no handler, or one that cannot be called."""


class ConfigError(PhasewrightError):
    """A value of the configuration is missing, malformed or out of range."""


class DispatchError(PhasewrightError):
    """An event cannot be carried out as the table says; the instance is unchanged."""


def readable(text: str) -> str:
    """`text` with whatever no file and no database can hold (half a surrogate pair) written out as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()
