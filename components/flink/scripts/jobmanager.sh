#!/usr/bin/env bash
# Starts a JobManager, at its turn: jobmanager.sh standalone-job ARGUMENTS
#   STANDBY_SECONDS  how long a standby may take until the job runs again; empty: there is none
#   FLINK_HOME       of the image
set -euo pipefail

# Where there is a configuration, this container was started before. A starting JVM takes the CPUs of the node for some
# seconds, just when a standby takes the job over: its turn comes first.
if [ -n "$STANDBY_SECONDS" ] && [ -e "$FLINK_HOME/conf/config.yaml" ]; then
  echo "This JobManager was here before: it starts in $STANDBY_SECONDS s, when the other one should have the job"
  trap 'exit 143' TERM
  sleep "$STANDBY_SECONDS" &
  wait $!
  trap - TERM
fi
exec bash "${0%/*}/start.sh" "$@"
