#!/bin/sh
# The batch system of the README's example, for this machine: `mysub`, `mystat` and `mydel` are links
# to this file. Jobs are folders in $MYBATCH_SERVER, named by their ids.
set -eu
cd "$MYBATCH_SERVER"

case ${0##*/} in
  mysub)
    id=1
    until mkdir "$id" 2>/dev/null; do id=$((id + 1)); done
    log=/dev/null
    for option; do
      case $option in
        --tag=*) tag=${option#*=} ;;
        --name=*) name=${option#*=} ;;
        --log=*) log=${option#*=} ;;
      esac
    done
    cat >"$id/script"
    setsid sh "$id/script" </dev/null >"$log" 2>&1 &
    echo "$! $(id -un) $tag $name" >"$id/job"
    echo "job $id"
    ;;
  mystat)
    for job in */job; do
      [ -e "$job" ] || continue
      id=${job%/job}
      read -r pid mark <"$job"
      state=done host=-
      if ! [ -e "$id/done" ]; then
        case $(ps -o stat= -p "$pid") in
          '' | Z*) : >"$id/done" ;;
          *) state=running host=127.0.0.1 ;;
        esac
      fi
      echo "$id $state $host $mark"
    done
    ;;
  mydel)
    signal=TERM
    if [ "$1" = --now ]; then signal=KILL; shift; fi
    if ! [ -e "$1/job" ]; then echo 'mydel: no such job' >&2; exit 1; fi
    read -r pid _ <"$1/job"
    kill -s "$signal" -- "-$pid" 2>/dev/null || true
    ;;
esac
