#!/usr/bin/env bash
# What a Flink process does before it stops: leave.sh checkpoint=SECONDS|savepoint=SECONDS ...
# State is saved in these ways, in this order, each for so long at most, so that those who go on repeat next to nothing. Whatever goes wrong, the
# process leaves without: checkpoints are taken anyway.
#   JOB_ID, REST  the job's id, and host:port of the JobManager's REST API
#   SILENT_SECONDS  after how long without an answer the JobManager that was asked is taken for gone (default 10)
set -uo pipefail

ask() { # METHOD PATH [JSON]: prints the answer
  exec 3<>"/dev/tcp/${REST%:*}/${REST#*:}" || return
  printf '%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "$2" "$REST" "${#3}" "$3" >&3
  timeout 5 cat <&3
  exec 3>&-
}

for save in "$@"; do
  way=${save%=*} limit=${save#*=}
  SECONDS=0
  accepted=$(ask POST "/jobs/$JOB_ID/${way}s" '{}')
  [[ $accepted =~ \"request-id\":\ *\"([0-9a-f]+)\" ]] || exit 0 # no job runs, or nobody leads
  request=${BASH_REMATCH[1]}
  heard=0
  while ((SECONDS < limit && SECONDS - heard < ${SILENT_SECONDS:-10})); do
    case $(ask GET "/jobs/$JOB_ID/${way}s/$request" '') in
      *COMPLETED*) break ;;
      *IN_PROGRESS*) heard=$SECONDS ;;
    esac
    read -rt 0.05 <> <(:) || :
  done
done 2>/dev/null
exit 0
