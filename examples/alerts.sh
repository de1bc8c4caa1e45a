#!/bin/sh
# Prints a line for each new alert, none lost and none twice: alerts.sh [HOST [PORT]]
#
# Needs mosquitto_sub and mosquitto_pub (mosquitto-clients) and jq. The broker keeps what comes
# while this is away (-c with a fixed -i); `status/classifier` is retained, so `online` comes at
# every connect and whenever the classifier returns, and each time a replay is asked for.
set -eu
host=${1:-127.0.0.1} port=${2:-1883} name=${NAME:-alerts-sh} root=secondlook
began=$(date -u +%Y-%m-%dT%H:%M:%SZ)

mosquitto_sub -h "$host" -p "$port" -i "$name" -c -q 1 -F '%t %p' \
  -t "$root/alerts/#" -t "$root/replayed/$name" -t "$root/status/classifier" |
while read -r topic payload; do
  if [ "$topic" != "$root/status/classifier" ]; then
    printf '%s\n' "$payload"
  elif [ "$payload" = online ]; then
    mosquitto_pub -h "$host" -p "$port" -q 1 -t "$root/replay" \
      -m "{\"since\": \"$began\", \"client\": \"$name\"}" >&2 || true
  fi
done |
jq -n -r --unbuffered '
  foreach (inputs | select(.event == "new" and (.test | not))) as $alert ({seen: {}};
    .fresh = (.seen[$alert.id] | not) | .seen[$alert.id] = true;
    if .fresh then $alert else empty end)
  | "\(.started_at) \(.camera): \(.label) \(.score * 100 | round) %"'
