"""A figure of the bench: ours, beside what it is held against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measurement. `ratio` is ours against the yardstick so that more is better; `least` is the bar for it."""

    section: str
    name: str
    ours: float
    unit: str
    yardstick: float | None = None
    against: str = ""
    ratio: float | None = None
    least: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the bar, if there is one, is met."""
        return self.least is None or (self.ratio is not None and self.ratio >= self.least)

    def line(self) -> str:
        """For people."""
        text = f"{self.section:<12} {self.name:<44} {self.ours:>10.2f} {self.unit:<9}"
        if self.yardstick is not None:
            text += f" {self.against}: {self.yardstick:.2f}"
        if self.ratio is not None:
            bar = "" if self.least is None else f" (bar {self.least:.2f}: {'ok' if self.passed else 'MISSED'})"
            text += f"   ratio {self.ratio:.2f}{bar}"
        return text
