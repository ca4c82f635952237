//! Results of `vllm bench serve`, simulated again: what each states, what flags may add, what is assumed, what is refused.
