#!/usr/bin/env bash
# Acts on the cluster's job, in a container of its pods: job.sh stop|cancel|savepoint|status
#   stop       takes a savepoint and ends the job; prints the savepoint
#   cancel     ends the job where it is
#   savepoint  takes a savepoint while the job runs on; prints it
#   status     whether the job runs, or why it does not
# A job that ended stays so: restoreFrom in the cluster's settings says what it goes on from.
#   JOB_ID, REST, FLINK_HOME  see rest.sh and leave.sh
set -uo pipefail
. "${0%/*}/rest.sh"

fail() {
  echo "job.sh: $1" >&2
  exit 1
}

savepoint() { # PATH JSON: asks for one, and prints where it is
  local answer
  answer=$(ask "$REST" POST "/jobs/$JOB_ID/$1" "$2") || fail "no JobManager answers at $REST"
  [[ $answer =~ \"request-id\":\ *\"([0-9a-f]+)\" ]] || fail "${answer##*$'\n'}"
  local request=${BASH_REMATCH[1]}
  # Flink keeps a process that ended its job until this was asked for.
  while :; do
    answer=$(ask "$REST" GET "/jobs/$JOB_ID/savepoints/$request")
    [[ ! $answer =~ \"location\":\ *\"([^\"]+)\" ]] || break
    case $answer in
      *failure-cause*) fail "the savepoint failed: ${answer##*$'\n'}" ;;
      *IN_PROGRESS*) sleep 0.2 ;;
      *) fail "the savepoint's end is not known: ${answer##*$'\n'}" ;;
    esac
  done
  echo "${BASH_REMATCH[1]}"
}

case ${1:-help} in
  stop) savepoint stop '{"drain":false}' ;;
  savepoint) savepoint savepoints '{}' ;;
  cancel)
    answer=$(ask "$REST" PATCH "/jobs/$JOB_ID?mode=cancel") || fail "no JobManager answers at $REST"
    [[ $answer == HTTP/*\ 202\ * ]] || fail "${answer##*$'\n'}"
    ;;
  status) exec bash "${0%/*}/ready.sh" ;;
  *)
    sed -n '2,7s/^# \?//p' "$0"
    [ "${1:-help}" = help ] || exit 2
    ;;
esac
