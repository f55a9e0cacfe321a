"""Licences by their SPDX identifiers: which ones exist, where their text is, and what Hugging Face calls them."""

import difflib
import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

# The licences that data usually have, for a hint at a misspelt one. Any other identifier of the SPDX list is as good.
_OF_DATA = (
    "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0", "CC-BY-NC-ND-4.0", "ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0", "OGL-UK-3.0", "OGL-Canada-2.0", "etalab-2.0", "DL-DE-BY-2.0", "NLOD-2.0", "Apache-2.0", "MIT",
    "BSD-3-Clause",
)  # fmt: skip
# Terms without an SPDX identifier; the SPDX specification leaves the name to the author.
_OWN_TERMS = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
# Names of dataset cards, where they are not the identifier in lower case.
_ON_HUGGING_FACE = {"ODbL-1.0": "odbl", "ODC-By-1.0": "odc-by", "PDDL-1.0": "pddl"}
_PLAIN_ON_HUGGING_FACE = (
    "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0", "CC-BY-NC-ND-4.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "etalab-2.0", "Apache-2.0", "MIT",
    "BSD-3-Clause",
)  # fmt: skip


def check_licence(name: str) -> str:
    """Return a licence as the SPDX list spells it: ``cc-by-4.0`` gives ``CC-BY-4.0``.

    Terms that are not on the list have a name of their own that begins with ``LicenseRef-``. Raise ValueError for any
    other name, with the nearest ones.
    """
    try:
        found = str(canonicalize_license_expression(name))
    except InvalidLicenseExpression:
        found = ""
    if found and (" " not in found) and (not found.startswith("LicenseRef-") or _OWN_TERMS.fullmatch(found)):
        return found
    # Such as "CC BY 4.0".
    typed = re.sub(r"[\s_]+", "-", name.strip()).lower()
    near = difflib.get_close_matches(typed, [licence.lower() for licence in _OF_DATA], n=3, cutoff=0.5)
    meant = [licence for low in near for licence in _OF_DATA if licence.lower() == low]
    raise ValueError(
        f'"{name}" is no licence of the SPDX list'
        + (f" (did you mean {' or '.join(meant)}?)" if meant else "")
        + '; give one identifier from spdx.org/licenses, or, for terms that are not on it, "LicenseRef-" and a name '
        "of your own, with their address as url; leave the key out if you do not know the licence"
    )


def is_listed(licence: str) -> bool:
    """Return whether a checked licence is on the SPDX list, and does not name terms of its own."""
    return not licence.startswith("LicenseRef-")


def licence_url(licence: str, own_terms: str | None = None) -> str | None:
    """Return the page of a checked licence; `own_terms`, which may be None, if it is not on the SPDX list."""
    return f"https://spdx.org/licenses/{licence}.html" if is_listed(licence) else own_terms


def hugging_face_licence(licence: str) -> str:
    """Return the word of a dataset card for a checked licence; ``other`` if it has none."""
    if licence in _PLAIN_ON_HUGGING_FACE:
        return licence.lower()
    return _ON_HUGGING_FACE.get(licence, "other")
