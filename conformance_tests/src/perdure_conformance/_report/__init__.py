"""The parts of the report: what was promised, what came of it, and how that is written."""
