#!/usr/bin/env bash
# Starts a JobManager whose job goes on from the latest state there is: jobmanager.sh standalone-job ARGUMENTS
#   JOB_ID        of the job, in 32 hexadecimal digits
#   CHECKPOINTS   directory with a folder of checkpoints for each job id; empty: they are not on a volume
#   RESTORE_FROM  savepoint or retained checkpoint to start from, if the job with this id has not run yet; or empty
#
# A checkpoint that is registered in the high-availability services goes before whatever is said here. Where none is
# (a job that failed for good has none any more, nor has a ZooKeeper that lost its data), Flink would start from nothing.
set -euo pipefail

newest() { # of all completed checkpoints in these folders
  { find "$@" -mindepth 2 -maxdepth 2 -path '*/chk-*/_metadata' -printf '%T@ %h\n' 2>/dev/null || :; } |
    sort -n | tail -n 1 | cut -d ' ' -f 2
}

from=${RESTORE_FROM:-}
if [ -n "$CHECKPOINTS" ]; then
  own=$(newest "$CHECKPOINTS/$JOB_ID")
  if [ -n "$from" ]; then
    from=${own:-$from}
  else
    from=$(newest "$CHECKPOINTS"/*)
    if [ -n "$own" ] && [ "$own" != "$from" ]; then
      echo "job $JOB_ID would go back to $own: this cluster was restored from a savepoint since and has the newer" \
        "checkpoint $from. Set restoreFrom to what it was restored from, or to file://$from" >&2
      exit 1
    fi
  fi
fi
[ -z "$from" ] || echo "If no checkpoint is registered, the job starts from $from"
exec bash "${0%/*}/start.sh" "$1" ${from:+--fromSavepoint "$from"} "${@:2}"
