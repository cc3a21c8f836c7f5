"""Snowgate's report service: one container, in the role of the worker or of the web door."""
