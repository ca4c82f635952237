#!/usr/bin/env bash
# A sweep as a Slurm array: task I of N runs shard I. On a folder that all nodes share:
#
#   sbatch --array=0-15 slurm-array.sh
#   sbatch --dependency=afterok:JOB --wrap 'profiler sweep merge sweep'
#
# N is the number of tasks of the array, which begins at 0. What is done stays: the same command goes on with the rest. The
# flags behind `profiler sweep` are yours; every task has the same.
#SBATCH --job-name=profiler-sweep
#SBATCH --array=0-15
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --requeue
set -euo pipefail

if [ "${SLURM_ARRAY_TASK_MIN:-0}" != 0 ]; then
    echo "the array must begin at 0: sbatch --array=0-$((SLURM_ARRAY_TASK_COUNT - 1))" >&2
    exit 2
fi
export RAYON_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
exec profiler sweep --quiet --output-dir "${SWEEP_DIR:-sweep}" \
    --shards "$SLURM_ARRAY_TASK_COUNT" --shard "$SLURM_ARRAY_TASK_ID" \
    --dataset-name random --num-prompts 1000 \
    --grid max-num-seqs=64,128,256 request-rate=1..20
