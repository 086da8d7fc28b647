"""Media types: how one is written, which are the same, and which type a file's name suggests.

The table of names is Lading's own. Python's `mimetypes` reads the tables of the machine, so one
file would get different types on different machines.
Source: RFC 9110, section 8.3.1; the names of IANA's registry.
"""

from __future__ import annotations

import re

MAX_MEDIA_TYPE = 255

UNNAMED = "application/octet-stream"
"""The type of a file of which nothing is known."""

_NOT_NAMED = frozenset(
    {
        UNNAMED,
        "binary/octet-stream",  # S3's clients
        "application/x-www-form-urlencoded",  # curl and wget send it with every body
    }
)

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_QUOTED = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
# Chromium's MediaRecorder reports `video/webm;codecs=vp8,opus`: a comma that should be quoted.
_BARE = rf"{_WORD}(?:[ \t]*,[ \t]*{_WORD})*"
_PARAMETER = rf"({_WORD})=({_BARE}|{_QUOTED})"

MEDIA_TYPE = re.compile(
    rf"(?:{_WORD}/{_WORD}(?:[ \t]*;(?:[ \t]*{_WORD}=(?:{_BARE}|{_QUOTED}))?)*)?"
)
"""What is accepted: a type with parameters, some of them empty, or nothing for an unknown type."""

_EACH_PARAMETER = re.compile(_PARAMETER)
_WHOLE_WORD = re.compile(_WORD)
_ESCAPED = re.compile(r"\\(.)")

_SAME = {
    "application/x-gzip": "application/gzip",
    "application/x-pdf": "application/pdf",
    "application/x-zip": "application/zip",
    "application/x-zip-compressed": "application/zip",
    "application/x-matroska": "video/x-matroska",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "text/x-markdown": "text/markdown",
    "video/avi": "video/x-msvideo",
    "video/x-m4v": "video/mp4",
}
"""Names that clients use, and the name by which others know the same type."""


def essence(value: str) -> str:
    """The type without its parameters, in lower case, by the name that is usual for it."""
    plain = value.partition(";")[0].strip().lower()
    return _SAME.get(plain, plain)


def normalized(value: str) -> str:
    """The one way to write a type: `VIDEO/webm;Codecs=vp8,opus` is `video/webm; codecs="vp8,opus"`.

    Of a parameter that is given twice, the first counts. The last ones are left out where quotes
    would make the type too long. Text that is no type, or is too long, is
    returned as it is: `MEDIA_TYPE` and `MAX_MEDIA_TYPE` tell.
    """
    if len(value) > MAX_MEDIA_TYPE or not value or not MEDIA_TYPE.fullmatch(value):
        return value
    parameters: dict[str, str] = {}
    for name, text in _EACH_PARAMETER.findall(value.partition(";")[2]):
        parameters.setdefault(name.lower(), _written(text))
    written = essence(value)
    for name, text in parameters.items():
        longer = f"{written}; {name}={text}"
        if len(longer) > MAX_MEDIA_TYPE:
            break
        written = longer
    return written


def _written(text: str) -> str:
    """A parameter's value, with quotes where it needs them."""
    plain = _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text
    if _WHOLE_WORD.fullmatch(plain):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_named(value: str | None) -> bool:
    """Whether somebody said what the file is. Clients send some types when they do not know."""
    plain = essence(value or "")
    return plain != "" and "*" not in plain and plain not in _NOT_NAMED  # Android sends `image/*`


def assumed(value: str | None, name: str) -> str:
    """The type of a file until its first bytes are known: what was said, or what its name says."""
    if value is not None and is_named(value):
        return value
    return by_name(name) or UNNAMED


def by_name(name: str) -> str | None:
    """The type that a file's name suggests by its ending; None for an ending that is not known."""
    _, dot, ending = name.rpartition(".")
    return _BY_ENDING.get(ending.lower()) if dot else None


_ENDINGS = {
    "application/dash+xml": "mpd",
    "application/epub+zip": "epub",
    "application/geo+json": "geojson",
    "application/gzip": "gz tgz svgz",
    "application/json": "json map",
    "application/manifest+json": "webmanifest",
    "application/msword": "doc dot",
    "application/ogg": "ogx",
    "application/pdf": "pdf",
    "application/postscript": "ai eps ps",
    "application/rtf": "rtf",
    "application/sql": "sql",
    "application/vnd.android.package-archive": "apk",
    "application/vnd.apple.mpegurl": "m3u8 m3u",
    "application/vnd.debian.binary-package": "deb",
    "application/vnd.ms-excel": "xls xlt",
    "application/vnd.ms-fontobject": "eot",
    "application/vnd.ms-powerpoint": "ppt pps pot",
    "application/vnd.oasis.opendocument.graphics": "odg",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.rar": "rar",
    "application/vnd.sqlite3": "sqlite sqlite3 db",
    "application/wasm": "wasm",
    "application/x-7z-compressed": "7z",
    "application/x-bzip2": "bz2",
    "application/x-iso9660-image": "iso",
    "application/x-rpm": "rpm",
    "application/x-sh": "sh",
    "application/x-subrip": "srt",
    "application/x-tar": "tar",
    "application/x-xz": "xz txz",
    "application/xhtml+xml": "xhtml xht",
    "application/xml": "xml xsl xsd",
    "application/yaml": "yaml yml",
    "application/zip": "zip",
    "application/zstd": "zst",
    "audio/aac": "aac adts",
    "audio/ac3": "ac3",
    "audio/aiff": "aif aiff aifc",
    "audio/amr": "amr",
    "audio/basic": "au snd",
    "audio/flac": "flac",
    "audio/midi": "mid midi",
    "audio/mp4": "m4a m4b m4r",
    "audio/mpeg": "mp3 mp2 mpga",
    "audio/ogg": "ogg oga opus spx",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "audio/x-ms-wma": "wma",
    "font/collection": "ttc",
    "font/otf": "otf",
    "font/ttf": "ttf",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "image/apng": "apng",
    "image/avif": "avif avifs",
    "image/bmp": "bmp dib",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/heif": "heif hif",
    "image/jp2": "jp2 jpg2",
    "image/jpeg": "jpg jpeg jpe jfif pjpeg pjp",
    "image/jxl": "jxl",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/vnd.adobe.photoshop": "psd",
    "image/webp": "webp",
    "image/x-adobe-dng": "dng",
    "image/x-canon-cr2": "cr2",
    "image/x-canon-cr3": "cr3",
    "image/x-fuji-raf": "raf",
    "image/x-icon": "ico cur",
    "image/x-nikon-nef": "nef",
    "image/x-olympus-orf": "orf",
    "image/x-panasonic-rw2": "rw2",
    "image/x-sony-arw": "arw",
    "message/rfc822": "eml mht mhtml",
    "model/gltf+json": "gltf",
    "model/gltf-binary": "glb",
    "model/obj": "obj",
    "model/stl": "stl",
    "text/calendar": "ics",
    "text/css": "css",
    "text/csv": "csv",
    "text/html": "html htm",
    "text/javascript": "js mjs cjs",
    "text/markdown": "md markdown",
    "text/plain": "txt text log conf ini toml c h cc cpp hpp rs go java kt tsx",
    "text/tab-separated-values": "tsv",
    "text/vcard": "vcf vcard",
    "text/vtt": "vtt",
    "text/x-python": "py",
    "video/3gpp": "3gp 3gpp",
    "video/3gpp2": "3g2",
    "video/mp2t": "ts mts m2ts m2t",
    "video/mp4": "mp4 m4v mp4v",
    "video/mpeg": "mpeg mpg mpe m2v vob",
    "video/ogg": "ogv",
    "video/quicktime": "mov qt",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/x-matroska": "mkv mk3d",
    "video/x-ms-asf": "asf",
    "video/x-ms-wmv": "wmv",
    "video/x-msvideo": "avi",
    "audio/x-matroska": "mka",
}

_BY_ENDING = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
