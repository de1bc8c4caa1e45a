#!/bin/bash
# Starts Triton in its container, whichever image that is. PLATFORM chooses the configurations
# (<model>/configs/<platform>.pbtxt); further options may stand in TRITON_OPTIONS.
set -euo pipefail

# The memory outlives a server that was killed, and what its Python backend kept there.
rm -f /dev/shm/secondlook-backend-*

options=(
  --model-repository=/models
  "--model-config-name=${PLATFORM:-python}"
  --disable-auto-complete-config
  # A model that cannot be loaded keeps the others from nothing; clients are told which and why.
  --exit-on-error=false
  "--backend-config=python,shm-region-prefix-name=secondlook-backend-"
  --http-thread-count=2
  --exit-timeout-secs=8
  --log-info=false
)
# Ours has no GPU to watch, and would say so as an error.
[ "${PLATFORM:-python}" != python ] || options+=(--allow-gpu-metrics=false)
[ -z "${TRITON_BACKENDS:-}" ] || options+=("--backend-directory=$TRITON_BACKENDS")
read -ra more <<< "${TRITON_OPTIONS:-}"
exec tritonserver "${options[@]}" "${more[@]}"
