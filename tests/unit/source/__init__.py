"""Promises of the source package that need no server."""
