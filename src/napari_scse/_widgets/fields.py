"""A dataclass as form fields: one widget for each field, made from its type and default, explained by its docstring."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from inspect import getdoc
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from magicgui.widgets import create_widget

from napari_scse.errors import InputError

_LARGEST = 10**9
Choices = Sequence[str] | Mapping[str, str]
_NUMBER = {int: "a whole number", float: "a number"}


class Fields:
    """Widgets for some fields of a dataclass.

    Parameters
    ----------
    kind
        The dataclass.
    names
        Which of its fields.
    values
        What they show at first, by name; the dataclass's own default otherwise.
    choices
        What a field may be, where its type does not say, or how its values are shown: value → text.
    """

    def __init__(
        self,
        kind: type[Any],
        names: Sequence[str],
        values: Mapping[str, Any] | None = None,
        choices: Mapping[str, Choices] | None = None,
    ) -> None:
        hints, tips = get_type_hints(kind), attributes_of(kind)
        defaults = {name: field.default for name, field in kind.__dataclass_fields__.items()} | dict(values or {})
        self._types = {name: hints[name] for name in names}
        self.widgets = {
            name: _widget(self._types[name], defaults[name], (choices or {}).get(name), tips.get(name, ""))
            for name in names
        }

    def __getitem__(self, name: str) -> Any:
        """Return what the field `name` says, as its type.

        Raises
        ------
        InputError
            It says something else.
        """
        value = self.widgets[name].value
        if isinstance(value, str) and self._types[name] is not str:
            return read(value, self._types[name], title(name))
        if value is not None and value == Path() and _optional(self._types[name]) is Path:
            return None
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        """Show `value` in the field `name`."""
        widget = self.widgets[name]
        widget.value = show(value) if _is_text(self._types[name]) else value

    def values(self) -> dict[str, Any]:
        """Return what all fields say; raises `InputError` as for one."""
        return {name: self[name] for name in self.widgets}


def title(name: str) -> str:
    """Return a field's name as people read it.

    Examples
    --------
    >>> title("weight_decay")
    'Weight decay'
    """
    words = name.replace("_", " ")
    return words[0].upper() + words[1:]


def show(value: Any) -> str:
    """Return a value as it is typed: numbers exactly, tuples with commas, None as nothing.

    Examples
    --------
    >>> show(1e-4), show((1.0, 1.0, 1.0)), show(None), show(("a", "b"))
    ('0.0001', '1.0, 1.0, 1.0', '', 'a, b')
    """
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def read(text: str, kind: Any, name: str) -> Any:
    """Return what `text` says as a value of the type `kind`: the inverse of `show`.

    Raises
    ------
    InputError
        It says no such thing.

    Examples
    --------
    >>> read("1, 2", tuple[int, int], "Canvas"), read("", float | None, "Norm"), read("a,b", tuple[str, ...], "Names")
    ((1, 2), None, ('a', 'b'))
    """
    text = text.strip()
    inner = _optional(kind)
    if inner is not kind:
        return None if text in ("", "none") else read(text, inner, name)
    if get_origin(kind) is tuple:
        parts, kinds = [part for part in re.split(r"[,;×\s]+", text) if part], get_args(kind)
        if kinds[-1] is Ellipsis:
            return tuple(read(part, kinds[0], name) for part in parts)
        if len(parts) != len(kinds):
            raise InputError(f"{name}: {len(kinds)} numbers with commas between them are expected; got “{text}”.")
        return tuple(read(part, one, name) for part, one in zip(parts, kinds, strict=True))
    if kind is str:
        return text
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{name}: {_NUMBER[kind]} is expected; got “{text}”.") from None


def attributes_of(kind: type[Any]) -> dict[str, str]:
    """Return what a class's docstring says of its attributes (numpy style), by name."""
    _, _, section = (getdoc(kind) or "").partition("Attributes\n----------\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in re.split(r"\n\w+\n-+\n", section)[0].splitlines():
        if line.strip() and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        elif line.strip():
            found |= {name: f"{found.get(name, '')} {line.strip()}".strip() for name in names}
    return {name: text.replace("``", "").replace("`", "") for name, text in found.items()}


def _widget(kind: Any, value: Any, choices: Choices | None, tip: str) -> Any:
    options: dict[str, Any] = {"tooltip": tip}
    texts = dict(choices) if isinstance(choices, Mapping) else {}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return create_widget(
            value, kind, options=options | {"choices": [(texts.get(m.value, m.value), m) for m in kind]}
        )
    if choices is not None:
        return create_widget(value, str, options=options | {"choices": [(texts.get(one, one), one) for one in choices]})
    if kind is int:
        return create_widget(value, int, options=options | {"min": 0, "max": _LARGEST})
    if _optional(kind) is Path:
        return create_widget(value, Path | None, options=options | {"mode": "d", "nullable": True})
    if kind is bool:
        return create_widget(value, kind, options=options)
    return create_widget(show(value), str, options=options)


def _is_text(kind: Any) -> bool:
    """Whether a field is typed as text, though its value is something else."""
    return kind is float or get_origin(kind) is tuple or _optional(kind) not in (kind, Path)


def _optional(kind: Any) -> Any:
    """The type beside None; `kind` itself where None is not allowed."""
    if get_origin(kind) in (Union, UnionType):
        return next(one for one in get_args(kind) if one is not type(None))
    return kind
