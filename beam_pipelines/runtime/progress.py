"""Progress, seen from outside the runner: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from schemas.common.bars import bar

_WORTH_A_LINE = 5  # s; elsewhere than on a terminal a shorter work is not worth one


class Progress:
    """A context that shows how far a long work is.

    Parameters
    ----------
    label : str
        What is being done.
    total : int, optional
        How much there is to do.
    look : callable, optional
        Returns how much is done; asked once a second on a terminal, else once a minute.
    """

    def __init__(
        self, label: str, total: int | None = None, look: Callable[[], int] | None = None
    ) -> None:
        self.label, self.total, self.look = label, total, look
        self.terminal = sys.stderr.isatty()
        self.stop = threading.Event()

    def __enter__(self) -> Progress:
        self.started = time.monotonic()
        if self.terminal:
            self._show()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        seconds = time.monotonic() - self.started
        if kind is None and (self.terminal or self.total or seconds >= _WORTH_A_LINE):
            self._show("\n" if self.terminal else "")

    def _run(self) -> None:
        while not self.stop.wait(1 if self.terminal else 60):
            self._show()

    def _show(self, end: str = "") -> None:
        seconds = time.monotonic() - self.started
        text = f"{self.label}: {seconds:.0f} s"
        if self.look is not None and self.total:
            done = self.look()
            text = f"{self.label}: {done:,} of {self.total:,}, {seconds:.0f} s"
            if self.terminal:
                text += f" [{bar(done / self.total)}]"
        line = f"\r\x1b[K{text}{end}" if self.terminal else f"{text}\n"
        sys.stderr.write(line)
        sys.stderr.flush()
