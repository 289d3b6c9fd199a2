"""Promises of the source package, against real git servers."""
