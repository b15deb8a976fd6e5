"""What requests show, with the key that `[privacy]` hashes with, from its file."""

from __future__ import annotations

from ..privacy import Privacy
from ..settings.privacy import PrivacySettings
from .secret_files import read_secret


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
