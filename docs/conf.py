"""Sphinx settings. Built with `-n -W`: a reference that leads nowhere fails the `docs` check."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # For docstrings.py.

project = "Perdure"
author = "The Perdure authors"
copyright = "The Perdure authors, Apache-2.0"  # noqa: A001 (Sphinx reads this name)
version = release = version_of("perdure-core")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon", "docstrings"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Perdure {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
default_role = "code"  # `Single backticks` are code in docstrings, as they are everywhere else.

# A build fetches nothing, so names of other projects are no links. Everything else must lead somewhere.
_elsewhere = "|".join(map(re.escape, sorted(sys.stdlib_module_names | {"click", "msgspec", "pluggy", "rich"})))
nitpick_ignore_regex = [("py:.*", rf"({_elsewhere})(\..+)?")]
