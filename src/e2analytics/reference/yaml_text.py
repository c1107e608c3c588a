"""Reads YAML by PyYAML's parser in C where it was built with it: seven times as fast as the one in Python."""

from __future__ import annotations

from typing import Any, Final

import yaml

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def from_yaml(text: str) -> Any:
    """Return what a text of YAML says, as ``yaml.safe_load`` does.

    Examples
    --------
    >>> from_yaml("sites: [lumbar_spine, total_hip]")
    {'sites': ['lumbar_spine', 'total_hip']}
    """
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 (both loaders are safe ones)
