# Sourced: asks Flink's REST API, in bash alone, as the images have no curl.
#   FLINK_HOME  of the image; conf/rest-token below it has what requests that change something must know

ask() { # HOST:PORT METHOD PATH [JSON]: prints the answer, its headers included; fails where nobody answers in 10 s
  local token=
  [ ! -r "$FLINK_HOME/conf/rest-token" ] || token=$(<"$FLINK_HOME/conf/rest-token")
  # A process of its own: neither a connection nor an answer that never comes may keep this one.
  TOKEN=$token timeout 10 bash -c '
    exec 3<>"/dev/tcp/${1%:*}/${1#*:}" || exit
    printf "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nX-Platform-Token: %s\r\n" "$2" "$3" "$1" "$TOKEN" >&3
    printf "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" "${#4}" "$4" >&3
    cat <&3' ask "$1" "$2" "$3" "${4:-}"
}

job_status() { # HOST:PORT: prints the job's state, such as RUNNING; nothing where nobody leads, or there is no such job
  local jobs # the list of all: Flink logs an error for a job that is not there yet
  jobs=$(ask "$1" GET /jobs 2>/dev/null)
  [[ $jobs =~ \"id\":\"$JOB_ID\",\"status\":\"([A-Z]+)\" ]] && echo "${BASH_REMATCH[1]}"
}
