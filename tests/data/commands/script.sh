#!/usr/bin/env bash
# It's how we start it.
set -euo pipefail
MODEL="Qwen/Qwen3-8B"
export TP=1
nohup vllm serve "$MODEL" \
  --tensor-parallel-size $TP --max-num-seqs ${SEQS:-40} \
  --speculative-config '{
    "method": "ngram", "num_speculative_tokens": 3
  }' $EXTRA > server.log 2>&1 &
until curl -s localhost:8000/health; do sleep 1; done
vllm bench serve --model "$MODEL" --request-rate 2 --num-prompts 50
