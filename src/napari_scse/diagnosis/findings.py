"""What was found, and how it is written down."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """Something that could be better: a sentence, and a line to paste into a terminal or nothing."""

    sentence: str
    line: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what was found; `advice` where something can be done about it."""

    name: str
    text: str
    advice: Advice | None = None


@dataclass(frozen=True)
class Section:
    """Findings on one subject."""

    title: str
    findings: tuple[Finding, ...]


def report_text(sections: Iterable[Section], *, private: bool = True) -> str:
    """Lay a report out as plain text.

    Parameters
    ----------
    private
        Whether the user's home folder is written as ``~`` and the user's name as ``user``, so that the report can be
        shown to others.
    """
    lines = []
    for section in sections:
        lines.append(section.title)
        for finding in section.findings:
            lines.append(f"  {finding.name:<22}{finding.text}")
            if finding.advice is not None:
                lines.append(f"  {'':<22}→ {finding.advice.sentence}")
                lines += [f"  {'':<22}  {finding.advice.line}"] if finding.advice.line else []
    text = "\n".join(lines) + "\n"
    return without_names(text) if private else text


def without_names(text: str) -> str:
    """Take the user's home folder and name out of `text`.

    Examples
    --------
    >>> without_names(f"{Path.home()}/runs").startswith("~")
    True
    """
    home = os.path.expanduser("~")  # noqa: PTH111 - what there is no home for stays as it is
    if len(home) > 1:
        text = text.replace(home, "~").replace(home.replace("\\", "/"), "~")
    name = os.environ.get("USER") or os.environ.get("USERNAME") or ""
    if len(name) > 2 and name != "root":  # shorter ones are parts of words
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "user", text)
    return text
