#!/bin/bash
#PBS -S /bin/bash
#PBS -N ju-3b1d0c7a9e55
#PBS -r n
#PBS -j oe
#PBS -o /home/alice/ju-3b1d0c7a9e55.log
#PBS -d /home/alice

# The environment of the server is in a file that nobody else can read, and that goes now.
hubspawner_file=/home/alice/.ju-3b1d0c7a9e55.env
hubspawner_wait=900
until [ -O "$hubspawner_file" ] && [ ! -L "$hubspawner_file" ] &&
  hubspawner_environment=$(cat "$hubspawner_file" 2>/dev/null); do
  if [ "$hubspawner_wait" = 0 ]; then
    echo "hubspawner: the file $hubspawner_file with the environment of the server is missing." >&2
    exit 1
  fi
  hubspawner_wait=$((hubspawner_wait - 1))
  sleep 1
done
rm -f "$hubspawner_file"
eval "$hubspawner_environment"
unset hubspawner_file hubspawner_wait hubspawner_environment

# Called at the end of this script.
server() {
  jupyter-lab --port=8888
}

# The shell outlives the server's SIGTERM, so that the epilogue runs.
trap : TERM
server
status=$?
exit "$status"
