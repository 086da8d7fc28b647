"""Plain sentences for values that pydantic refuses: what is wrong, what was given, what is allowed.

Pydantic's own wording never reaches a reader: a type of error without a sentence here gets a
general one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any

SHOWN = 40
"""How many characters of a refused value an error shows."""

_MUST = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "none_required": "must be null",
    "string_type": "must be a string",
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "does not have the required form",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "union_tag_invalid": "must be one of {expected_tags}",
    "union_tag_not_found": "must name its kind in {discriminator}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "url_type": "must be an address",
    "url_parsing": "must be an address",
}
"""By pydantic's type of error: the rest of a sentence that begins with the name of the field."""

_WITHOUT_VALUE = ("missing", "extra_forbidden")


def reason(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, as the rest of a sentence: "must be an integer".

    `error` is an entry of `ValidationError.errors()`. The text of a ValueError is our validators'.
    """
    context = error.get("ctx", {})
    own = context.get("error")
    if error["type"] == "value_error" and isinstance(own, ValueError):
        return str(own)
    template = _MUST.get(error["type"])
    return "has a value that is not allowed" if template is None else template.format(**context)


def sentence(
    error: Mapping[str, Any], content: Any = None, known: Collection[str] | None = None
) -> str:
    """One sentence on a refused field of the JSON `content`: its name, the reason, the value.

    For an unknown field it also has the nearest of the `known` ones.
    """
    text = reason(error)
    field = ".".join(_path(error["loc"], content))
    if not field:
        return f"{text}."
    if error["type"] == "extra_forbidden" and known is not None:
        return f"`{field}` {text}; {hint(field, known)}"
    if error["type"] in _WITHOUT_VALUE:
        return f"`{field}` {text}."
    return f"`{field}` {text}, not {shown(error['input'])}."


def hint(name: str, known: Collection[str]) -> str:
    """The end of a sentence on an unknown name: the nearest known one, otherwise all of them."""
    near = difflib.get_close_matches(name[:SHOWN].lower(), known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    if not known:
        return "none is known here."
    return f"known are {', '.join(f'`{each}`' for each in known)}."


def shown(value: Any) -> str:
    """A refused JSON value, short, and escaped so that it can stand in a log and in a terminal."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        cut = value[:SHOWN]
        return json.dumps(cut) + ("..." if len(value) > SHOWN else "")
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)[:SHOWN]
    return "a value of another type"


def _path(location: tuple[int | str, ...], content: Any) -> list[str]:
    """The names on the way to a field, without the kinds of a union that pydantic puts between."""
    found = []
    for place, part in enumerate(location):
        last = place == len(location) - 1
        if isinstance(content, dict) and (part in content or last):
            content = content.get(part)
        elif isinstance(content, list) and isinstance(part, int) and part < len(content):
            content = content[part]
        elif content is not None:
            continue
        found.append(shown(part)[1:-1] if isinstance(part, str) else str(part))
    return found
