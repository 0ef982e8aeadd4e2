"""`perdure conformance run`: the suite on backends that are named by URLs."""
