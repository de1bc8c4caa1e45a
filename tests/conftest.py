"""What every test run does: a list of skips with their reasons at its end."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# Properties are about what comes out, not about how long it takes: on a busy machine any example,
# and the making of any, may stand still for longer than Hypothesis would bear by itself.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once per reason what was skipped, so that a green run hides nothing."""
    skipped = terminalreporter.stats.get("skipped", [])
    deselected = terminalreporter.stats.get("deselected", [])
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.section("skipped, and why")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count:4d}  {reason}")
    if deselected:
        terminalreporter.write_line(
            f"{len(deselected):4d}  left out by -m or -k; `make test` leaves out what is long "
            "(make test-all)"
        )
    if not reasons and not deselected:
        terminalreporter.write_line("   0  nothing was skipped")


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)
