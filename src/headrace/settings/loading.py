"""The settings in a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from msgspec.structs import replace

from ..errors import BadInput
from .sections import Settings, parse


def load(path: Path) -> Settings:
    """Read the settings from a TOML file; relative paths of key files start from its folder.

    Args:
        path: The file.

    Returns:
        The settings, checked.

    Raises:
        BadInput: The file can't be read, or is not TOML in UTF-8.
        BadSettings: Settings are unknown, out of bounds or contradict each other; it has every
            fault.

    >>> load(Path("nowhere.toml"))
    Traceback (most recent call last):
    headrace.errors.BadInput: nowhere.toml can't be read: No such file or directory
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8: {error.reason}; save it as UTF-8") from error
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not TOML: {error}") from error
    settings, folder = parse(raw), path.parent.absolute()
    privacy, sealing = settings.privacy, settings.sealing
    if privacy.key_file:
        privacy = replace(privacy, key_file=str(folder / privacy.key_file))
    if sealing.keys_file:
        sealing = replace(sealing, keys_file=str(folder / sealing.keys_file))
    return replace(settings, privacy=privacy, sealing=sealing)


def load_for_kafka(path: Path) -> Settings:
    """Read as `load` does; relative paths in `[kafka]` and `[worker]` start from the folder too.

    Args:
        path: The file.

    Returns:
        The settings, checked.

    Raises:
        BadInput: As for `load`.
        BadSettings: As for `load`.

    >>> load_for_kafka(Path("nowhere.toml"))
    Traceback (most recent call last):
    headrace.errors.BadInput: nowhere.toml can't be read: No such file or directory
    """
    settings, folder = load(path), path.parent
    kafka, worker = settings.kafka, settings.worker
    files = {
        name: str(folder / getattr(kafka, name))
        for name in ("ca_file", "cert_file", "key_file", "password_file")
        if getattr(kafka, name)
    }
    if "://" not in worker.snapshots:
        worker = replace(worker, snapshots=str(folder / worker.snapshots))
    return replace(settings, kafka=replace(kafka, **files), worker=worker)
