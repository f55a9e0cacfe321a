#!/bin/bash
# Build a region by jobs that know nothing of each other: examples/slurm/submit.sh REGION PARTS
# The first part also makes what all shards need, then the others start; the last job makes the rest of the dataset.
# Options for sbatch, such as a partition, can be given by its variables: SBATCH_PARTITION=amd examples/slurm/submit.sh …
set -euo pipefail
export REGION=$1 PARTS=$2
here=$(dirname "$0")
last=$(sbatch --parsable --array=0 "$here/part.sbatch")
if [ "$PARTS" -gt 1 ]; then
    last=$(sbatch --parsable --array="1-$((PARTS - 1))" --dependency="afterok:$last" "$here/part.sbatch")
fi
sbatch --dependency="afterok:$last" "$here/close.sbatch"
# If a job fails or is killed, call this again: finished files are kept.
