"""TLS towards the broker, and what stands in the way of a connection, in words. Opens no socket."""

import ipaddress
import ssl

from secondlook.config import Mqtt, Tls
from secondlook.errors import ConfigError

_SIGNED_BY_A_STRANGER = {7, 18, 19, 20, 21}
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = {62, 64}
"""Of OpenSSL's X509_V_ERR_…, x509_vfy.h."""
_CHECK = {
    "Not authorized": "check mqtt.username and mqtt.password",
    "Bad user name or password": "check mqtt.username and mqtt.password",
    "Bad authentication method": "check mqtt.username and mqtt.password",
}


def context(tls: Tls) -> ssl.SSLContext:
    """Return what a connection needs: TLS 1.2 or newer, certificate and name checked.

    Raises:
        ConfigError: A file cannot be read, or is not what it should be.
    """
    try:
        made = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise ConfigError(_cannot("ca_file", tls.ca_file, error, "a certificate")) from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.sslsocket_class = _ClosedWhenRefused
    if tls.cert_file is None:
        return made
    for key, path in (("cert_file", tls.cert_file), ("key_file", tls.key_file or tls.cert_file)):
        try:
            path.read_bytes()  # OpenSSL does not say which of the two it misses
        except OSError as error:
            raise ConfigError(_cannot(key, path, error, "")) from None
    try:
        # Without a password given here, OpenSSL asks for one at the terminal, and waits.
        made.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                "mqtt.tls: the key of key_file is not that of the certificate of cert_file"
            ) from None
        files = "cert_file and key_file"
        what = "a certificate and its key, without a passphrase"
        raise ConfigError(f"mqtt.tls: {files} hold no usable pair: {what}, is needed") from None
    return made


class _ClosedWhenRefused(ssl.SSLSocket):
    """Paho leaves a socket whose handshake failed open until Python happens to collect it."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise


def _cannot(key: str, path: object, error: OSError, what: str) -> str:
    if isinstance(error, ssl.SSLError):
        return f"mqtt.tls.{key}: {path} is not {what} in PEM form"
    return f"mqtt.tls.{key}: {path} cannot be read: {error.strerror}"


def explain(error: Exception, mqtt: Mqtt) -> str:
    """Return why there is no connection and what to do about it; never a secret."""
    match error:
        case ssl.SSLCertVerificationError():
            said = _distrust(error, mqtt)
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            said = "it does not speak TLS on this port; check mqtt.port and mqtt.tls"
        case ssl.SSLEOFError() | ConnectionResetError() if mqtt.tls is not None:
            said = "it hung up; does it speak TLS on this port? check mqtt.port and mqtt.tls"
        case ssl.SSLError(reason=str(reason)) if "PROTOCOL" in reason:
            said = "it offers no TLS 1.2 or newer"
        case OSError(strerror=str(reason)):
            said = reason
        case _:
            said = str(error) or "it does not answer"
    advice = next((what for words, what in _CHECK.items() if words in said), "")
    return f"{said}; {advice}" if advice else said


def _distrust(error: ssl.SSLCertVerificationError, mqtt: Mqtt) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return (
            "its certificate has expired; renew it (`secondlook broker-config` again), or set the "
            "clock of this machine right"
        )
    if code == _NOT_YET_VALID:
        return "its certificate is not valid yet; is the clock of this machine right?"
    if code in _OTHER_NAME:
        return (
            f"its certificate is not for the name {mqtt.host}; set mqtt.host to a name that it is "
            f"for, or give it this one (`secondlook broker-config --host {mqtt.host}`)"
        )
    if code in _SIGNED_BY_A_STRANGER:
        return (
            "its certificate is signed by an authority that is not trusted here; set "
            "mqtt.tls.ca_file to the certificate of that authority"
        )
    return f"its certificate is not trusted: {error.verify_message}"


def hint(mqtt: Mqtt) -> str:
    """Return what may be wrong where a broker hangs up before it says a word."""
    if mqtt.tls is None:
        return "if it wants TLS, set mqtt.tls"
    if mqtt.tls.cert_file is None:
        return "if it wants a certificate of its clients, set mqtt.tls.cert_file and key_file"
    return "if it does not accept our certificate, check mqtt.tls.cert_file"


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, so that nobody can listen on the way."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
