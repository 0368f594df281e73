#!/usr/bin/env bash
# Starts a JobManager whose job goes on from the latest state there is: jobmanager.sh standalone-job ARGUMENTS
#   JOB_ID        of the job, in 32 hexadecimal digits
#   CHECKPOINTS   directory with a folder of checkpoints for each job id; empty: they are not on a volume
#   RESTORE_FROM  savepoint or retained checkpoint to start from, if the job with this id has not run yet; or empty
#   STANDBY_SECONDS  how long a standby may take until the job runs again; empty: there is none
#   FLINK_HOME    of the image
#
# A checkpoint that is registered in the high-availability services goes before whatever is said here. Where none is
# (a job that failed for good has none any more, nor has a ZooKeeper that lost its data), Flink would start from nothing.
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

newest() { # of all completed checkpoints in these folders
  { find "$@" -mindepth 2 -maxdepth 2 -path '*/chk-*/_metadata' -printf '%T@ %h\n' 2>/dev/null || :; } |
    sort -n | tail -n 1 | cut -d ' ' -f 2
}

from=${RESTORE_FROM:-}
if [ -n "$CHECKPOINTS" ]; then
  own=$(newest "$CHECKPOINTS/$JOB_ID")
  last=$(newest "$CHECKPOINTS"/*)
  if [ -n "$own" ] && [ "$own" != "$last" ]; then
    echo "job $JOB_ID would go back to $own: this cluster went on with another restoreFrom since and has the newer" \
      "checkpoint $last. Set restoreFrom to what it was then, or to file://$last" >&2
    exit 1
  fi
  from=${own:-${from:-$last}}
fi
[ -z "$from" ] || echo "If no checkpoint is registered, the job starts from $from"
exec bash "${0%/*}/start.sh" "$1" ${from:+--fromSavepoint "$from"} "${@:2}"
