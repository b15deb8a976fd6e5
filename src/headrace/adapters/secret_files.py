"""Secrets in files of their own, read without ever being shown; the key of `[privacy]` is one."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadSettings
from ..privacy import Privacy
from ..settings.privacy import PrivacySettings


def read_secret(path: str, setting: str, what: str = "the password") -> str:
    """What a file holds, without white space around it.

    `setting` is who names the file, `what` should be in it. Raises `BadSettings` for a file that
    can't be read or is empty, with nothing of what it holds.

    >>> read_secret("no/such/file", "kafka.password_file")
    Traceback (most recent call last):
    headrace.errors.BadSettings: kafka.password_file is 'no/such/file': can't be read (No such...
    """
    where = f"{setting} is {path!r}"
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSettings(f"{where}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError:
        # Without the cause: its text would show bytes of the secret.
        raise BadSettings(f"{where}: not UTF-8") from None
    if not found:
        raise BadSettings(f"{where}: empty; must hold {what}")
    return found


def load_privacy(settings: PrivacySettings) -> Privacy:
    """Read the key, if anything is hashed. Raises `BadSettings` where it can't be had.

    >>> load_privacy(PrivacySettings(features={"age": "hash"}, key_file="no/such/file"))
    Traceback (most recent call last):
    headrace.errors.BadSettings: privacy.key_file is 'no/such/file': can't be read (No such...
    """
    key = ""
    if settings.needs_key and settings.key_file:
        key = read_secret(settings.key_file, "privacy.key_file", "a key")
    return Privacy(settings, key.encode())
