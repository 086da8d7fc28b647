"""How the decoders say that a file is impossible."""


class Refusal(Exception):
    """The file is broken, or beyond the limits; the text says so to its owner."""


BROKEN = "The file is damaged, or ends too early."
