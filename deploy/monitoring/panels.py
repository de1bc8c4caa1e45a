"""The kinds of panels that the dashboard is made of."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HALF, THIRD, SIXTH = 12, 8, 4
"""Widths; a row has 24."""
RATE = "[$__rate_interval]"
"""Wide enough for two scrapes, whatever the time that is looked at."""


def quantile(part: float, name: str, by: str = "", window: str = RATE, **where: str) -> str:
    """Return the query for a quantile of a histogram, by a label if one is given."""
    labels = ",".join(f'{key}="{value}"' for key, value in where.items())
    group = f"le,{by}" if by else "le"
    return (
        f"histogram_quantile({part}, sum by ({group}) (rate(secondlook_{name}_bucket"
        f"{{{labels}}}{window})))"
    )


def queries(found: Mapping[str, str]) -> list[Dataquery]:
    """Return queries; the keys are how each is called in the legend."""
    return [
        Dataquery().expr(expr).legend_format(legend).range().ref_id(f"Q{number}")
        for number, (legend, expr) in enumerate(found.items(), 1)
    ]


def number(
    title: str,
    about: str,
    expr: str,
    *,
    unit: str = "short",
    red_below: float | None = None,
    red_from: float | None = None,
) -> Stat:
    """Return a panel with one number; red below or from a value, else green."""
    steps = [Threshold(value=None, color="green")]
    if red_below is not None:
        steps = [Threshold(value=None, color="red"), Threshold(value=red_below, color="green")]
    if red_from is not None:
        steps.append(Threshold(value=red_from, color="red"))
    panel = (
        Stat()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(SIXTH)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.BACKGROUND)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    )
    return panel.with_target(queries({title: expr})[0].instant())


def curves(
    title: str,
    about: str,
    found: Mapping[str, str],
    *,
    unit: str = "short",
    span: int = HALF,
) -> Timeseries:
    """Return a panel with a curve, or several, for each query."""
    panel = (
        Timeseries()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .height(8)
        .span(span)
        .fill_opacity(10)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
    )
    for query in queries(found):
        panel.with_target(query)
    return panel
