"""Plays a spec against a hostile venue and a crashing process, and finds the shortest way in which it goes wrong."""
