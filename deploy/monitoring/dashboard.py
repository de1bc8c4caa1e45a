"""Writes the Grafana dashboard: python -m deploy.monitoring.dashboard (or `make dashboard`).

The JSON that it writes is what Grafana reads; a test keeps the two alike, and another runs every
query against a real system.
"""

from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import VariableRefresh

from deploy.monitoring.panels import HALF, RATE, SOURCE, THIRD, curves, number, quantile

TARGET = Path(__file__).with_name("grafana") / "dashboards" / "secondlook.json"
CAMERA = 'camera=~"$camera"'
Panel = Stat | Timeseries


def now() -> Iterator[Panel]:
    """Yield the panels that tell at a glance whether all is well."""
    yield number(
        "Services up",
        "Of producers, detector and classifier.",
        'sum(up{job="secondlook"})',
        red_below=3,
    )
    yield number(
        "Not ready",
        "Conditions that a service needs and lacks: broker, triton, database, capture. "
        "Its /readyz says which.",
        "sum(1 - secondlook_condition_ok)",
        red_from=1,
    )
    yield number(
        "Cameras blind",
        "Cameras that send no usable picture.",
        f"sum(1 - secondlook_camera_up{{{CAMERA}}})",
        red_from=1,
    )
    yield number(
        "Alert rules firing",
        "Rules of rules.yml; Prometheus' own page says what to do.",
        'sum(ALERTS{alertstate="firing"}) or vector(0)',
        red_from=1,
    )
    yield number(
        "New alerts, 24 h",
        "Episodes that alerted, tests included.",
        'sum(increase(secondlook_classifier_alerts_total{event="new"}[24h]))',
    )
    yield number(
        "True alarms",
        "Of the alerts that are kept and on which somebody gave feedback, the part that was true.",
        "sum(secondlook_classifier_alerts_judged{truth='true_alarm'}) / "
        "sum(secondlook_classifier_alerts_judged)",
        unit="percentunit",
        red_below=0.5,
    )


def cameras() -> Iterator[Panel]:
    """Yield the panels about frames and what became of them."""
    yield curves(
        "Frames per second",
        "Captured from the source, sent to the detector, and looked at.",
        {
            "{{camera}} captured": f"rate(secondlook_frames_captured_total{{{CAMERA}}}{RATE})",
            "{{camera}} sent": f"rate(secondlook_frames_sent_total{{{CAMERA}}}{RATE})",
            "{{camera}} looked at": f"rate(secondlook_detector_frames_total{{{CAMERA}}}{RATE})",
        },
        unit="hertz",
    )
    yield curves(
        "Camera up",
        "1 while usable pictures come.",
        {"{{camera}}": f"secondlook_camera_up{{{CAMERA}}}"},
        span=HALF,
    )
    yield curves(
        "Dropped by the producers",
        "paced and motion are as configured; late, blank, unreadable, store_full and bus are not.",
        {
            "{{camera}} {{cause}}": "sum by (camera, cause) "
            f"(rate(secondlook_frames_dropped_total{{{CAMERA}}}{RATE}))"
        },
        unit="hertz",
        span=THIRD,
    )
    yield curves(
        "Dropped by the detector",
        "overwritten and too_old: too much to do. triton and timeout: the model. expired: "
        "the frame store is too small.",
        {
            "{{camera}} {{cause}}": "sum by (camera, cause) "
            f"(rate(secondlook_detector_frames_dropped_total{{{CAMERA}}}{RATE}))"
        },
        unit="hertz",
        span=THIRD,
    )
    yield curves(
        "Blind time per hour",
        "Time that the classifier told as not watched, whatever the reason.",
        {"{{camera}}": f"increase(secondlook_classifier_blind_seconds_total{{{CAMERA}}}[1h])"},
        unit="s",
        span=THIRD,
    )


def delays() -> Iterator[Panel]:
    """Yield the panels about the time since capture, hop by hop.

    Alerts are rare: those of an hour are taken together.
    """
    hops = {
        "1 announced": ("capture_to_announce_seconds", {}),
        "2 at the detector": ("detector_hop_seconds", {"until": "received"}),
        "3 detected": ("detector_hop_seconds", {"until": "detected"}),
        "4 at the classifier": ("classifier_hop_seconds", {"until": "received"}),
        "5 verdict": ("classifier_hop_seconds", {"until": "classified"}),
        "6 new alert": ("classifier_hop_seconds", {"until": "alert", "window": "[1h]"}),
    }
    for part, name in ((0.5, "half"), (0.95, "95 of 100")):
        yield curves(
            f"Time since capture, {name} are faster",
            "From the picture until it was announced, received, detected; its crop received, "
            "judged; an alert of it decided.",
            {hop: quantile(part, metric, **where) for hop, (metric, where) in hops.items()},
            unit="s",
        )
    yield curves(
        "The detector's work on a frame (95 of 100)",
        "fit: letterboxing. decode: reading the model's answer. look: tracks and crops. "
        "spool: keeping crops on disk. infer: Triton.",
        {
            "{{stage}}": quantile(0.95, "detector_stage_seconds", "stage"),
            "infer": quantile(0.95, "detector_inference_seconds"),
        },
        unit="s",
    )
    yield curves(
        "The classifier's work on a batch (95 of 100)",
        "prepare: decoding and fitting crops. infer: Triton. commit: the database.",
        {
            "prepare": quantile(0.95, "classifier_prepare_seconds"),
            "infer": quantile(0.95, "classifier_inference_seconds"),
            "commit": quantile(0.95, "classifier_commit_seconds"),
        },
        unit="s",
    )


def decisions() -> Iterator[Panel]:
    """Yield the panels about looks, verdicts and alerts."""
    yield curves(
        "Crops sent for a look, per minute",
        "By what made the detector send them.",
        {
            "{{camera}} {{cause}}": "60 * sum by (camera, cause) "
            f"(rate(secondlook_detector_looks_total{{{CAMERA}}}{RATE}))"
        },
        span=THIRD,
    )
    yield curves(
        "Verdicts per minute",
        "What the second look said.",
        {
            "{{outcome}} {{label}}": "60 * sum by (outcome, label) "
            f"(rate(secondlook_classifier_verdicts_total{RATE}))"
        },
        span=THIRD,
    )
    yield curves(
        "Alerts per hour",
        "New ones, updates and ends, by label.",
        {
            "{{event}} {{label}}": "sum by (event, label) "
            "(increase(secondlook_classifier_alerts_total[1h]))"
        },
        span=THIRD,
    )
    yield curves(
        "True alarms by feedback",
        "The part of the judged alerts that was true. Nothing is shown before somebody judged.",
        {
            "{{camera}}": "sum by (camera) (secondlook_classifier_alerts_judged"
            f"{{truth='true_alarm',{CAMERA}}}) / sum by (camera) "
            f"(secondlook_classifier_alerts_judged{{{CAMERA}}})"
        },
        unit="percentunit",
    )
    yield curves(
        "Detections and open tracks",
        "Detections per second after NMS and zones; tracks that live.",
        {
            "{{camera}} detections/s": "rate(secondlook_detector_detections_total"
            f"{{{CAMERA}}}{RATE})",
            "{{camera}} tracks": f"secondlook_detector_tracks_open{{{CAMERA}}}",
        },
    )


def triton() -> Iterator[Panel]:
    """Yield the panels about the model server."""

    def per_request(what: str) -> str:
        return (
            f"rate(nv_inference_{what}_duration_us{RATE}) / 1e6 / "
            f"(rate(nv_inference_request_success{RATE}) > 0)"
        )

    yield curves(
        "Requests per second",
        "Answered and failed, by model.",
        {
            "{{model}} answered": f"rate(nv_inference_request_success{RATE})",
            "{{model}} failed": f"sum by (model) (rate(nv_inference_request_failure{RATE})) > 0",
        },
        unit="reqps",
        span=THIRD,
    )
    yield curves(
        "Waiting and computing, per request",
        "queue: until the model was free. compute: in the model. A long queue and a short "
        "compute time ask for another instance of the model.",
        {
            "{{model}} queue": per_request("queue"),
            "{{model}} compute": per_request("compute_infer"),
        },
        unit="s",
        span=THIRD,
    )
    yield curves(
        "Batch size and requests that wait",
        "How many pictures the model took at once on average.",
        {
            "{{model}} batch": f"rate(nv_inference_count{RATE}) / "
            f"(rate(nv_inference_exec_count{RATE}) > 0)",
            "{{model}} waiting": "nv_inference_pending_request_count",
        },
        span=THIRD,
    )
    yield curves(
        "GPU: part of the time at work",
        "Empty without an NVIDIA GPU, and on a Jetson: use tegrastats or jtop there.",
        {"{{gpu_uuid}}": "nv_gpu_utilization"},
        unit="percentunit",
    )
    yield curves(
        "GPU memory",
        "Empty without an NVIDIA GPU.",
        {
            "{{gpu_uuid}} used": "nv_gpu_memory_used_bytes",
            "{{gpu_uuid}} there is": "nv_gpu_memory_total_bytes",
        },
        unit="bytes",
    )


def storage() -> Iterator[Panel]:
    """Yield the panels about what waits and what is kept."""
    yield curves(
        "Waiting",
        "Crops for their verdict, messages for the broker's acknowledgement, crops in the "
        "detector's spool (kept for hold_s also when all is well).",
        {
            "crops": "secondlook_classifier_crops_waiting",
            "outbox": "secondlook_classifier_outbox_waiting",
            "refused alerts": "secondlook_classifier_outbox_refused",
            "spool": "secondlook_detector_spool_messages",
        },
        span=THIRD,
    )
    yield curves(
        "Age of the oldest message in the outbox",
        "Above a minute the broker is away or refuses it.",
        {"age": "secondlook_classifier_outbox_age_seconds"},
        unit="s",
        span=THIRD,
    )
    yield curves(
        "Lost or not stored, per hour",
        "Crops shed by the classifier, by cause; crops that the spool let go or kept in "
        "memory alone; commits that failed. All should stay at zero.",
        {
            "shed {{cause}}": "sum by (cause) "
            "(increase(secondlook_classifier_crops_shed_total[1h]))",
            "spool shed": "increase(secondlook_detector_spool_shed[1h])",
            "spool not on disk": "increase(secondlook_detector_spool_unwritten[1h])",
            "commits failed": "increase(secondlook_classifier_database_failures[1h])",
        },
        span=THIRD,
    )
    yield curves(
        "Size of the database and the spool",
        "Kept below retention.max_mb and detector.spool.max_mb.",
        {
            "database": "secondlook_classifier_database_bytes",
            "spool": "secondlook_detector_spool_bytes",
        },
        unit="bytes",
        span=THIRD,
    )
    yield curves(
        "Room left",
        "On the disk, or in the memory, that holds each.",
        {"{{holds}}": "min by (holds) (secondlook_disk_free_bytes)"},
        unit="bytes",
        span=THIRD,
    )
    yield curves(
        "Published, per minute",
        "Messages that the broker acknowledged; those sent again to who asked on replay.",
        {
            "published": f"60 * rate(secondlook_classifier_outbox_published{RATE})",
            "replayed": f"60 * rate(secondlook_classifier_outbox_replayed{RATE})",
        },
        span=THIRD,
    )


def processes() -> Iterator[Panel]:
    """Yield the panels about the services as programs."""
    yield curves(
        "Processor",
        "Cores in use; the producers' capture processes are not in it.",
        {"{{service}}": f'rate(process_cpu_seconds_total{{job="secondlook"}}{RATE})'},
        span=THIRD,
    )
    yield curves(
        "Memory",
        "Resident.",
        {"{{service}}": 'process_resident_memory_bytes{job="secondlook"}'},
        unit="bytes",
        span=THIRD,
    )
    yield curves(
        "Running for",
        "Since the last start, and which version.",
        {
            "{{service}} {{version}}": "(time() - process_start_time_seconds"
            '{job="secondlook"}) * on (service) group_right secondlook_build_info'
        },
        unit="s",
        span=THIRD,
    )


ROWS = {
    "Is all well?": now,
    "Cameras": cameras,
    "Delay since capture": delays,
    "Looks, verdicts, alerts": decisions,
    "Triton": triton,
    "Queues and storage": storage,
    "Processes": processes,
}


def render() -> str:
    """Return the dashboard as JSON."""
    board = (
        Dashboard("Second Look")
        .uid("secondlook")
        .tags(["secondlook"])
        .description("Cameras, delays, verdicts, alerts, models and storage of Second Look.")
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            QueryVariable("camera")
            .label("Camera")
            .datasource(SOURCE)
            .query("label_values(secondlook_camera_up, camera)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    for title, panels in ROWS.items():
        board.with_row(Row(title))
        for panel in panels():
            board.with_panel(panel)
    built = board.build()
    for place, each in enumerate(built.panels or [], 1):
        each.id_val = place
    return JSONEncoder(sort_keys=True, indent=1).encode(built) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    print(TARGET)
