"""Folders that fsspec reaches: S3, GCS, Azure, SFTP, HDFS, a process's own memory...

Only this module uses fsspec, which is imported when the first such folder is opened. Servers and
credentials are configured in fsspec and its packages, not here.

An object store shows an upload whole or not at all. Elsewhere a file is written under a temporary
name and renamed. In both cases its size and its end, which is the signature over all of it, are
read back before it counts as written.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...errors import BadInput, BadSettings
from .folder import SNAPSHOT_BYTES_MAX, FolderUnreachable, check_size

TIMEOUT_S = 30.0
"""Limit for one request, where fsspec can set one: S3, GCS, Azure. Others have their own."""

SHOWS_WHOLE = ("memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
"""Protocols whose uploads appear whole; others cost a copy, under a temporary name."""

INSTALL = "pip install 'headrace[kafka]'"

_END_BYTES = 32
_LISTINGS_MAX = 10
_TOLD_MAX = 500


class RemoteFolder:
    """The folder of one series below a URL. Opening it makes no request but for credentials.

    The methods may be called from any thread but fsspec's own; they wait for the network, and raise
    `FolderUnreachable` for whatever fails there. Raises `BadSettings` if fsspec or the package that
    the protocol needs is not installed, or the protocol is unknown.
    """

    def __init__(self, url: str, series: str) -> None:
        self._fs, root = _open_file_system(url)
        self._path = "/".join(filter(None, (root.rstrip("/"), series)))
        self.shown = "/".join(filter(None, (url.rstrip("/"), series)))
        self._shows_whole = url.partition(":")[0] in SHOWS_WHOLE

    def read(self, name: str) -> bytes:
        path = f"{self._path}/{name}"
        with self._translate_errors(f"{name} can't be read"):
            self._fs.invalidate_cache(self._path)
            size = self._call_method("info", path)["size"]
        if size > SNAPSHOT_BYTES_MAX:
            raise BadInput(f"{size} bytes; no snapshot has over {SNAPSHOT_BYTES_MAX}")
        with self._translate_errors(f"{name} can't be read"):
            return bytes(self._call_method("cat_file", path))

    def write_whole(self, name: str, content: bytes) -> bool:
        check_size(name, content)
        path = f"{self._path}/{name}"
        if self._shows_whole:
            self._put_file(path, content)
        else:
            self._put_and_rename(path, content)
        with self._translate_errors(f"{name} was written and can't be read back"):
            return self._holds_content(path, content)

    def list_names(self) -> list[str]:
        with self._translate_errors("can't be listed"):
            for _ in range(_LISTINGS_MAX - 1):
                # fsspec's memory:// raises KeyError if another thread removes a file meanwhile.
                with suppress(KeyError):
                    return self._list_files()
            return self._list_files()

    def remove(self, name: str) -> None:
        with self._translate_errors(f"{name} can't be removed"), suppress(FileNotFoundError):
            self._call_method("rm_file", f"{self._path}/{name}")

    # ------------------------------------------------------------------------------- parts

    def _list_files(self) -> list[str]:
        self._fs.invalidate_cache(self._path)
        try:
            paths = self._call_method("ls", self._path, detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def _put_file(self, path: str, content: bytes) -> None:
        try:
            with self._translate_errors("can't be written to"):
                self._call_method("pipe_file", path, content)
        except FileNotFoundError as error:
            # What is missing is not a file but the bucket.
            raise FolderUnreachable(f"{self.shown} can't be written to: {error}") from error

    def _put_and_rename(self, path: str, content: bytes) -> None:
        temporary = f"{self._path}/.snapshot-{secrets.token_hex(8)}.tmp"
        with self._translate_errors("can't be made"):
            self._call_method("makedirs", self._path, exist_ok=True)
        try:
            self._put_file(temporary, content)
            with self._translate_errors("can't be written to"):
                # A file that was cut short must not get the name of a snapshot.
                if not self._holds_content(temporary, content):
                    raise OSError(f"of {len(content)} bytes not all were kept")
                self._rename_file(temporary, path)
        except BaseException:
            with suppress(Exception):
                self._call_method("rm_file", temporary)
            raise

    def _rename_file(self, temporary: str, path: str) -> None:
        try:
            self._call_method("mv", temporary, path)
        except FileNotFoundError:
            raise
        except Exception:
            # Some can't rename onto an existing file. A kill here leaves the earlier snapshots.
            if not self._call_method("exists", path):
                raise
            self._call_method("rm_file", path)
            self._call_method("mv", temporary, path)

    def _holds_content(self, path: str, content: bytes) -> bool:
        """Whether a file has the size and the last bytes of this content."""
        self._fs.invalidate_cache(self._path)
        size: int = self._call_method("info", path)["size"]
        start = max(0, size - _END_BYTES)
        return bytes(self._call_method("cat_file", path, start=start, end=size)) == content[start:]

    def _call_method(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the file system, with `TIMEOUT_S` where fsspec allows a limit."""
        coroutine = getattr(self._fs, f"_{method}", None) if self._fs.async_impl else None
        if coroutine is None:
            return getattr(self._fs, method)(*arguments, **named)
        from fsspec.asyn import sync  # noqa: PLC0415 - an extra

        return sync(self._fs.loop, coroutine, *arguments, timeout=TIMEOUT_S, **named)

    @contextmanager
    def _translate_errors(self, failed: str) -> Iterator[None]:
        """Turn whatever the packages behind fsspec raise into `FolderUnreachable`."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            raise FolderUnreachable(f"{self.shown}: {failed}: {_describe_error(error)}") from error


def _open_file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadSettings(f"{url} needs fsspec, which is not installed; {INSTALL}") from None
    try:
        file_system, path = url_to_fs(url)
    except ImportError as error:
        # fsspec's own error names the package that is missing.
        raise BadSettings(f"{url} can't be opened: {error}") from error
    except (ValueError, TypeError) as error:
        raise BadSettings(f"{url} can't be opened: {error}; check it, and fsspec's settings") from (
            error
        )
    except Exception as error:
        raise FolderUnreachable(f"{url} can't be opened: {_describe_error(error)}") from error
    return file_system, path


def _describe_error(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {TIMEOUT_S:g} s"
    return f"{type(error).__name__}: {error}"[:_TOLD_MAX]
