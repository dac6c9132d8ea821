"""Strategies: when to buy and when to sell. Adding one is one file that implements `Strategy`."""
