import pytest

from lading.client.phase import NEXT, Event, Phase, after


@pytest.mark.parametrize(
    ("events", "phase"),
    [
        (["absent", "create", "opened"], Phase.OPEN),
        (["found", "opened"], Phase.OPEN),
        (["found", "start_over", "create", "opened"], Phase.OPEN),
        (["absent", "create", "found"], Phase.FOUND),
        (["absent", "create", "absent", "create"], Phase.CREATING),
        (["found", "opened", "opened"], Phase.OPEN),
        (["found", "opened", "start_over"], Phase.NEW),
    ],
)
def test_ways_through_an_upload(events: list[Event], phase: Phase) -> None:
    at = Phase.LOOKING
    for event in events:
        at = after(at, event)
    assert at is phase


@pytest.mark.parametrize(
    ("phase", "event"),
    [
        (Phase.LOOKING, "opened"),
        (Phase.LOOKING, "create"),
        (Phase.FOUND, "create"),
        (Phase.NEW, "opened"),
        (Phase.OPEN, "create"),
        (Phase.OPEN, "found"),
    ],
)
def test_an_illegal_event_raises(phase: Phase, event: Event) -> None:
    with pytest.raises(ValueError, match=f"{event} cannot happen in {phase.name}"):
        after(phase, event)


def test_every_phase_has_its_row() -> None:
    assert set(NEXT) == set(Phase)
