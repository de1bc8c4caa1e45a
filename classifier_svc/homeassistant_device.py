"""One device of Home Assistant: the ids of its entities, its topics, what it waits for. Pure."""

from dataclasses import dataclass
from typing import Any

from secondlook import topics
from secondlook.topics import Topic

Component = dict[str, Any]
Entry = tuple[str, Component]


def words(name: str) -> str:
    """Return a slug as people write it: `front_door` as `Front door`."""
    return name.replace("_", " ").strip().capitalize() or name


@dataclass(frozen=True)
class Device:
    """Knows the ids and the topics of one device."""

    id: str
    root: str
    name: str
    """The camera, or `system`."""

    def entity(self, platform: str, key: str, name: str, **more: Any) -> tuple[str, Component]:  # noqa: ANN401 - whatever JSON holds
        """Return an entity under its key.

        Args:
            platform: What kind it is.
            key: Names it for good: what people have set for it hangs on that.
            name: For people.
            more: Its other options.
        """
        slug = "".join(c if c.isalnum() else "_" for c in self.root.lower())
        object_id = f"{slug}_{self.name}_{key.removeprefix('alert-')}"
        return f"{platform}-{key}", {
            "platform": platform,
            "unique_id": f"{self.id}-{key}",
            "name": name,
            # The first is read since 2025.10, the second before.
            "default_entity_id": f"{platform}.{object_id}",
            "object_id": object_id,
            **more,
        }

    def topic(self, topic: Topic[Any], **levels: str) -> str:
        """Return a topic of this camera."""
        given = {"camera": self.name} if "{camera}" in topic.pattern else {}
        return topic.path(self.root, **given, **levels)

    def status(self, service: str) -> str:
        """Return the topic that tells whether a service lives."""
        return topics.STATUS.path(self.root, service=service)

    def needs(self, *paths: str) -> Component:
        """Return the options of what is available only while all of these say `online`."""
        return {"availability": [{"topic": path} for path in paths], "availability_mode": "all"}

    def switched(self, key: str) -> Component:
        """Return the options of what the classifier can be told to do."""
        return self.needs(self.status("classifier")) | {
            "command_topic": self.topic(topics.SET, key=key),
            "state_topic": self.topic(topics.CONFIG, key=key),
            # A command that is kept would be obeyed again.
            "retain": False,
        }
