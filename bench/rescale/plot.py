# pyright: basic
"""Throughput around each event: one panel for each event, one line for each setting."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display

from matplotlib import pyplot

from bench.rescale.run import BIN_MILLIS, Repetition


def draw(repetitions: Sequence[Repetition], file: Path) -> None:
    """Write a PNG. Each line is the repetition with the median latency, from 3 s before the event."""
    events = list(dict.fromkeys(r.event for r in repetitions))
    figure, panels = pyplot.subplots(
        len(events), 1, figsize=(9, 2.4 * len(events)), squeeze=False, layout="constrained"
    )
    settings = list(dict.fromkeys(r.setting for r in repetitions))
    for event, panel in zip(events, panels[:, 0], strict=True):
        for number, setting in enumerate(settings):
            chosen = [r for r in repetitions if r.event == event and r.setting == setting]
            if not chosen:
                continue
            chosen.sort(key=lambda r: r.figures.latency_millis)
            shown = chosen[(len(chosen) - 1) // 2]
            seconds = [(n * BIN_MILLIS - shown.event_millis) / 1000 for n in range(len(shown.throughput))]
            panel.plot(seconds, shown.throughput, label=setting, color=f"C{number}", linewidth=1)
        panel.axvline(0, color="grey", linestyle=":", linewidth=1)
        panel.set_title(event, loc="left", fontsize=10)
        panel.set_ylabel("records/s")
        panel.set_xlim(left=-3)
        panel.set_ylim(bottom=0)
        panel.legend(loc="upper right", fontsize=8)
    panels[-1, 0].set_xlabel("seconds since the event")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
