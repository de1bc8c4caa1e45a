"""Fixtures that several test folders share."""

pytest_plugins = ["tests.integration.broker_fixtures"]
