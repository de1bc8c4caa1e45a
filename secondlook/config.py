"""The configuration: every key, its default, its range and a sentence. Reads one YAML file.

Nothing here opens a socket, a camera or a model: `secondlook check` does that.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from secondlook import versions
from secondlook.messages import Score, Slug
from secondlook.model_spec import ModelParameters

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Megabytes = Annotated[int, Field(ge=1, le=1_000_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Polygon = Annotated[list[tuple[Fraction, Fraction]], Field(min_length=3, max_length=100)]
"""Corners as (x, y), each a fraction of the picture's width and height."""

SCHEMES = ("rtsp", "rtsps", "webcam", "file", "folder", "synthetic", "ffmpeg")


def _known_scheme(source: SecretStr) -> SecretStr:
    scheme = source.get_secret_value().partition(":")[0]
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise ValueError(f"a source begins with one of {known}")
    return source


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no such time zone; give a name such as Europe/Berlin or UTC") from error
    return name


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]
"""A name or an address, without a port."""


def _as_written(switch: object) -> object:
    """Return `on` and `off` as people write them: YAML takes both for truth values."""
    return {True: "on", False: "off"}.get(switch, switch) if isinstance(switch, bool) else switch


Source = Annotated[SecretStr, AfterValidator(_known_scheme)]
"""Secret, because an RTSP address may carry a password."""
LocalPath = Annotated[Path, AfterValidator(Path.expanduser)]


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Tls(Section):
    """Encryption towards the broker."""

    ca_file: LocalPath | None = None
    """Certificate of the authority that signed the broker's; default: the system's."""
    cert_file: LocalPath | None = None
    """This client's own certificate, where the broker asks for one."""
    key_file: LocalPath | None = None
    """The key of `cert_file`."""

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file is given without cert_file")
        return self


class Mqtt(Section):
    """The broker."""

    host: str = "127.0.0.1"
    """Name or address of the broker."""
    port: Port = 1883
    """Its port; 8883 is usual with TLS."""
    username: str | None = None
    """Leave out for a broker without passwords."""
    password: SecretStr | None = None
    """Best given as `!env NAME` or `!file path`."""
    tls: Tls | None = None
    """Give `{}` to encrypt with the system's certificate authorities."""
    root: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64})*$")] = (
        "secondlook"
    )
    """The first level of every topic."""
    keepalive_s: Annotated[int, Field(ge=1, le=600)] = 3
    """The broker calls a silent service offline after one and a half times this."""
    client_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "secondlook"
    """Begins the client ids; change it when two installations share a broker."""

    @model_validator(mode="after")
    def _password_has_a_user(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("a password is given without a username")
        return self


class TritonServer(Section):
    """The model server."""

    url: Annotated[str, Field(pattern=r"^[^/\s]+:\d{1,5}$")] = "127.0.0.1:8001"
    """host:port of Triton's gRPC service."""
    deadline_s: Seconds = 2.0
    """An inference that takes longer is given up."""
    shared_memory: Annotated[Literal["auto", "on", "off"], BeforeValidator(_as_written)] = "auto"
    """Pass pictures through system shared memory; `auto` uses it where Triton can see it."""


class Frames(Section):
    """Where pictures wait for the detector."""

    directory: LocalPath = Path("/dev/shm/secondlook")  # noqa: S108 - the frame store must be in memory; it makes its folder private
    """A folder in memory (tmpfs), shared by producers, detector and classifier."""
    max_mb: Megabytes = 256
    """Room for all cameras together; each gets a fair share."""
    group_readable: bool = False
    """Let the group of `directory` read frames: for services that run as different users."""


class Motion(Section):
    """Skip frames in which nothing moves."""

    enabled: bool = False
    """Off: every frame is looked at."""
    min_area: Fraction = 0.001
    """The part of the picture that must change to count as motion."""
    threshold: Annotated[int, Field(ge=1, le=255)] = 20
    """The change of a grey value (0..255) that counts."""
    max_gap_s: Seconds = 5.0
    """A frame is sent at least this often, moving or not."""


class Camera(Section):
    """One camera."""

    source: Source
    """rtsp://…, webcam:0, file:clip.mp4, folder:pictures, synthetic:, or ffmpeg:…"""
    username: str | None = None
    """For an rtsp:// source, when it is not in the address."""
    password: SecretStr | None = None
    """For an rtsp:// source; best given as `!env NAME` or `!file path`."""
    fps: Annotated[float, Field(gt=0, le=120)] = 5.0
    """Frames per second to look at."""
    max_width: Annotated[int, Field(ge=64, le=16_384)] | None = None
    """Shrink wider pictures to this width before anything else."""
    zones: dict[Slug, Polygon] = {}
    """Look only at detections whose centre lies in one of these."""
    masks: list[Polygon] = []
    """Painted black by the producer: nobody downstream sees these pixels."""
    motion: Motion = Motion()
    """An optional motion gate."""
    blank_after_s: Seconds = 10.0
    """A picture that is black or does not change at all for this long counts as blind."""
    min_score: Score | None = None
    """Overrides `detector.min_score` for this camera."""

    def address(self) -> str:
        """Return the source with its username and password filled in. A secret: never log it."""
        source = self.source.get_secret_value()
        if self.username is None or not source.startswith(("rtsp://", "rtsps://")):
            return source
        parts = urlsplit(source)
        password = self.password.get_secret_value() if self.password else ""
        login = f"{quote(self.username, safe='')}:{quote(password, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


class CropCut(Section):
    """How a detection is cut out."""

    margin: Annotated[float, Field(ge=0, le=2)] = 0.15
    """Added on each side, as a part of the box's width and height."""
    min_px: Annotated[int, Field(ge=1, le=1024)] = 16
    """A detection whose shorter side is less is not sent: there is nothing to see."""
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 95
    """Quality of the cut-out."""


class Spool(Section):
    """Crops kept on disk until they are too old to matter."""

    directory: LocalPath = Path("data/spool")
    """Beside the configuration file unless absolute."""
    max_mb: Megabytes = 256
    """The oldest are shed beyond this, and counted."""


class Detector(Section):
    """The first network: finds everything that might matter."""

    model: str = "yolov5"
    """Its name in Triton's model repository."""
    version: str = ""
    """Its version; default: the newest."""
    parameters: ModelParameters | None = None
    """Overrides what the model's config.pbtxt says, or says it where that is silent."""
    min_score: Score | None = None
    """The score from which a detection counts; default: the model's own, else 0.25."""
    labels: list[str] | None = None
    """Look only at these of the model's labels; default: all."""
    nms_iou: Score = 0.45
    """Of two boxes of one label that overlap more than this, the better stays."""
    max_detections: Annotated[int, Field(ge=1, le=1000)] = 100
    """The best of a frame; the rest is counted and dropped."""
    in_flight: Annotated[int, Field(ge=1, le=64)] = 4
    """Calls to Triton at the same time."""
    max_batch: Annotated[int, Field(ge=1, le=64)] = 1
    """Frames of one call, of those that wait. More than one spares processor time where many
    cameras share a GPU; a model on the processor is no faster for it."""
    max_age_ms: Annotated[int, Field(ge=10, le=60_000)] = 1000
    """A frame that has waited longer is dropped unread."""
    max_looks_per_s: Annotated[float, Field(ge=1, le=1000)] = 30.0
    """Crops of one camera per second: a detector that finds a thousand things slows nobody else.
    Beyond it tracks that have been begun go first, then new ones; the rest is counted."""
    relook_s: Seconds = 1.0
    """A track is looked at again this often, once its first looks are taken."""
    lost_after_s: Seconds = 1.0
    """A track that is not seen for this long has ended."""
    seen_every_s: Annotated[float, Field(ge=0, le=2)] = 1.0
    """How often it says how far it has looked; 0: after every frame, as evaluations need it."""
    crop: CropCut = CropCut()
    """How a detection is cut out."""
    spool: Spool = Spool()
    """Where crops wait while the broker or the classifier is away."""


class Classifier(Section):
    """The second network: confirms or rejects."""

    model: str = "efficientnet_b0"
    """Its name in Triton's model repository."""
    version: str = ""
    """Its version; default: the newest."""
    parameters: ModelParameters | None = None
    """Overrides what the model's config.pbtxt says, or says it where that is silent."""
    database: LocalPath = Path("data/secondlook.sqlite3")
    """Inbox, episodes and outbox; beside the configuration file unless absolute."""
    max_batch: Annotated[int, Field(ge=1, le=256)] = 16
    """Crops per call, where the model takes that many."""
    when_model_down: Literal["hold", "unverified"] = "hold"
    """`hold`: judge later. `unverified`: let an alert pass under the label `unverified`."""
    unverified_after_s: Seconds = 2.0
    """With `unverified`: how long the model may be silent before alerts pass without it."""
    hold_s: Seconds = 300.0
    """How long crops are kept while the model or the classifier is away."""
    max_waiting: Annotated[int, Field(ge=10, le=1_000_000)] = 5000
    """Crops that may wait for a verdict; beyond it the least urgent are shed and counted."""


class Alerts(Section):
    """When looks become an alert."""

    labels: Annotated[list[Slug], Field(min_length=1)] = ["small_gun", "big_gun"]
    """The classifier's labels that alert."""
    confirm_score: Score | dict[Slug, Score] = 0.8
    """A look with an alert label best and at least this score is confirmed; or one per label."""
    reject_score: Score = 0.5
    """A look with another label best and at least this score is rejected."""
    k: Annotated[int, Field(ge=1, le=100)] = 2
    """So many confirmed looks …"""
    n: Annotated[int, Field(ge=1, le=100)] = 3
    """… of the last so many …"""
    within_s: Seconds = 2.0
    """… within this time open an episode."""
    update_s: Seconds = 2.0
    """At most one update of an episode in this time."""
    end_after_s: Seconds = 5.0
    """An episode ends after this long without a confirmed look, blind time not counted."""
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    """Within this time of a new alert, the same threat at the same place re-opens its episode."""
    replay_s: Seconds = 900.0
    """Delivered alerts are kept this long for those who ask on `replay`."""

    @model_validator(mode="after")
    def _rule_can_be_met(self) -> Self:
        if self.k > self.n:
            raise ValueError(f"k ({self.k}) confirmed of n ({self.n}) looks can never be: k <= n")
        if isinstance(self.confirm_score, dict):
            unknown = sorted(set(self.confirm_score) - set(self.labels))
            missing = sorted(set(self.labels) - set(self.confirm_score))
            if unknown or missing:
                raise ValueError(
                    "confirm_score needs one score for each of alerts.labels"
                    + (f"; missing: {', '.join(missing)}" if missing else "")
                    + (f"; not an alert label: {', '.join(unknown)}" if unknown else "")
                )
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label stands twice in labels")
        return self

    def score_needed(self, label: str) -> float:
        """Return the score that confirms a look at this label."""
        if isinstance(self.confirm_score, dict):
            return self.confirm_score[label]
        return self.confirm_score


class Snapshots(Section):
    """The pictures of alerts."""

    max_width: Annotated[int, Field(ge=320, le=7680)] = 1280
    """Wider ones are shrunk to this."""
    max_kb: Annotated[int, Field(ge=50, le=2000)] = 300
    """Larger ones are written coarser, then shrunk."""
    crop: bool = False
    """Also publish the cut-out, without drawing, on `pictures/<camera>/crop`."""
    clean: bool = False
    """Also publish the frame without drawing, on `pictures/<camera>/clean`."""
    keep: bool = True
    """Keep the newest picture of each alert in the classifier's database, as long as the alert."""

    @property
    def kinds(self) -> list[str]:
        """Return what is published beside snapshots."""
        return [kind for kind in ("crop", "clean") if getattr(self, kind)]


class HomeAssistant(Section):
    """Devices and entities for Home Assistant, by MQTT discovery."""

    enabled: bool = True
    """Announce them; false takes away what was announced before."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64})*$")] = (
        "homeassistant"
    )
    """The discovery prefix of Home Assistant, which also says `online` on `<prefix>/status`."""


class Metrics(Section):
    """Health and Prometheus metrics over HTTP: /livez, /readyz, /metrics."""

    bind: str = "127.0.0.1"
    """The address to listen on."""
    producers: Port | None = 9101
    """Port of the producers; null: none."""
    detector: Port | None = 9102
    """Port of the detector."""
    classifier: Port | None = 9103
    """Port of the classifier."""
    page: Port | None = 9104
    """Port of the status page's own health; the page itself is at `page.port`."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [p for p in (self.producers, self.detector, self.classifier, self.page) if p]
        if len(set(ports)) != len(ports):
            raise ValueError("each service needs a port of its own")
        return self


class Page(Section):
    """A web page with cameras, alerts and health. Whoever may open it sees your cameras."""

    enabled: bool = True
    """`secondlook up` serves it too; `secondlook page` serves it in any case."""
    bind: str = "127.0.0.1"
    """The address to listen on. It asks for no password: leave it on loopback, or put a proxy
    with a login and TLS before it."""
    port: Port = 8090
    """Its port; `secondlook up` takes another where this one is taken, and says so."""
    hosts: list[HostName] = []
    """Names and addresses under which browsers may ask for it, besides localhost and `bind`."""
    feedback: bool = False
    """Show two buttons with each alert that say what it really was."""
    max_viewers: Annotated[int, Field(ge=1, le=1000)] = 8
    """Browsers that may look at the same time."""
    client: Annotated[str, Field(pattern=r"^page[A-Za-z0-9_-]{0,36}$")] = "page"
    """Ends its client id and names it on `replay`; each page on a broker needs its own, such as
    `page-2`."""


class Retention(Section):
    """How long the classifier remembers what is over."""

    days: Annotated[float, Field(gt=0, le=3650)] = 7.0
    """Ended episodes and delivered alerts are deleted after this (never before `replay_s`)."""
    max_mb: Megabytes = 512
    """The database is kept below this; the oldest goes first."""


class Review(Section):
    """Crops kept for you to look over and to train with; off by default, for they are pictures."""

    enabled: bool = False
    """Keep crops."""
    folder: LocalPath = Path("data/review")
    """One folder per label, a JSON beside each crop; beside the configuration file unless
    absolute."""
    keep: Annotated[
        list[Literal["rejected", "uncertain", "corrected", "confirmed"]], Field(min_length=1)
    ] = ["rejected", "uncertain", "corrected"]
    """Which looks: `corrected` are those of alerts, until and after `feedback` on them."""
    max_count: Annotated[int, Field(ge=1, le=1_000_000)] = 5000
    """Crops; beyond it the oldest goes first, and what a human has labelled last."""
    max_mb: Megabytes = 200
    """Their size on the disk, likewise."""
    days: Annotated[float, Field(gt=0, le=3650)] = 90.0
    """Crops that no human has labelled are deleted after this."""
    min_distance: Annotated[int, Field(ge=0, le=64)] = 8
    """A crop that differs from a kept one in fewer of 64 bits of its difference hash is the same
    again; 0 keeps everything."""


class Log(Section):
    """What the services write to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind that is written."""
    json_lines: bool = False
    """One JSON object per line instead of text."""
    levels: dict[str, Literal["debug", "info", "warning", "error"]] = {}
    """Other levels for single modules, for instance `producers.sources: debug`."""


def slug(label: str) -> str:
    """Return a label as it stands in topics: lower case, `_` for anything else, 32 at most."""
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in label.lower())
    return kept[:32] or "_"


def check_slugs(labels: list[str]) -> None:
    """Refuse two labels that would share a topic.

    Raises:
        ValueError: Two labels have the same slug.
    """
    owner: dict[str, str] = {}
    for label in labels:
        other = owner.setdefault(slug(label), label)
        if other != label:
            raise ValueError(f"the labels {other} and {label} share the topic level {slug(label)}")


class Config(Section):
    """The whole file."""

    version: Annotated[int, Field(ge=versions.CONFIG_OLDEST, le=versions.CONFIG)] = versions.CONFIG
    """Of the format of this file; a program that cannot read it says so."""
    cameras: Annotated[dict[Slug, Camera], Field(min_length=1)]
    """Each camera under a name of a-z, 0-9 and _, at most 32 long."""
    mqtt: Mqtt = Mqtt()
    triton: TritonServer = TritonServer()
    frames: Frames = Frames()
    detector: Detector = Detector()
    classifier: Classifier = Classifier()
    alerts: Alerts = Alerts()
    snapshots: Snapshots = Snapshots()
    homeassistant: HomeAssistant = HomeAssistant()
    metrics: Metrics = Metrics()
    page: Page = Page()
    review: Review = Review()
    retention: Retention = Retention()
    log: Log = Log()
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "UTC"
    """Where the day begins that the counters count."""


def _placed(source: SecretStr, base: Path) -> SecretStr:
    scheme, _, rest = source.get_secret_value().partition(":")
    place, mark, options = rest.partition("?")
    if scheme not in ("file", "folder") or not place:
        return source
    return SecretStr(f"{scheme}:{base / Path(place).expanduser()}{mark}{options}")


def resolved(value: Any, base: Path) -> Any:  # noqa: ANN401 - walks any part of the configuration
    """Return a part of the configuration with its relative paths taken from `base`."""
    if isinstance(value, Path):
        return value if value.is_absolute() else base / value
    if isinstance(value, dict):
        return {key: resolved(part, base) for key, part in value.items()}
    if isinstance(value, Camera):
        return value.model_copy(update={"source": _placed(value.source, base)})
    if isinstance(value, Section):
        changed = {name: resolved(getattr(value, name), base) for name in type(value).model_fields}
        return value.model_copy(update=changed)
    return value
