# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""What venue sends along when it asks something of the world."""

from __future__ import annotations
