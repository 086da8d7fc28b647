"""How the decoders say that a file is impossible."""


class Refusal(Exception):
    """The file is broken, or beyond the limits; the text says so to its owner."""


BROKEN = "The file is damaged, or ends too early."
UNKNOWN = "The picture is coded in a way, or so large, that no decoder here reads it."


def undecoded(error: Exception) -> Refusal:
    """Why libvips did not decode a picture. Its AV1 decoder takes none above some 35 megapixels."""
    return Refusal(UNKNOWN if "not supported by this decoder" in str(error) else BROKEN)
