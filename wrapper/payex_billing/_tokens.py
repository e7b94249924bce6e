"""Where the token comes from: a string, a file that is read again when it changes, or a function that is asked.

The token that the server refused is replaced once for all who had it: threads and tasks that meet the same 401 wait for
one new token instead of fetching one each.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from pathlib import Path

from .config import AsyncTokenProvider, check_token
from .errors import ConfigurationError


class TokenSource:
    """A token that may change, for threads.

    Args:
        source: the token, the path of a file that holds it, or a function that returns it.
    """

    def __init__(self, source: str | Path | AsyncTokenProvider) -> None:
        if inspect.iscoroutinefunction(source):
            raise ConfigurationError("token is an async function, which only AsyncBilling can await")
        self._source = source
        self._lock = threading.Lock()
        self._token = ""
        self._stamp: tuple[int, ...] = ()

    def get(self, refused: str | None = None) -> str:
        """The token; one other than `refused`, if there is one.

        Raises:
            ConfigurationError: there is no usable token.
        """
        if isinstance(self._source, str):
            return self._source
        with self._lock:
            if isinstance(self._source, Path):
                self._read_file(self._source, again=refused == self._token)
            elif not self._token or refused == self._token:
                token = self._source()
                if not isinstance(token, str):
                    _discard(token)
                    raise ConfigurationError(f"the token function returned {type(token).__name__}, not a str")
                self._token = check_token(token, "what the token function returned")
            return self._token

    def _read_file(self, path: Path, *, again: bool) -> None:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if again or stamp != self._stamp:
                text = path.read_text(encoding="utf-8").strip()
                self._token, self._stamp = check_token(text, f"the token file {path}"), stamp
        except (OSError, UnicodeDecodeError) as error:
            # A file that is being replaced must not stop the work that the old token still does.
            if not self._token:
                raise ConfigurationError(f"the token file {path} cannot be read: {error}") from error


class AsyncTokenSource:
    """The same for tasks of one event loop. The function may be async; one that is not runs in a thread."""

    def __init__(self, source: str | Path | AsyncTokenProvider) -> None:
        self._fixed = source if isinstance(source, str) else None
        self._provider = source if inspect.iscoroutinefunction(source) else None
        self._blocking = TokenSource(source) if self._provider is None else None
        self._lock = asyncio.Lock()
        self._token = ""

    async def get(self, refused: str | None = None) -> str:
        """The token; one other than `refused`, if there is one.

        Raises:
            ConfigurationError: there is no usable token.
        """
        if self._fixed is not None:
            return self._fixed
        if self._token and refused != self._token and self._provider is not None:
            return self._token
        async with self._lock:
            if self._blocking is not None:
                return await asyncio.to_thread(self._blocking.get, refused)
            if self._provider is not None and (not self._token or refused == self._token):
                token = await self._provider()
                if not isinstance(token, str):
                    raise ConfigurationError(f"the token function returned {type(token).__name__}, not a str")
                self._token = check_token(token, "what the token function returned")
            return self._token


def _discard(value: object) -> None:
    """Close a coroutine that nobody will await, so that it does not warn."""
    if inspect.iscoroutine(value):
        value.close()
