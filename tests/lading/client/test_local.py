import pytest

from lading.client.local import guess_type


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp4", "video/mp4"),
        ("a.tar.gz", "application/gzip"),
        ("a.svg", "image/svg+xml"),
        ("a.unheard-of", None),
        ("a", None),
    ],
)
def test_types_by_name(name: str, kind: str | None) -> None:
    assert guess_type(name) == kind
