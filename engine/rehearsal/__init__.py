"""Plays a path of the checker's world with the real bot: its code, its database, its ledger, the paper exchange.

Everything that the checker leaves to chance is decided by the path: when a request arrives, when its answer is heard,
what is filled, when a timer fires, when the process dies. Everything else is what runs in a bot.
"""
