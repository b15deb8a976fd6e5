"""Places for snapshots: a folder, fsspec's memory, and two file systems of our own behind fsspec.

`disk://` is a folder reached through fsspec, so it is written by renaming. `objects://` behaves as
an object store: asynchronous, an upload shows at once, listings are remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem

from headrace.adapters.snapshots import remote as snapshots_remote

PROTOCOLS = ("local", "memory", "disk", "objects")


class Disk(LocalFileSystem):
    """The local file system under another name; `hook(method, path)` may spoil a call."""

    protocol = "disk"
    cachable = False
    hook: Any = staticmethod(lambda method, path: None)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).removeprefix("disk://"))

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        left = self.hook("put", path)
        Path(path).write_bytes(value if left is None else value[:left])
        if left is not None and left >= 0:
            raise ConnectionResetError("the line broke")

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        self.hook("mv", path2)
        Path(path1).replace(path2)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **named: Any) -> Any:
        self.hook("read", path)
        return super().cat_file(path, start, end, **named)

    def ls(self, path: str, detail: bool = False, **named: Any) -> Any:
        self.hook("ls", path)
        return super().ls(path, detail, **named)

    def rm_file(self, path: str) -> None:
        self.hook("rm", path)
        super().rm_file(path)


class Objects(AsyncFileSystem):
    """Objects in a dict of the class; `hook(method, path)` is awaited and may spoil a call."""

    protocol = "objects"
    cachable = False
    kept: dict[str, bytes] = {}  # noqa: RUF012 - one store for all instances is the point
    hook: Any = None

    async def _told(self, method: str, path: str) -> Any:
        await asyncio.sleep(0)
        return None if Objects.hook is None else await Objects.hook(method, path)

    async def _pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        left = await self._told("put", path)
        self.kept[path] = bytes(value) if left is None else bytes(value[:left])

    async def _cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        await self._told("read", path)
        return self._there(path)[start:end]

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        await self._told("info", path)
        for entry in self.dircache.get(self._parent(path), ()):
            if entry["name"] == path:
                return entry
        return {"name": path, "size": len(self._there(path)), "type": "file"}

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        await self._told("ls", path)
        if path not in self.dircache:
            found = [name for name in list(self.kept) if self._parent(name) == path]
            if not found:
                raise FileNotFoundError(path)
            self.dircache[path] = [
                {"name": name, "size": len(self.kept[name]), "type": "file"} for name in found
            ]
        entries = self.dircache[path]
        return entries if detail else [entry["name"] for entry in entries]

    async def _rm_file(self, path: str, **_: Any) -> None:
        await self._told("rm", path)
        self.kept.pop(path, None)

    async def _cp_file(self, path1: str, path2: str, **_: Any) -> None:
        raise AssertionError("an object store needs no copy to write a whole object")

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.pop(path, None)

    def _there(self, path: str) -> bytes:
        if path not in self.kept:
            raise FileNotFoundError(path)
        return self.kept[path]


@dataclass(frozen=True)
class Place:
    """A place, and a way round the store to what lies in it."""

    url: str

    @property
    def _fs(self) -> Any:
        return fsspec.url_to_fs(self.url)[0]

    @property
    def _path(self) -> str:
        return str(fsspec.url_to_fs(self.url)[1])

    def below(self, series: str) -> Place:
        return Place(f"{self.url}/{series}")

    def names(self) -> list[str]:
        try:
            paths = self._fs.ls(self._path, detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rpartition("/")[2] for path in paths)

    def read(self, name: str) -> bytes:
        return bytes(self._fs.cat_file(f"{self._path}/{name}"))

    def put(self, name: str, content: bytes) -> None:
        self._fs.pipe_file(f"{self._path}/{name}", content)

    def remove(self, name: str) -> None:
        self._fs.rm_file(f"{self._path}/{name}")

    def rename(self, name: str, other: str) -> None:
        self.put(other, self.read(name))
        self.remove(name)


@contextmanager
def opened(protocol: str, folder: Path) -> Iterator[Place]:
    """An empty place of this kind, gone afterwards."""
    fsspec.register_implementation("disk", Disk, clobber=True)
    fsspec.register_implementation("objects", Objects, clobber=True)
    shows_whole = snapshots_remote.SHOWS_WHOLE
    snapshots_remote.SHOWS_WHOLE = (*shows_whole, "objects")
    try:
        yield Place(str(folder) if protocol == "local" else f"{protocol}://{folder}")
    finally:
        snapshots_remote.SHOWS_WHOLE = shows_whole
        Objects.kept.clear()
        Objects.hook = None
        Disk.hook = staticmethod(lambda method, path: None)
        fsspec.filesystem("memory").store.clear()
