#!/usr/bin/env bash
# Waits, and is stopped before the log collector and after everything else: the collector stops at once when it is asked
# to, with what it has not read or sent yet. This gives it the time.
#   FLUSH_SECONDS  how long at most
#   METRICS        host:port of the collector's metrics
set -uo pipefail

state() { # 1 if a queue of the collector holds something, else 0, and how much it has read; nothing if it is not there
  exec 3<>"/dev/tcp/${METRICS%:*}/${METRICS#*:}" || return
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  local queued=0 accepted=
  while read -ru 3 name value; do
    case $name in
      otelcol_exporter_queue_size*) [[ $value == 0* ]] || queued=1 ;;
      otelcol_receiver_accepted_log_records*) accepted+=" $value" ;;
    esac
  done
  exec 3>&-
  echo "$queued$accepted"
}

# Empty queues are not enough: who was killed a moment ago still has to read what was written meanwhile.
flush() {
  SECONDS=0
  sleep 1 # files are read several times a second, and the end of the last event is waited for
  before=none now=
  until [[ $now == 0* && $now == "$before" ]] || ((SECONDS >= FLUSH_SECONDS)); do
    before=$now
    sleep 0.7
    now=$(state 2>/dev/null)
  done
  exit 0
}

trap flush TERM
while :; do
  sleep 3600 &
  wait $!
done
