"""`secondlook broker-config`: users, access rules and certificates for a mosquitto of one's own."""

import base64
import hashlib
import secrets
import socket
from pathlib import Path

import click

from secondlook import access
from secondlook.errors import ConfigError
from secondlook.local.broker import DURABLE
from secondlook.local.folders import write_private

DATA = "/mosquitto/data"
"""Where the broker's own container image keeps what must outlive it."""
ITERATIONS = 10_000
"""Of PBKDF2-SHA512: mosquitto checks a password at each connect, which must stay quick on a
board; the passwords are random and 256 bits long, so more would protect nothing."""

CONF = """\
# Written by `secondlook broker-config`. Mount this folder at {mounted}.
per_listener_settings false
allow_anonymous false
{identify}acl_file {mounted}/acl

{listener}
"""
PLAIN = "listener {port}\n"
TLS = """\
listener {port}
cafile {mounted}/certificates/ca.crt
certfile {mounted}/certificates/server.crt
keyfile {mounted}/certificates/server.key
tls_version tlsv1.2
"""
BROKERS_KEYS = ("ca.crt", "server.crt", "server.key", "health.crt", "health.key")
CLIENT_FILES = (("cert", "crt"), ("key", "key"))
WITH_CERTIFICATES = "require_certificate true\nuse_identity_as_username true\n"


@click.command(name="broker-config")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("broker"),
    show_default=True,
    help="Folder to write; what it already holds of passwords and authority is kept.",
)
@click.option("--tls/--no-tls", default=True, show_default=True, help="Encrypt, on port 8883.")
@click.option(
    "--client-certificates",
    is_flag=True,
    help="Users show a certificate instead of a password.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name or address by which clients reach the broker; may be repeated. "
    "Default: this machine's name, mosquitto, localhost and 127.0.0.1.",
)
@click.option("--port", type=click.IntRange(1, 65_535), help="Default: 8883 with TLS, else 1883.")
@click.option("--root", default="secondlook", show_default=True, help="As mqtt.root.")
@click.option("--discovery", default="homeassistant", show_default=True, help="Home Assistant's.")
@click.option(
    "--mounted",
    default="/mosquitto/config",
    show_default=True,
    help="Where the broker finds the folder; `.` for its own path.",
)
@click.option(
    "--hand-out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="For containers: each folder in it that is named `broker` or after a user gets a copy of "
    "what that one needs, and no more.",
)
@click.option("--rotate", is_flag=True, help="Make new passwords and certificates for everyone.")
def command(
    *,
    out: Path,
    tls: bool,
    client_certificates: bool,
    hosts: tuple[str, ...],
    port: int | None,
    root: str,
    discovery: str,
    mounted: str,
    hand_out: Path | None,
    rotate: bool,
) -> None:
    """Write users, access rules and certificates for mosquitto.

    One user for each service and for those who read: a producer cannot read alerts, a consumer
    cannot write them, and who has no user gets nothing. The passwords are random, one file each;
    only hashes go to the broker. Run again, it keeps the passwords and the authority, and renews
    the certificates.

    With containers, --hand-out spreads copies: `--hand-out given` fills `given/broker`,
    `given/detector` and whatever else of that kind is there.

    \b
      secondlook broker-config --out broker --host alerts.lan
      secondlook broker-config --out broker --client-certificates
    """
    if client_certificates and not tls:
        raise ConfigError("--client-certificates needs TLS: leave out --no-tls")
    port = port or (8883 if tls else 1883)
    where = str(out.resolve()) if mounted == "." else mounted.rstrip("/")
    kept = f"{where}/data" if mounted == "." else DATA
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        if mounted == ".":
            (out / "data").mkdir(mode=0o700, exist_ok=True)
        if tls:
            _certify(out / "certificates", hosts or _own_names(), client_certificates, rotate)
        if not client_certificates:
            _hand_out_passwords(out, rotate=rotate)
        (out / "acl").write_text(access.acl(root, discovery), encoding="utf-8")
        (out / "acl").chmod(0o600)  # mosquitto warns about more
        conf = _conf(where, kept, port, tls=tls, certificates=client_certificates)
        (out / "mosquitto.conf").write_text(conf, encoding="utf-8")
        probe = _probe(out, where, port, tls=tls, certificates=client_certificates)
        for folder in sorted(hand_out.iterdir()) if hand_out else ():
            _give(out, folder, probe)
    except OSError as error:
        raise ConfigError(f"{error.filename or out} cannot be written: {error.strerror}") from None
    _explain(
        out, hosts[0] if hosts else "127.0.0.1", port, tls=tls, certificates=client_certificates
    )


def _give(out: Path, folder: Path, probe: str) -> None:
    """Copy into a folder what the broker, or the user of its name, needs; others get nothing."""
    keys, name = out / "certificates", folder.name
    if name == "broker":
        given = {each: out / each for each in ("mosquitto.conf", "acl", "passwd")}
        given |= {f"certificates/{each}": keys / each for each in BROKERS_KEYS}
        write_private(folder / "mosquitto_rr", probe.encode())
    elif name in {user.name for user in access.USERS}:
        given = {"ca.crt": keys / "ca.crt", "password": out / "passwords" / name}
        given |= {"client.crt": keys / f"{name}.crt", "client.key": keys / f"{name}.key"}
        write_private(folder / "username", name.encode())
    else:
        return
    for each, source in given.items():
        if source.exists():
            (folder / each).parent.mkdir(mode=0o700, exist_ok=True)
            write_private(folder / each, source.read_bytes())


def _probe(out: Path, where: str, port: int, *, tls: bool, certificates: bool) -> str:
    """Return the options of `mosquitto_rr` with which a user of its own hears itself, one a line.

    That program looks for them in $XDG_CONFIG_HOME: a password on its command line could be read
    by others.
    """
    lines = ["-h localhost", f"-p {port}", "-W 4", "-m alive"]
    lines += [f"-t {access.HEALTH}", f"-e {access.HEALTH}"]
    if tls:
        lines.append(f"--cafile {where}/certificates/ca.crt")
    if certificates:
        lines += [f"--{kind} {where}/certificates/health.{end}" for kind, end in CLIENT_FILES]
    else:
        password = (out / "passwords" / "health").read_text(encoding="utf-8").strip()
        lines += ["-u health", f"-P {password}"]
    return "".join(f"{line}\n" for line in lines)


def _own_names() -> tuple[str, ...]:
    return (socket.gethostname(), "mosquitto", "localhost", "127.0.0.1")


def _certify(folder: Path, names: tuple[str, ...], clients: bool, rotate: bool) -> None:
    if rotate:
        (folder / "ca.key").unlink(missing_ok=True)
    from secondlook.local.certificates import Authority  # noqa: PLC0415 - its library is optional

    authority = Authority(folder)
    authority.issue_server(folder, names)
    if clients:
        for user in access.USERS:
            authority.issue_client(folder, user.name)


def _hand_out_passwords(out: Path, *, rotate: bool) -> None:
    folder = out / "passwords"
    folder.mkdir(mode=0o700, exist_ok=True)
    lines = []
    for user in access.USERS:
        path = folder / user.name
        if rotate or not path.exists():
            write_private(path, secrets.token_urlsafe(32).encode())
        lines.append(f"{user.name}:{hashed(path.read_text(encoding='utf-8').strip())}\n")
    write_private(out / "passwd", "".join(lines).encode())


def hashed(password: str) -> str:
    """Return a password as mosquitto keeps it: `$7$<iterations>$<salt>$<hash>`, PBKDF2-SHA512."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"$7${ITERATIONS}${'$'.join(encoded)}"


def _conf(mounted: str, kept: str, port: int, *, tls: bool, certificates: bool) -> str:
    listener = (TLS if tls else PLAIN).format(port=port, mounted=mounted)
    if certificates:
        listener += WITH_CERTIFICATES
    identify = "" if certificates else f"password_file {mounted}/passwd\n"
    conf = CONF.format(mounted=mounted, identify=identify, listener=listener)
    return conf + DURABLE.format(kept=kept)


def _explain(out: Path, host: str, port: int, *, tls: bool, certificates: bool) -> None:
    click.echo(f"{out}/ holds mosquitto.conf, acl and what goes with them. The users:")
    for user in access.USERS:
        click.echo(f"  {user.name:14} {user.purpose}")
    click.echo("\nIn the configuration of the detector, for instance:\n")
    lines = ["mqtt:", f"  host: {host}", f"  port: {port}"]
    folder = out.resolve()
    if not certificates:
        lines += ["  username: detector", f"  password: !file {folder}/passwords/detector"]
    if tls:
        lines += ["  tls:", f"    ca_file: {folder}/certificates/ca.crt"]
    if certificates:
        lines += [
            f"    cert_file: {folder}/certificates/detector.crt",
            f"    key_file: {folder}/certificates/detector.key",
        ]
    click.echo("\n".join(f"  {line}" for line in lines))
    click.echo("\nKeep passwords/ and certificates/*.key to yourself, and out of version control.")
