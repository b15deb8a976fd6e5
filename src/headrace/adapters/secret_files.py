"""Secrets in files of their own, such as the key of `[privacy]`; no error ever shows one."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadSettings
from ..privacy import Privacy
from ..settings.privacy import PrivacySettings


def read_secret(path: str, setting: str, what: str = "the password") -> str:
    """Return the content of a file, without white space around it.

    For errors, `setting` is the setting that names the file, and `what` should be in it. Raises
    `BadSettings` for a file that can't be read or is empty; the error shows none of its content.

    >>> read_secret("no/such/file", "kafka.password_file")
    Traceback (most recent call last):
    headrace.errors.BadSettings: kafka.password_file is 'no/such/file': can't be read (No such...
    """
    where = f"{setting} is {path!r}"
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSettings(f"{where}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError:
        # From None, because the text of the cause would show bytes of the secret.
        raise BadSettings(f"{where}: not UTF-8") from None
    if not secret:
        raise BadSettings(f"{where}: empty; must hold {what}")
    return secret


def load_privacy(settings: PrivacySettings) -> Privacy:
    """Read the key of `[privacy]` if anything is hashed. Raises `BadSettings` if it can't be read.

    >>> load_privacy(PrivacySettings(features={"age": "hash"}, key_file="no/such/file"))
    Traceback (most recent call last):
    headrace.errors.BadSettings: privacy.key_file is 'no/such/file': can't be read (No such...
    """
    key = ""
    if settings.needs_key and settings.key_file:
        key = read_secret(settings.key_file, "privacy.key_file", "a key")
    return Privacy(settings, key.encode())
