"""Who may ask: read as an attacker would."""

import pytest
from starlette.datastructures import Headers

from secondlook.page.guard import HEADERS, allowed_names, host_name, refusal

NAMES = allowed_names("127.0.0.1", [])
OWN = {"host": "127.0.0.1:8090"}


def refused(path: str = "/", method: str = "GET", **headers: str) -> str | None:
    given = OWN | {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(method, path, Headers(given), NAMES)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:8090", "127.0.0.1"),
        ("LocalHost", "localhost"),
        ("localhost.:80", "localhost"),
        ("[::1]:8090", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("pi.lan:8090", "pi.lan"),
        ("", ""),
    ],
)
def test_a_host_header_is_read_without_its_port(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize("host", ["127.0.0.1:8090", "127.0.0.1", "localhost:1", "[::1]:8090"])
def test_this_machine_may_ask_under_its_loopback_names(host: str) -> None:
    assert refused(host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8090",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example#localhost",
        "127.0.0.1@evil.example",
        "192.0.2.7:8090",
        "[::1].evil.example:80",
        "",
    ],
)
def test_a_name_that_somebody_points_here_is_refused(host: str) -> None:
    """DNS rebinding: the browser believes that it talks to the attacker's site."""
    said = refused(host=host)
    assert said is not None
    assert "page.hosts" in said
    assert not host or host not in said


def test_two_host_headers_or_none_are_refused() -> None:
    two = Headers(raw=[(b"host", b"localhost"), (b"host", b"evil.example")])
    assert refusal("GET", "/", two, NAMES) is not None
    assert refusal("GET", "/", Headers({}), NAMES) is not None


def test_more_names_are_for_the_configuration_to_give() -> None:
    names = allowed_names("192.0.2.7", ["Pi.lan"])

    for host in ("pi.lan:8090", "192.0.2.7", "localhost"):
        assert refusal("GET", "/", Headers({"host": host}), names) is None
    assert "0.0.0.0" not in allowed_names("0.0.0.0", [])  # noqa: S104 - not bound


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "path", ["/events", "/cameras/yard/live.jpg", "/feedback", "/site/page.js"]
)
def test_another_site_may_not_ask(site: str, path: str) -> None:
    assert refused(path, sec_fetch_site=site, sec_fetch_mode="no-cors") is not None
    assert refused(path, sec_fetch_site=site, sec_fetch_mode="navigate") is not None
    assert refused(path, "POST", sec_fetch_site=site) is not None


def test_a_link_on_another_site_may_open_the_page() -> None:
    assert refused("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate") is None
    assert refused("/", "POST", sec_fetch_site="cross-site", sec_fetch_mode="navigate") is not None


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_may_ask(site: str) -> None:
    assert refused("/events", sec_fetch_site=site) is None


def test_no_answer_may_run_or_load_what_is_not_from_here() -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert not [name for name in HEADERS if name.lower().startswith("access-control")]
