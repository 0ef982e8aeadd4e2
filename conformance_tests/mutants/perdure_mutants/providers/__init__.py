"""Providers that are broken on purpose: the contracts of the conformance suite must notice."""
