"""Rules of the turn protocol that are switched off: the tests named after the rule must notice."""
