"""Candles: what they are, how files of them are loaded, and the recorded market."""
