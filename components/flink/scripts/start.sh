#!/usr/bin/env bash
# Starts a Flink process: start.sh ARGUMENTS OF THE IMAGE'S ENTRY POINT
# The public image's entry point writes into config.yaml, and loses what it writes where the file is read-only.
set -euo pipefail
cp /opt/platform/conf/* /opt/flink/conf/
exec /docker-entrypoint.sh "$@"
