"""Real weights on real images behind a real Triton, against YOLOv5's own detections."""

import pytest

from secondlook.local.tritonserver import Server

pytest.importorskip("onnx", reason="fusing a model needs the training extra")
from benchmarks import parity

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not parity.WEIGHTS.is_dir(),
        reason="the shared test data is not there (SECONDLOOK_SHARED_DATA)",
    ),
]


@pytest.fixture(scope="module")
def both_variants(triton_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    parity.build_repository(folder / "models")
    with Server(triton_home, folder / "models", folder / "triton.log") as server:
        yield server


async def test_raw_and_fused_answer_the_same_candidates(both_variants):
    raw, fused = [await parity.candidates(both_variants.url, name) for name in parity.VARIANTS]

    agreements = parity.compare(raw, fused)

    assert set(agreements) == set(parity.SETS)
    for agreement in agreements.values():
        assert agreement.compared > 1000
        assert agreement.box_px <= 0.5
        assert agreement.score <= 1e-3


@pytest.mark.parametrize("variant", parity.VARIANTS)
async def test_the_detector_finds_what_the_reference_finds(both_variants, variant):
    figures = await parity.measure(both_variants.url, variant)

    assert set(figures) == set(parity.SETS)
    for found in figures.values():
        assert found.references > 10
        assert found.matched_part >= 0.99
        assert found.extra_part <= 0.01
