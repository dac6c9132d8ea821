"""Generated from the specs, one package for each; do not edit. Change a spec and run: make generate"""
