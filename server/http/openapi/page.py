"""`/docs`: the OpenAPI document as a page for people, made on the server.

The page has no script and loads nothing. All texts of the document are escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a4150);
  --soft: light-dark(#f4f5f8, #1d222b);
  --faint: light-dark(#59616e, #a3acba); --link: light-dark(#1d4ed8, #8ab4ff) }
* { box-sizing: border-box }
body { margin: 0; font: 1rem/1.55 system-ui, sans-serif; background: light-dark(#fff, #14181f);
  color: light-dark(#1a1f29, #e6e9ef) }
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.skip { position: absolute; left: -100vw; padding: .5rem 1rem; background: var(--soft) }
.skip:focus { left: 1rem; top: 1rem }
nav { padding: 1rem 1.5rem; font-size: .9rem; max-height: 40vh; overflow-y: auto;
  border-bottom: 1px solid var(--line) }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0 }
nav li a { display: flex; gap: .5rem; align-items: baseline; padding: .1rem 0;
  overflow-wrap: anywhere; text-decoration: none }
nav li a:hover { text-decoration: underline }
nav p { margin: 0; font-weight: 600 }
main { padding: 1rem 1.5rem 6rem; max-width: 60rem; min-width: 0 }
h1 { margin: 0 0 .5rem } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
h3 { margin: 2.5rem 0 .25rem; font-size: 1.1rem; overflow-wrap: anywhere }
h4 { margin: 1.25rem 0 .35rem; font-size: .95rem }
section p { margin: .25rem 0 .5rem }
code, pre { font: .875em/1.5 ui-monospace, monospace }
pre { overflow-x: auto; padding: .75rem 1rem; background: var(--soft);
  border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0 }
:target h3, h3:target { background: light-dark(#fff3c4, #453a12) }
.anchor { color: var(--faint); padding: 0 .25rem }
.method { font: 700 .72rem/1 ui-monospace, monospace; min-width: 3.6rem; flex: none;
  display: inline-block; text-align: center;
  padding: .28rem .3rem; border-radius: .25rem; color: #fff; background: #4b5563;
  vertical-align: .1em }
.get { background: #1d4ed8 } .post { background: #15703a } .put, .patch { background: #92500a }
.delete { background: #b3201f }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0;
  border-bottom: 1px solid var(--line) }
thead th { color: var(--faint); font-weight: 600 }
tbody th { font-weight: 400; white-space: nowrap }
ul.codes { margin: 0; padding: 0; list-style: none }
.faint { color: var(--faint) }
@media (min-width: 64rem) {
  body { display: grid; grid-template-columns: 21rem minmax(0, 1fr) }
  nav { position: sticky; top: 0; height: 100vh; max-height: none; border-bottom: 0;
  border-right: 1px solid var(--line) }
  main { padding-left: 2.5rem }
}
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The `Content-Security-Policy` under which the page works."""

Node = Mapping[str, Any]


def render(document: Node) -> str:
    """The page of an OpenAPI document."""
    info = document["info"]
    title = f"{escape(info['title'])} HTTP API"
    groups = "".join(_group(document, tag) for tag in document["tags"])
    schemas = sorted(document["components"]["schemas"].items())
    shown = "".join(_schema(name, schema) for name, schema in schemas)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n'
        f'<body>\n<div><a class="skip" href="#content">Skip the list of operations</a>\n'
        f'<nav aria-label="Operations">{_contents(document)}</nav></div>\n'
        f'<main id="content" tabindex="-1">\n<h1>{title}</h1>\n'
        f"<p>{prose(info['description'])}</p>\n"
        f'<p class="faint">Version {escape(info["version"])}. For programs: '
        '<a href="openapi.json">openapi.json</a>.</p>\n'
        f"{_credentials(document)}{groups}"
        f'<h2 id="schemas">Schemas</h2>\n{shown}'
        "</main>\n</body>\n</html>\n"
    )


def prose(text: str) -> str:
    """Text with `code` in it, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _operations(document: Node, tag: str) -> Iterator[tuple[str, str, Node]]:
    """Method, path and description of the operations of a tag; HEAD is shown with its GET."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "head" and tag in operation["tags"]:
                yield method, path, operation


def _badge(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def _contents(document: Node) -> str:
    parts = []
    for tag in document["tags"]:
        rows = "".join(
            f'<li><a href="#{operation["operationId"]}">{_badge(method)} {escape(path)}</a></li>'
            for method, path, operation in _operations(document, tag["name"])
        )
        parts.append(f'<p><a href="#{tag["name"]}">{escape(tag["name"])}</a></p><ul>{rows}</ul>')
    return "".join(parts) + '<p><a href="#schemas">Schemas</a></p>'


def _credentials(document: Node) -> str:
    schemes = document["components"]["securitySchemes"]
    rows = [(f"<code>{name}</code>", prose(each["description"])) for name, each in schemes.items()]
    heading = '<h2 id="credentials">Credentials</h2>\n'
    return heading + _table("Credentials", ("Scheme", "Meaning"), rows)


def _group(document: Node, tag: Node) -> str:
    found = _operations(document, tag["name"])
    inside = "".join(_operation(document, *each) for each in found)
    name = escape(tag["name"])
    return f'<h2 id="{name}">{name}</h2>\n<p>{prose(tag["description"])}</p>\n{inside}'


def _table(label: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table with cells in HTML; a wide table can be scrolled with the keyboard."""
    heads = "".join(f'<th scope="col">{each}</th>' for each in head)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>\n{lines}</tbody></table></div>\n"
    )


def _operation(document: Node, method: str, path: str, operation: Node) -> str:
    name = operation["operationId"]
    also = "Also HEAD. " if "head" in document["paths"][path] and method == "get" else ""
    credential = "" if operation["security"] else "Needs no credential. "
    text = " ".join(filter(None, [f"{operation['summary']}.", operation.get("description")]))
    parts = [
        f'<section id="{name}" aria-labelledby="{name}-title">\n<h3 id="{name}-title">'
        f"{_badge(method)} <code>{escape(path)}</code> "
        f'<a class="anchor" href="#{name}" aria-label="Link to {name}">#</a></h3>\n'
        f'<p>{prose(text)} <span class="faint">{also}{credential}</span></p>\n',
        _parameters(name, operation.get("parameters", [])),
        _body(operation.get("requestBody")),
        f"<h4>Responses</h4>\n{_responses(name, operation['responses'])}",
        f'<h4>Example</h4>\n<pre tabindex="0"><code>{escape(curl(document, method, path))}'
        "</code></pre>\n</section>\n",
    ]
    return "".join(parts)


def _parameters(name: str, parameters: list[Node]) -> str:
    if not parameters:
        return ""
    rows = [
        (
            f"<code>{escape(each['name'])}</code>",
            each["in"] + (", required" if each.get("required") else ""),
            kind(each["schema"]),
            prose(each["description"]),
        )
        for each in parameters
    ]
    heads = ("Name", "In", "Type", "Meaning")
    return f"<h4>Parameters</h4>\n{_table(f'Parameters of {name}', heads, rows)}"


def _body(body: Node | None) -> str:
    if body is None:
        return ""
    lines = [
        f"<code>{media}</code>: {kind(content['schema'])}"
        for media, content in body["content"].items()
    ]
    optional = "" if body["required"] else " The body may be empty."
    return (
        f"<h4>Body</h4>\n<p>{prose(body['description'] + optional)}<br>{'<br>'.join(lines)}</p>\n"
    )


def _responses(name: str, responses: Node) -> str:
    rows = []
    for status, response in responses.items():
        content = [
            f"<code>{media}</code>" + (f" {kind(each['schema'])}" if media != "*/*" else "")
            for media, each in response.get("content", {}).items()
            if media != "application/problem+json"
        ]
        lines = "".join(f"<li>{prose(line)}</li>" for line in response["description"].split("\n"))
        fields = ", ".join(f"<code>{each}</code>" for each in response.get("headers", {}))
        what = "<br>".join(filter(None, [*content, fields and f"Headers: {fields}"]))
        rows.append((f"<code>{status}</code>", f'<ul class="codes">{lines}</ul>', what))
    return _table(f"Responses of {name}", ("Status", "Meaning", "Content"), rows)


def _schema(name: str, schema: Node) -> str:
    heading = (
        f'<section id="schema-{name}"><h3>{name} '
        f'<a class="anchor" href="#schema-{name}" aria-label="Link to {name}">#</a></h3>\n'
        f"<p>{prose(' '.join(schema.get('description', '').split()))}</p>\n"
    )
    if "properties" not in schema:
        return f"{heading}<p>{kind(schema)}</p></section>\n"
    needed = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>",
            kind(each) + ("" if field in needed else ' <span class="faint">optional</span>'),
            prose(_meaning(each)),
        )
        for field, each in schema["properties"].items()
    ]
    return f"{heading}{_table(name, ('Field', 'Type', 'Meaning'), rows)}</section>\n"


def kind(schema: Node) -> str:
    """The type of a value in a few words, as HTML with links to the schemas."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        shown = [f"<code>{escape(json.dumps(each))}</code>" for each in values]
        return " or ".join(shown) if len(shown) < 8 else f"{kind({'type': 'string'})}, a code"
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        return " or ".join(kind(each) for each in several)
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {kind(schema['items'])}"
    if schema.get("type") == "array":
        return "list of " + ", ".join(kind(each) for each in schema["prefixItems"])
    return escape(schema.get("type", "anything") + _limits(schema))


def _meaning(schema: Node) -> str:
    """The description of a value, or of the value if it is not null."""
    said = [each.get("description", "") for each in (schema, *schema.get("anyOf", ()))]
    return next(filter(None, said), "")


def _limits(schema: Node) -> str:
    if schema.get("format"):
        return f" ({schema['format']})"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**53 - 1:
        return f", {low:,} to {high:,}"
    length = schema.get("maxLength")
    return f", up to {length:,} characters" if length else ""


def curl(document: Node, method: str, path: str) -> str:
    """A `curl` command for the operation, with its examples."""
    operation = document["paths"][path][method]
    query = []
    for each in operation.get("parameters", []):
        value = each.get("example")
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", str(value))
        elif each["in"] == "query" and value is not None:
            query.append(f"{each['name']}={value[0] if isinstance(value, list) else value}")
    url = "$URL" + path + ("?" + "&".join(query) if query else "")
    words = ["curl"] if method == "get" else ["curl", "-X", method.upper()]
    if operation["security"]:
        words.append('-H "Authorization: Bearer $TOKEN"')
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        words.append(f"-d '{json.dumps(content['application/json'].get('example', {}))}'")
    elif content:
        words.append("--data-binary @photo.jpg")
    return " ".join([*words, f'"{url}"'])
