"""Bytes of states: Headrace's own objects as data, models as a pickle."""
