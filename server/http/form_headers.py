"""The `Content-Disposition` of a form's part, as browsers, curl and libraries write it.

Source: RFC 7578, section 4.2; the WHATWG's HTML, "multipart form data": a browser writes `"`, CR
and LF of a name as `%22`, `%0D` and `%0A`, and nothing else that way. RFC 8187 for `filename*`,
which RFC 7578 forbids and many clients send.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

# `*+` never tries a backslash in another way: the number of ways doubles with each of them. A text
# that ends with a backslash, which old browsers do not escape, is matched by the second branch.
_PARAMETER = re.compile(rb';[ \t]*([^=;"\s]+)[ \t]*=[ \t]*("(?:\\["\\]|[^"])*+"|"[^"]*"|[^;]*)')
_ESCAPED = re.compile(r'\\(["\\])')
_EXTENDED = re.compile(r"([A-Za-z0-9-]+)'[^']*'([A-Za-z0-9!#$&+.^_`|~%-]*)")
_CHARSETS = ("utf-8", "iso-8859-1")
_BROWSERS = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_PATH = re.compile(r"(?:[A-Za-z]:\\|\\\\).*\\([^\\]+)", re.DOTALL)


def disposition(value: bytes) -> dict[str, str]:
    """The parameters of the field; `filename` is that of `filename*` where both are there."""
    found: dict[str, str] = {}
    for raw_name, raw in _PARAMETER.findall(value):
        name, text = raw_name.decode("latin-1").lower(), raw.decode("utf-8", "replace").strip()
        if name == "filename*":
            text = _extended(text)
            if text:
                found[name] = text
            else:
                found.setdefault("filename", "")
        else:
            found.setdefault(name, _plain(text))
    if "filename*" in found:
        found["filename"] = found.pop("filename*")
    # Old browsers send the whole path of the user's disk.
    if path := _PATH.fullmatch(found.get("filename", "")):
        found["filename"] = path[1]
    return found


def _plain(text: str) -> str:
    if len(text) < 2 or not text.startswith('"') or not text.endswith('"'):
        return text
    text = _ESCAPED.sub(r"\1", text[1:-1])
    for written, meant in _BROWSERS.items():
        text = text.replace(written, meant)
    return text


def _extended(text: str) -> str:
    """The value of `filename*`; empty where it is malformed."""
    match = _EXTENDED.fullmatch(text.strip('"'))
    if match is None or match[1].lower() not in _CHARSETS:
        return ""
    return unquote_to_bytes(match[2]).decode(match[1], "replace")
