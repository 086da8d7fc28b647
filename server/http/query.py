"""The query parameters of a request, compared with what its operation describes.

A parameter that is ignored changes the meaning of a request without a word: a list without its
filter, a deletion without its bound. So an unknown one is refused, and one that is given twice.
Source: page 4 of the design: nothing under `/v1/` is silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import QueryParams

from lading.protocol.errors import InvalidArgument
from lading.server.http.openapi.operation import Parameter
from lading.server.validation import SHOWN, hint, shown


class Query:
    """The parameters that one operation takes."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._known = {each.name: each for each in parameters if each.place == "query"}

    def check(self, given: QueryParams) -> None:
        """Raise InvalidArgument for a parameter that is unknown, repeated, or not a choice."""
        for name in given:
            parameter = self._known.get(name)
            if parameter is None:
                said = shown(name)[1:-1]
                raise InvalidArgument(
                    f"Unknown query parameter `{said}`; {hint(name, self._known)}"
                )
            values = given.getlist(name)
            if len(values) > 1 and parameter.schema.get("type") != "array":
                raise InvalidArgument(f"The query parameter `{name}` is given {len(values)} times.")
            choices = parameter.schema.get("items", parameter.schema).get("enum")
            wrong = [each for each in values if choices is not None and each not in choices]
            if choices is not None and wrong:
                allowed = " or ".join(choices)
                raise InvalidArgument(
                    f"`{name}` must be {allowed}, not {shown(wrong[0][: SHOWN + 1])}."
                )
