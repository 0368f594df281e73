#!/usr/bin/env bash
# Succeeds while the job runs, whichever JobManager leads; else says in one line why it does not: ready.sh
#   JOB_ID, FLINK_HOME  see rest.sh; conf/start below FLINK_HOME has what the job started from, or why it does not start
set -uo pipefail
. "${0%/*}/rest.sh"

status=$(job_status 127.0.0.1:8081)
[ "$status" != RUNNING ] || exit 0
reason=
[ ! -r "$FLINK_HOME/conf/start" ] || reason=$(<"$FLINK_HOME/conf/start")
echo "the job does not run: ${status:-no JobManager has it}${reason:+; $reason}"
exit 1
