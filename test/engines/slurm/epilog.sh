#!/bin/bash
# Slurm runs this on the node when a job has ended: no process of the job survives it, as on a
# cluster with cgroups. proctrack/linuxproc loses those whose parent ended first.
grep -lszx "SLURM_JOB_ID=$SLURM_JOB_ID" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do
  # The epilog itself carries the job's id as well.
  [ "$SLURM_JOB_UID" = 0 ] || [ "$(stat -c %u "/proc/$pid")" != "$SLURM_JOB_UID" ] || kill -KILL "$pid"
done 2>/dev/null
exit 0 # anything else would drain the node
