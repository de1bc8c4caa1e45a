"""Makes a certificate authority of one's own and the certificates it signs.

For brokers on a private network. Keys are ECDSA P-256, which every MQTT client of today reads.
"""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from secondlook.errors import InstallError
from secondlook.local.folders import write_private

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    raise InstallError(
        "certificates need the library cryptography: pip install cryptography"
    ) from None

AUTHORITY_DAYS = 3650
LEAF_DAYS = 825
"""Longer ones are refused by some clients (Apple's since 2019)."""
_CLOCK_SKEW = timedelta(hours=1)
"""Boards without a battery start with a wrong clock."""


class Authority:
    """A key that signs, kept in a folder: `ca.crt` to hand out, `ca.key` to keep.

    Args:
        folder: Where both lie; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate_path, key_path = folder / "ca.crt", folder / "ca.key"
        if self.certificate_path.exists() and key_path.exists():
            self._certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
            loaded = serialization.load_pem_private_key(key_path.read_bytes(), None)
            if not isinstance(loaded, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{key_path} is no key that this program made")
            self._key = loaded
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Second Look private authority")
        usage = x509.KeyUsage(
            key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self._certificate = (
            _builder(name, name, self._key, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(key_path, _pem(self._key))
        self.certificate_path.write_bytes(self._certificate.public_bytes(_PEM))

    def issue_server(self, folder: Path, names: Sequence[str]) -> None:
        """Write `server.crt` and `server.key` for a server that clients know by these names."""
        self._issue(folder / "server", names[0], ExtendedKeyUsageOID.SERVER_AUTH, names)

    def issue_client(self, folder: Path, user: str) -> None:
        """Write `<user>.crt` and `<user>.key`; the broker takes the user's name from it."""
        self._issue(folder / user, user, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def _issue(
        self, path: Path, name: str, purpose: x509.ObjectIdentifier, names: Sequence[str]
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(name), self._certificate.subject, key, LEAF_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names:
            known = x509.SubjectAlternativeName([_alternative(one) for one in names])
            builder = builder.add_extension(known, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path.with_suffix(".key"), _pem(key))
        path.with_suffix(".crt").write_bytes(signed.public_bytes(_PEM))


_PEM = serialization.Encoding.PEM


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
