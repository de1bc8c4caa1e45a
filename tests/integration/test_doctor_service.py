"""What `secondlook doctor` says where one service runs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from secondlook.cli import main
from secondlook.commands import doctor_service
from secondlook.local.tritonserver import Server
from tests.integration.broker_fixtures import free_port

SHM = Path("/dev/shm")  # noqa: S108 - a folder in memory is what this is about


@pytest.fixture
def in_memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


def examined(service: str, folder: Path, **keys: str) -> Result:
    config = folder / "config.yaml"
    told = {"frames.directory": str(folder / "frames"), "triton.url": f"127.0.0.1:{free_port()}"}
    settings = {f"SECONDLOOK__{k.replace('.', '__').upper()}": v for k, v in (told | keys).items()}
    config.write_text("cameras: {yard: {source: 'synthetic:'}}")
    environment = {"SECONDLOOK_SERVICE": service, "COLUMNS": "300"} | settings
    return CliRunner().invoke(main, ["doctor", "--config", str(config)], env=environment)


def test_a_detector_without_a_frame_store_is_missing_something(tmp_path: Path) -> None:
    result = examined("detector", tmp_path)
    assert result.exit_code == 1, result.output
    assert f"missing  no folder for frames at {tmp_path}/frames" in result.output
    assert "without it no frame is seen at all" in result.output


def test_frames_on_a_disk_are_said_to_cost(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_service, "IN_MEMORY", ())
    (in_memory / "frames").mkdir()
    result = examined("producers", in_memory)
    assert result.exit_code == 0, result.output
    assert "are not kept in memory" in result.output
    assert "every frame (6 MB at 1920x1080) is written to a disk" in result.output


def test_a_small_store_a_writable_one_and_a_silent_triton_are_said(in_memory: Path) -> None:
    (in_memory / "frames").mkdir()
    result = examined("detector", in_memory, **{"frames.max_mb": "900000"})
    assert result.exit_code == 0, result.output
    assert "frames.max_mb is 900000" in result.output
    assert "the detector only reads there: mount it read-only" in result.output
    assert "nothing is judged until it answers" in result.output


def test_producers_ask_nothing_of_triton(in_memory: Path) -> None:
    result = examined("producers", in_memory)
    assert result.exit_code == 0, result.output
    assert "Triton" not in result.output
    assert f"frames in {in_memory}/frames: room for" in result.output


def at(server: Server) -> dict[str, str]:
    """Return the keys for a Triton that may take its time."""
    return {"triton.url": server.url, "triton.deadline_s": "60"}


@pytest.mark.integration
def test_a_triton_that_shares_memory_is_fine(in_memory: Path, triton_server: Server) -> None:
    (in_memory / "frames").mkdir()
    result = examined("classifier", in_memory, **at(triton_server))
    assert result.exit_code == 0, result.output
    assert f"Triton at {triton_server.url} answers and shares this memory" in result.output


@pytest.mark.integration
def test_a_triton_that_sees_other_memory_is_said_to_cost(
    in_memory: Path, triton_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in another container: our /dev/shm is a folder that the server does not look into.
    monkeypatch.setattr("secondlook.adapters.slots.SHARED", in_memory)
    (in_memory / "frames").mkdir()
    result = examined("classifier", in_memory, **at(triton_server))
    assert result.exit_code == 0, result.output
    assert f"lacking  Triton at {triton_server.url} does not see this memory" in result.output
    assert "a third more processor time per call" in result.output
