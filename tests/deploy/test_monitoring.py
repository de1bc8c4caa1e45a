"""The files of deploy/monitoring: valid, tested, and made by what they say they are."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import dashboard as source
from tests.deploy.monitoring_files import (
    FOLDER,
    MISSING,
    dashboard,
    dashboard_queries,
    names_in,
    program,
    rules,
)

PROMTOOL = program("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason=MISSING)


def promtool(*arguments: str, cwd: Path = FOLDER) -> str:
    done = subprocess.run(
        [str(PROMTOOL), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_takes_its_configuration() -> None:
    assert "SUCCESS: 1 rule files found" in promtool("check", "config", "prometheus.yml")


@needs_promtool
def test_the_rules_fire_and_stay_quiet_as_their_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml")


@needs_promtool
def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    queries = [
        {"record": f"query_{number}", "expr": expr}
        for number, (_, expr) in enumerate(dashboard_queries())
    ]
    groups = {"groups": [{"name": "dashboard", "rules": queries}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(groups))
    assert f"{len(queries)} rules found" in promtool("check", "rules", "rules.yml", cwd=tmp_path)


def test_every_rule_is_tested_and_explained() -> None:
    tested = set(re.findall(r'alertname="(\w+)"', (FOLDER / "rules.test.yml").read_text()))
    explained = set(re.findall(r"`(\w+)`", (FOLDER / "README.md").read_text()))
    names = {rule["alert"] for rule in rules()}
    assert names == tested
    assert names <= explained


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    sentences = rule["annotations"]["summary"].split(". ")
    assert len(sentences) >= 2 or ":" in sentences[0], "what is wrong, then what to do"
    assert names_in(rule["expr"])


def test_the_dashboard_is_what_its_source_says() -> None:
    committed = (FOLDER / "grafana/dashboards/secondlook.json").read_text(encoding="utf-8")
    assert committed == source.render(), "stale: run make dashboard"


def test_panels_have_ids_of_their_own_and_explain_themselves() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 30
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
    assert all(names_in(expr) for _, expr in dashboard_queries())


def test_panels_fill_their_rows_without_a_gap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert len(taken) == 24 * height, "some place is empty"


def test_grafana_is_told_to_read_what_is_mounted() -> None:
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards/secondlook.yml").read_text())[
        "providers"
    ]
    (given,) = yaml.safe_load((FOLDER / "grafana/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    assert given["type"] == "prometheus"
    interval = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert given["jsonData"]["timeInterval"] == interval


def test_the_readme_turns_the_configuration_into_one_for_a_single_machine() -> None:
    (command,) = re.findall(
        r"^sed -E '(.*)' prometheus\.yml", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    made = subprocess.run(
        [str(shutil.which("sed")), "-E", command, "prometheus.yml"],
        cwd=FOLDER, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    jobs = yaml.safe_load(made)["scrape_configs"]
    targets = [
        target for job in jobs for each in job["static_configs"] for target in each["targets"]
    ]
    assert targets == [f"127.0.0.1:{port}" for port in (9101, 9102, 9103, 8002)]
