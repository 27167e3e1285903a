"""The gate between our messages and the filling of a venue's gap: one of the two at a time.

A ResendRequest(2) is answered with one SequenceReset(4) up to our next number. What left between the two
would be filled over: sent, never received, and nobody told.
"""

from __future__ import annotations

import threading

FILL_TIMEOUT_S = 1.0


class Gate:
    """Enter it to send (main thread); `shut` and `open` are the session's, on quickfix's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_filling = False
        self._is_sending = False

    def __enter__(self) -> None:
        self._is_sending = self._lock.acquire(timeout=FILL_TIMEOUT_S)

    def __exit__(self, *_: object) -> None:
        if self._is_sending:
            self._is_sending = False
            self._lock.release()
        else:  # a gap that was never filled: it holds nobody up a second time
            self.open()

    def shut(self) -> None:
        """Let nothing leave from now on; give up after a second, a session must not stand still."""
        self._is_filling = self._lock.acquire(timeout=FILL_TIMEOUT_S)

    def open(self) -> None:
        """Let messages leave again: the gap is filled."""
        if self._is_filling:
            self._is_filling = False
            self._lock.release()
