"""What the gateway process counts, as Prometheus text."""

from collections import Counter
from collections.abc import Callable

PREFIX = "pinakothek_gateway_"


class Counts:
    """Answers given by this process, and whatever else it is told to watch."""

    def __init__(self) -> None:
        self.cut = 0
        self._by_status: Counter[int] = Counter()
        self._body_bytes = 0
        self._watched: list[tuple[str, str, Callable[[], int]]] = []
        self.watch("sent_bytes_total", "Bytes of the bodies of answers.", lambda: self._body_bytes)
        self.watch("cut_total", "Answers that could not be finished.", lambda: self.cut)

    def answered(self, status: int, body_bytes: int) -> None:
        """Count an answer."""
        self._by_status[status] += 1
        self._body_bytes += body_bytes

    def watch(self, name: str, meaning: str, read: Callable[[], int]) -> None:
        """Report `read()` as `name`: a counter where that ends in `_total`, else a gauge."""
        self._watched.append((PREFIX + name, meaning, read))

    def text(self) -> str:
        """All of it, in the text exposition format."""
        name = f"{PREFIX}answers_total"
        lines = [f"# HELP {name} Answers by status.", f"# TYPE {name} counter"]
        lines += [f'{name}{{status="{status}"}} {count}' for status, count in sorted(self._by_status.items())]
        for name, meaning, read in self._watched:
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {read()}"]
        return "\n".join(lines) + "\n"
