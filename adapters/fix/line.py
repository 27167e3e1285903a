"""The child's way to the gateway: one line of text a notice, from any thread."""

from __future__ import annotations

import socket
import threading


class Line:
    """Tell the gateway things, from any thread."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lock = threading.Lock()

    def tell(self, text: str) -> None:
        """Send one line. A hint that the spool grew may be dropped: an earlier one is still unread."""
        flags = socket.MSG_DONTWAIT if text == "spooled" else 0
        line = text.replace("\n", " ").encode(errors="replace") + b"\n"
        try:
            with self._lock:
                self._link.sendall(line, flags | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:  # the gateway is gone; the main thread sees that too
            return
