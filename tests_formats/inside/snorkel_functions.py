"""Labelling functions made with Snorkel's own decorators, for the Python that has its files.

What these do not use of it, torch above all, is stood for by empty modules.
"""

import importlib.abc
import importlib.machinery
import sys
import types

ABSENT = {"torch", "networkx", "munkres", "tensorboard"}


class Empty(types.ModuleType):
    """A module that has every class, all of them empty."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ABSENT:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Empty(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Finder())

from snorkel.labeling.lf import labeling_function  # noqa: E402
from snorkel.preprocess import preprocessor  # noqa: E402

ABSTAIN, HAM, SPAM = -1, 0, 1


@preprocessor()
def lower(x):
    x.text_lower = x.text.lower()
    return x


@labeling_function()
def shouts(x):
    return SPAM if x.text.isupper() else ABSTAIN


@labeling_function(name="has_link", pre=[lower], resources={"words": ["http"]})
def links(x, words):
    return SPAM if any(word in x.text_lower for word in words) else HAM
