"""Faults between us and a real server, made by a proxy; the server itself stays real."""
