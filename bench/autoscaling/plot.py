# pyright: basic
"""Load, throughput, consumer lag, CPU and TaskManagers over time."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display

from matplotlib import pyplot

from bench.autoscaling.samples import Sample

_PANELS = (
    ("records/s", {"load": "load", "throughput": "throughput"}),
    ("records", {"lag": "consumer lag"}),
    ("cores", {"cpu": "CPU of all TaskManagers"}),
    ("TaskManagers", {"wanted": "wanted", "ready": "ready", "parallelism": "used by the job"}),
)


def draw(samples: Sequence[Sample], file: Path) -> None:
    """Write a PNG."""
    figure, panels = pyplot.subplots(len(_PANELS), 1, figsize=(9, 9), sharex=True, layout="constrained")
    minutes = [sample.seconds / 60 for sample in samples]
    for (unit, lines), panel in zip(_PANELS, panels, strict=True):
        for name, label in lines.items():
            panel.plot(minutes, [getattr(sample, name) for sample in samples], label=label, linewidth=1)
        panel.set_ylabel(unit)
        panel.set_ylim(bottom=0)
        panel.legend(loc="upper right", fontsize=8)
    panels[-1].set_xlabel("minutes")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
