"""Clock events in a sliding window."""

from __future__ import annotations

import random

from catalog.gpu import CLOCK_EVENTS
from exporter.gpus.throttle import WINDOW_SECONDS, ThrottleSamples


def test_each_event_counts_the_samples_of_the_window_that_had_it() -> None:
    chance = random.Random(7)
    samples, given = ThrottleSamples(), []
    now = 0.0
    for _ in range(400):
        now += chance.uniform(0.5, 3)
        given.append((now, chance.choice((0, 1, 4, 4 | 64, 8))))
        samples.add(*given[-1])
        masks = [mask for taken, mask in given if taken > now - WINDOW_SECONDS]
        assert samples.counts() == {name: sum(bool(mask & bit) for mask in masks) for bit, name in CLOCK_EVENTS.items()}
    assert len(masks) < len(given)
