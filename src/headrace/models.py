"""Models for `Engine(model=...)`: the committee, which is the default, and its members.

Any classifier of river can be the model too, or a member of a committee; so can any classifier of
scikit-learn, as it is or in a `SklearnClassifier`, which says how it learns.
"""

from .learn.committee.committee import Committee
from .learn.committee.discriminant import Discriminant
from .learn.committee.evidence import Evidence, Member, Rows
from .learn.committee.gaussian_process import GaussianProcess
from .learn.estimator import SklearnClassifier
from .learn.models import build, check_model

__all__ = [
    "Committee",
    "Discriminant",
    "Evidence",
    "GaussianProcess",
    "Member",
    "Rows",
    "SklearnClassifier",
    "build",
    "check_model",
]
