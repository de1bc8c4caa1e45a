"""Makes the real servers of the fixture modules known to every test here."""

from tests.integration.triton_fixtures import own_server, triton_home, triton_server

__all__ = ["own_server", "triton_home", "triton_server"]
