"""Makes the real servers of the fixture modules known to every test here."""

from tests.integration.classifier_rig import mortal_server, verdicts_server
from tests.integration.triton_fixtures import own_server, triton_home, triton_server

__all__ = ["mortal_server", "own_server", "triton_home", "triton_server", "verdicts_server"]
