#!/bin/bash
#SBATCH --no-requeue
#SBATCH --output=/home/alice/jupyter-alice-lab-3b1d0c7a9e55.log
#SBATCH --chdir=/home/alice

export LC_ALL="$HUBSPAWNER_ENV_LC_ALL"; unset HUBSPAWNER_ENV_LC_ALL
export SLURM_CPU_BIND="$HUBSPAWNER_ENV_SLURM_CPU_BIND"; unset HUBSPAWNER_ENV_SLURM_CPU_BIND

# Called at the end of this script.
server() {
  jupyter-lab --port=8888
}

# The shell outlives the server's SIGTERM, so that the epilogue runs.
trap : TERM
server
status=$?
exit "$status"
