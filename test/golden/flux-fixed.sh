#!/bin/bash
#FLUX: --output=/home/alice/jupyter-alice-lab-3b1d0c7a9e55.log
#FLUX: --cwd=/home/alice
#FLUX: --nslots=1

export LC_ALL="$HUBSPAWNER_ENV_LC_ALL"; unset HUBSPAWNER_ENV_LC_ALL

# Called at the end of this script.
server() {
  jupyter-lab --port=8888
}

# The shell outlives the server's SIGTERM, so that the epilogue runs.
trap : TERM
server
status=$?
exit "$status"
