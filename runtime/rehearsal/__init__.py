"""Plays generated paths on a machine in the real runtime, with crashes, and compares what happens with what should."""
