"""Text of YAML files from plain values: strings are quoted as in JSON, which YAML 1.2 includes."""

import json
import re
from collections.abc import Iterator
from typing import Any

# JSON allows these as they are; YAML does not, or takes them for line breaks.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def yaml_text(content: dict[str, Any]) -> str:
    """Return YAML of nested dicts and lists in block style. Equal values give equal text.

    A line break in a string is escaped, so a value always stands on one line.
    """
    return "".join(f"{line}\n" for line in _lines(content, ""))


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                yield f"{indent}{key}:"
                yield from _lines(item, indent + "  ")
            else:
                yield f"{indent}{key}: {_scalar(item)}"
    else:
        for item in value:
            if isinstance(item, (dict, list)) and item:
                first, *rest = _lines(item, indent + "  ")
                yield f"{indent}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{indent}- {_scalar(item)}"


def _scalar(value: Any) -> str:
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
