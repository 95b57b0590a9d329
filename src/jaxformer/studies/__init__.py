"""The paper in miniature: a ladder of small models through all stages, measured after each."""

from jaxformer.studies.ladder import Ladder, plan
from jaxformer.studies.miniature import reproduce

__all__ = ["Ladder", "plan", "reproduce"]
