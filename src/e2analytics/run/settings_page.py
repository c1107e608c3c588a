"""Writes ``docs/settings.md``, and the configuration that ``e2analytics init`` makes: every setting once.

In    :mod:`e2analytics.settings`
Out   a page with a table for each section; a TOML file in which every setting stands as a comment

``make docs`` writes the page; a test keeps page and settings equal. Says nothing of its own: what a setting
means is its description there.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from e2analytics.reference import schemas_folder
from e2analytics.settings import Section, Settings

_HEAD: Final = """\
# Settings

<!-- Made by `make docs` from src/e2analytics/settings.py. -->

What a clinic may choose. The command line wins, then the environment, then the file `e2analytics.toml` of the
folder where a command runs (or the one that `--config` names), then the default. `e2analytics init` makes a
file with every setting as a comment. An unknown name or a value out of its range ends a command with exit 14,
before anything is read.

In the environment a setting is called `E2ANALYTICS_` and its name in capitals, sections apart by `__`:
`E2ANALYTICS_FLAG__RED_LINE_PG_ML=9`. The key is no setting: it comes from `E2ANALYTICS_KEY_FILE` (or
`E2ANALYTICS_KEY`) alone. Where numbers come from: [evidence.md](evidence.md).
"""
_NAMES: Final = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_CALLED: Final = {Path: "path", date: "date, YYYY-MM-DD"}


class Setting(NamedTuple):
    """One setting.

    Attributes
    ----------
    name
        Its name in its section.
    allowed
        What it may be, in words.
    default
        As TOML writes it; empty if there is none.
    description
        What it means.
    """

    name: str
    allowed: str
    default: str
    description: str


class Group(NamedTuple):
    """The settings of a section; ``is_repeated`` if a clinic may write the section several times."""

    name: str
    description: str
    is_repeated: bool
    settings: tuple[Setting, ...]


def settings_page_file() -> Path:
    """Return where the page is kept: beside ``schemas/``."""
    return schemas_folder().parent / "docs" / "settings.md"


def groups() -> Iterator[Group]:
    """Yield the sections, that of no name first."""
    yield from _groups(Settings, "", is_repeated=False)


def as_markdown() -> str:
    """Return the page."""
    return "\n".join((_HEAD, *map(_section, groups())))


def as_toml(**chosen: str) -> str:
    """Return a configuration with every setting as a comment, but for those ``chosen``, as TOML writes them.

    A section that may stand several times is left to the page: an empty one would be wrong.
    """
    lines: list[str] = []
    for group in groups():
        if group.is_repeated:
            continue
        # The heading is no comment, so that one mark less is all that a setting takes.
        lines += ["", f"# {group.description}", f"[{group.name}]"] if group.name else []
        for setting in group.settings:
            value = None if group.name else chosen.get(setting.name)
            mark = "" if value else "# "
            lines.append(
                f"{mark}{setting.name} = {value or setting.default or '...'}  # {setting.description}"
            )
    return "\n".join(lines).lstrip("\n") + "\n"


def _groups(model: type[BaseModel], name: str, *, is_repeated: bool) -> Iterator[Group]:
    sections = {key: _section_of(field) for key, field in model.model_fields.items()}
    own = tuple(
        _setting(key, field) for key, field in model.model_fields.items() if not sections[key]
    )
    description = (
        "" if model is Settings else " ".join((model.__doc__ or "").replace("``", "`").split())
    )
    if own:
        yield Group(name, description, is_repeated, own)
    for key, section in sections.items():
        if section:
            inner = f"{name}.{key}" if name else key
            yield from _groups(section, inner, is_repeated=_repeats(model.model_fields[key]))


def _section_of(field: FieldInfo) -> type[Section] | None:
    kind = get_args(field.annotation)[0] if _repeats(field) else field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _repeats(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _setting(name: str, field: FieldInfo) -> Setting:
    description = field.description or ""
    return Setting(name, _allowed(field), _default(field), description)


def _allowed(field: FieldInfo) -> str:
    text = _type(field.annotation)
    bounds = [_bound(each) for each in field.metadata]
    return ", ".join([text, *(each for each in bounds if each)])


def _type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_type(each) for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is tuple:
        return f"list of {_type(get_args(kind)[0])}"
    if hasattr(kind, "__metadata__"):
        return _type(kind.__origin__)
    return {**_NAMES, **_CALLED}[kind]


def _bound(rule: Any) -> str:
    match rule:
        case annotated_types.Ge(ge=least):
            return f"{least} or more"
        case annotated_types.Gt(gt=least):
            return f"above {least}"
        case annotated_types.Le(le=most):
            return f"{most} or less"
        case annotated_types.Lt(lt=most):
            return f"below {most}"
        case _:
            return ""


def _default(field: FieldInfo) -> str:
    match field.default:
        case bool() as truth:
            return str(truth).lower()
        case int() | float() as number:
            return f"{number!r}"
        case str() as text:
            return f'"{text}"'
        case ():
            return "[]"
        case _:
            return ""


def _section(group: Group) -> str:
    heading = f"[[{group.name}]]" if group.is_repeated else f"[{group.name}]"
    title = f"## `{heading}`" if group.name else "## Without a section"
    often = " May stand several times." * group.is_repeated
    rows = [
        (f"`{each.name}`", each.allowed, f"`{each.default}`" * bool(each.default), each.description)
        for each in group.settings
    ]
    lines = [("setting", "may be", "default", "means"), ("---",) * 4, *rows]
    table = "".join(f"| {' | '.join(row)} |\n" for row in lines)
    return "\n\n".join(filter(None, (title, f"{group.description}{often}", table)))


if __name__ == "__main__":
    settings_page_file().write_text(as_markdown(), encoding="utf-8")
