"""Left and right, as structures are named: what belongs together, and what is one where sides are not told apart.

A side is a word of its own in a name, in any notation: ``Left-Thalamus``, ``ctx-lh-insula``, ``kidney_right``,
``Lung R``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from napari_scse.structures import FREESURFER27, Structure

_WORDS = {"left": "left", "lh": "left", "l": "left", "right": "right", "rh": "right", "r": "right"}
_SIDE = re.compile(rf"(?<![^\W_])({'|'.join(_WORDS)})(?![^\W_])", re.IGNORECASE)
_AROUND = " -_.,:;/()[]{}"


def split_side(name: str) -> tuple[str, str]:
    """Return the side that a name says, "left", "right" or "", and the name without it; "side" if that is all of it.

    Examples
    --------
    >>> split_side("Left-Thalamus"), split_side("ctx-rh-insula"), split_side("Kidney (L)"), split_side("Brain-Stem")
    (('left', 'Thalamus'), ('right', 'ctx-insula'), ('left', 'Kidney'), ('', 'Brain-Stem'))
    """
    word = _SIDE.search(name)
    if word is None:
        return "", name
    before, after = name[: word.start()].rstrip(_AROUND), name[word.end() :].lstrip(_AROUND)
    between = name[len(before)] if before and after else ""
    return _WORDS[word[0].lower()], before + between + after or "side"


def mirrored(structures: Sequence[Structure]) -> dict[int, int]:
    """Map each value to its left-right partner's, whose name is the same but for the side; others map to themselves.

    Examples
    --------
    >>> mirrored(FREESURFER27)[17], mirrored(FREESURFER27)[16]
    (53, 16)
    """
    named = {s.value: split_side(s.name) for s in structures}
    by_name: dict[tuple[str, str], list[int]] = {}
    for value, name in named.items():
        by_name.setdefault(name, []).append(value)
    result = {}
    for value, (side, rest) in named.items():
        own, others = by_name[side, rest], by_name.get(({"left": "right", "right": "left"}.get(side, ""), rest), [])
        result[value] = others[0] if side and len(own) == len(others) == 1 else value
    return result


def can_mirror(structures: Sequence[Structure]) -> bool:
    """Tell whether a scan turned left to right, values exchanged as `mirrored` says, is another right example.

    It is where some structure has a partner, and none that is called after a side lacks one. Without any pair nobody
    knows: the values 1 and 2 may well be a left and a right kidney.

    Examples
    --------
    >>> from napari_scse.structures import name_values
    >>> can_mirror(FREESURFER27), can_mirror(FREESURFER27[:3]), can_mirror(name_values([1, 2]))
    (True, False, False)
    """
    partners = mirrored(structures)
    paired = [s for s in structures if partners[s.value] != s.value]
    lonely = [s for s in structures if partners[s.value] == s.value and split_side(s.name)[0]]
    return bool(paired) and not lonely


def merge_sides(structures: Sequence[Structure]) -> tuple[Structure, ...]:
    """Make one of every left-right pair: the left one's value and colour, named without a side.

    Examples
    --------
    >>> [(s.value, s.name) for s in merge_sides(FREESURFER27) if s.value in (16, 17, 53)]
    [(16, 'Brain-Stem'), (17, 'Hippocampus')]
    """
    partners = mirrored(structures)
    merged = []
    for structure in structures:
        side, rest = split_side(structure.name)
        if partners[structure.value] == structure.value:
            merged.append(structure)
        elif side == "left":
            merged.append(Structure(structure.value, rest, structure.color))
    return tuple(merged)


def classes_by_value(structures: Sequence[Structure]) -> dict[int, int]:
    """Return the place of each value among `structures`; where these lack sides, right values have their left one's."""
    places = {structure.value: place for place, structure in enumerate(structures)}
    if lack_sides(structures):
        partners = mirrored(FREESURFER27)
        places = {partners.get(value, value): place for value, place in places.items()} | places
    return places


def lack_sides(structures: Sequence[Structure]) -> bool:
    """Tell whether some of `structures` are both sides of one of the 27, under the left one's value."""
    return bool((set(merge_sides(FREESURFER27)) - set(FREESURFER27)) & set(structures))
