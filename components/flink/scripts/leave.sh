#!/usr/bin/env bash
# What a Flink process does before it stops: leave.sh checkpoint=SECONDS|savepoint=SECONDS|others=SECONDS ...
# State is saved in these ways, in this order, each for so long at most, so that those who go on repeat next to nothing;
# `others` waits for what somebody else is having saved. Whatever goes wrong, the process leaves without, and says so.
#   JOB_ID, FLINK_HOME  see rest.sh
#   REST            host:port of the JobManager's REST API
#   SILENT_SECONDS  after how long without an answer the JobManager that was asked is taken for gone (default 10)
#   NOTICE_SECONDS  how long somebody else has to begin (default 5): the JobManager stops at about the same time
#   LOG             where to say what went wrong (default: the log of the container)
set -uo pipefail
. "${0%/*}/rest.sh"
LOG=${LOG:-/proc/1/fd/1}

save() { # WAY SECONDS
  local request heard=0 answer
  SECONDS=0
  answer=$(ask "$REST" POST "/jobs/$JOB_ID/$1s" '{}')
  [[ $answer =~ \"request-id\":\ *\"([0-9a-f]+)\" ]] || return 0 # no job runs, or nobody leads
  request=${BASH_REMATCH[1]}
  while ((SECONDS < $2 && SECONDS - heard < ${SILENT_SECONDS:-10})); do
    answer=$(ask "$REST" GET "/jobs/$JOB_ID/$1s/$request")
    case $answer in
      *failure-cause*) break ;;
      *COMPLETED*) return 0 ;;
      *IN_PROGRESS*)
        heard=$SECONDS
        # Where the job restarts, its savepoint stays in progress for ever.
        [ "$(job_status "$REST")" = RUNNING ] || break
        ;;
    esac
    read -rt 0.05 <> <(:) || :
  done
  echo "leave.sh: no $1 was taken in $SECONDS s before this process stopped: ${answer##*$'\n'}" >"$LOG"
}

await_others() { # SECONDS
  SECONDS=0
  while ((SECONDS < $1)); do
    if [[ $(ask "$REST" GET "/jobs/$JOB_ID/checkpoints") =~ \"in_progress\":([0-9]+) ]]; then
      ((BASH_REMATCH[1] > 0 || SECONDS < ${NOTICE_SECONDS:-5})) || return 0
    else
      return 0 # nobody leads any more
    fi
    read -rt 0.2 <> <(:) || :
  done
}

for each in "$@"; do
  case ${each%=*} in
    others) await_others "${each#*=}" ;;
    *) save "${each%=*}" "${each#*=}" ;;
  esac
done 2>/dev/null
exit 0
