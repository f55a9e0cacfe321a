"""Choose where the label comes from: votes, a finished raster, or the outlines."""

import re
from collections.abc import Sequence

from gcn_luigi.survey.bands import BandGuess
from gcn_luigi.survey.draft import Draft, Line, Table
from gcn_luigi.survey.sources import Findings

# Values of a label in the classes of this package, and what they mean.
_OURS = {0: "none", 1: "debris", 2: "ice", 255: "ignore"}
_MOST_VOTES = 50


def label_table(guesses: Sequence[BandGuess], found: Findings, draft: Draft) -> Table:
    """Return the section ``[label]``, and add open questions and unused rasters to `draft`."""
    votes = [guess for guess in guesses if guess.kind == "votes"]
    labels = [guess for guess in guesses if guess.kind == "label"]
    debris = [guess for guess in labels if _is_of_debris(guess.path)]
    whole = [guess for guess in (*votes, *labels) if len(guess.image.group.files) == 1 and guess not in debris]
    parts = [guess for guess in (*votes, *labels) if guess not in whole and guess not in debris]
    if not whole:
        if parts:
            draft.questions.append(
                f"{parts[0].path} are the parts of one raster of {parts[0].kind}, and [label] takes a single file: "
                "join them, for example with gdalbuildvrt votes.vrt PARTS, and name the VRT."
            )
        return _of_outlines(debris, found, draft)
    chosen, *others = whole
    draft.unused += [f"{other.path}: the label comes from {chosen.path}" for other in (*others, *parts, *debris)]
    lines = _of_votes(chosen, draft) if chosen.kind == "votes" else _of_raster(chosen, draft)
    return Table("[label]", tuple(lines))


def _is_of_debris(path: str) -> bool:
    words = re.split(r"[/_\-. ]+", path.lower())
    return "debris" in words and not {"label", "labels", "class", "classes", "landcover"} & set(words)


def _of_outlines(debris: Sequence[BandGuess], found: Findings, draft: Draft) -> Table:
    lines = [Line("source", "outlines", "no raster of votes or classes was found")]
    polygons = [
        layer for layer in found.layers if layer.is_polygons and _is_of_debris(f"{layer.path.stem}/{layer.layer}")
    ]
    if polygons:
        lines.append(Line("debris_outlines", found.layer_path(polygons[0]), "its name"))
        lines += [Line("debris_layer", polygons[0].layer)] if polygons[0].layer else []
    elif debris:
        lines.append(Line("debris_raster", debris[0].path, "its name"))
    else:
        draft.questions.append(
            "The label comes from the outlines alone, because no raster of votes or classes was found: ice inside, "
            "none outside. Debris within the outlines is therefore called ice. If you have outlines or a map of "
            "debris, write its path into [label] debris_outlines or debris_raster."
        )
    return Table("[label]", tuple(lines))


def _of_votes(chosen: BandGuess, draft: Draft) -> list[Line]:
    lines = [Line("stem", chosen.path)]
    values = chosen.image.values.get(1)
    if values is None:
        return lines
    if values.has_fractions:
        draft.questions.append(
            f"{chosen.path} holds {values.low:g} to {values.high:g}, and not whole numbers of votes, so `gcn plan` "
            "stops. If these are shares, multiply them by the number of classifications and round."
        )
        return lines
    most = int(values.high)
    if most > _MOST_VOTES:
        draft.questions.append(
            f"{chosen.path} holds up to {most}, which looks like a percentage. From which value on is a pixel "
            "debris-free ice? Write this value into [label] min_votes."
        )
        return [*lines, Line("min_votes", most // 2 + 1, f"more than half of {most}, the most seen")]
    # Written even if it is the default, because everything about the label depends on it.
    return [*lines, Line("min_votes", most // 2 + 1, f"more than half of {most} votes, the most seen")]


def _of_raster(chosen: BandGuess, draft: Draft) -> list[Line]:
    lines = [Line("raster", chosen.path)]
    values = chosen.image.values.get(1)
    found = [int(value) for value in values.known] if values is not None else []
    if {0, 1, 2} <= set(found) <= set(_OURS):
        return lines
    if set(found) == {0, 255}:
        classes = {0: "none", 255: "ice"}
    elif set(found) <= {0, 1, 255}:
        classes = {0: "none", 1: "ice", 255: "ignore"}
    else:
        classes = {value: _OURS.get(value, "ignore") for value in found}
    used = {str(value): name for value, name in classes.items() if value in found or value == 255}
    absent = [name for name in ("none", "debris", "ice") if name not in used.values()]
    draft.questions.append(
        f"What do the values of {chosen.path} mean? Found were {', '.join(map(str, found))}. [label] classes gives "
        "each value its class: none, debris, ice or ignore."
    )
    lines.append(Line("classes", used, "from the values seen in some blocks"))
    if absent:
        lines.append(Line("allow_absent", absent, "no value stands for these classes"))
    return lines
