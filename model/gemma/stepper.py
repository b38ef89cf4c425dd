"""Work that cannot be called step by step, let through one stretch at a time: it runs on a thread of its own and waits
at every `pause`. Knows nothing of what the work is."""

from __future__ import annotations

import threading
from collections.abc import Callable


class StoppedError(BaseException):
    """Raised by `pause` in work that is to end; not an Exception, so that work does not catch it by mistake."""


class Stepper:
    """`work` is given `pause`, to be called where a stretch ends. Only one thread may call `step` and `close`."""

    def __init__(self, work: Callable[[Callable[[], None]], None], name: str) -> None:
        self._work = work
        self._go = threading.Semaphore(0)
        self._here = threading.Semaphore(0)
        self._is_stopped = False
        self._is_ended = False
        self._error: BaseException | None = None
        # A daemon, since a thread that nobody lets go on must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def step(self) -> bool:
        """Let it go on to its next pause; False when it came to its end instead. Raises what it raised."""
        if self._is_ended:
            return False
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._here.acquire()
        if not self._is_ended:
            return True
        self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return False

    def close(self) -> None:
        """End it where it waits. May be called more than once."""
        if not self._is_ended and self._thread.ident is not None:
            self._is_stopped = True
            self._go.release()
            self._thread.join()
        self._is_ended, self._error = True, None

    def _pause(self) -> None:
        self._here.release()
        self._go.acquire()
        if self._is_stopped:
            raise StoppedError

    def _run(self) -> None:
        try:
            self._work(self._pause)
        except StoppedError:
            pass
        except BaseException as error:  # whoever steps it is to hear of it
            self._error = error
        finally:
            self._is_ended = True
            self._here.release()
