"""How a camera is taken leave of that is configured no more. Told the time; no I/O."""

import contextlib
import logging
from collections.abc import Collection, Iterable

from classifier_svc.announce import Announcer, messages_of
from classifier_svc.judge import Judge
from classifier_svc.outbox_rows import Outgoing
from classifier_svc.records import Change
from secondlook import topics
from secondlook.config import Alerts
from secondlook.messages import Alert

log = logging.getLogger(__name__)


def farewell(
    rows: Iterable[tuple[str, str, str, bytes]],
    cameras: Collection[str],
    *,
    rule: Alerts,
    root: str,
    now_ns: int,
) -> tuple[list[Alert], list[Outgoing], list[Change]]:
    """Return how the open episodes of departed cameras end, and what is to be forgotten.

    Args:
        rows: The memory of all cameras: camera, kind, key and value.
        cameras: Those that are configured.
        rule: The `alerts` section.
        root: The first level of every topic.
        now_ns: Unix time.
    """
    judges: dict[str, Judge] = {}
    changes: list[Change] = []
    for camera, kind, key, value in rows:
        if camera in cameras:
            continue
        changes.append((camera, kind, key, None))
        if kind == "episode":
            judge = judges.setdefault(camera, Judge(camera, rule, entropy=bytes))
            with contextlib.suppress(ValueError):
                judge.memory.restore(kind, key, value)
    alerts: list[Alert] = []
    messages: list[Outgoing] = []
    for camera, judge in judges.items():
        announcer = Announcer(camera, root, ())
        announcer.begin(judge.memory.episodes.values())
        told, more = messages_of(judge.close_others(()), announcer, {}, now_ns)
        alerts += told
        # Nothing new is retained of a camera that is gone, but its states.
        messages += [each for each in more if each.topic != topics.LAST.pattern]
    for camera in sorted({change[0] for change in changes}):
        log.info("camera %s is configured no more: what was known of it is forgotten", camera)
    return alerts, messages, changes
