//! The flags of `vllm serve` that this engine takes. All others are refused by name.

use anyhow::{Context, Result, bail, ensure};
use sim_core::config::{EngineArgs, SpeculativeArgs};

/// Tensor parallel ranks that are done.
const NUMBERS_OF_RANKS: [i64; 4] = [1, 2, 4, 8];

/// What was asked of the engine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CudaFlags {
    /// What the scheduler is set up with.
    pub(crate) args: EngineArgs,
    /// Operators are launched one by one instead of as a CUDA graph.
    pub(crate) enforce_eager: bool,
    /// `--dtype`, if given.
    pub(crate) dtype: Option<String>,
    /// `--quantization`, if given.
    pub(crate) quantization: Option<String>,
    /// `--kv-cache-dtype`, if given.
    pub(crate) kv_cache_dtype: Option<String>,
}

impl CudaFlags {
    /// Reads the words after the `--`.
    ///
    /// # Errors
    /// If a flag is not one of this engine's, or its value is wrong.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut flags = Self::default();
        let mut rest = words.iter().peekable();
        while let Some(word) = rest.next() {
            ensure!(word.starts_with('-'), "{word}: after `--` only flags of `vllm serve` and their values are taken");
            let (flag, inline) =
                word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
            // -1 is a value, and the only one that starts so.
            let next = rest.next_if(|next| inline.is_none() && (!next.starts_with('-') || *next == "-1"));
            flags.set(flag, inline.or(next.map(String::as_str)))?;
        }
        ensure!(
            NUMBERS_OF_RANKS.contains(&i64::from(flags.tensor_parallel_size())),
            "--tensor-parallel-size {}: the cuda engine does 1, 2, 4 and 8",
            flags.args.tensor_parallel_size.unwrap_or(1)
        );
        ensure!(
            flags.args.pipeline_parallel_size.is_none_or(|size| size == 1),
            "--pipeline-parallel-size: the cuda engine has no stages"
        );
        ensure!(
            flags.args.async_scheduling != Some(true),
            "--async-scheduling: passes are timed one at a time; the profile holds for both"
        );
        flags.args.async_scheduling = Some(false);
        Ok(flags)
    }

    /// Tensor parallel ranks, each a GPU; 0 for a number that is refused.
    pub(crate) fn tensor_parallel_size(&self) -> u32 {
        u32::try_from(self.args.tensor_parallel_size.unwrap_or(1)).unwrap_or(0)
    }

    fn set(&mut self, flag: &str, value: Option<&str>) -> Result<()> {
        match flag.replace('_', "-").as_str() {
            "--enforce-eager" | "--no-enforce-eager" => {
                ensure!(value.is_none(), "{flag}: a switch takes no value");
                self.enforce_eager = !flag.starts_with("--no-");
            }
            "--dtype" => self.dtype = Some(value.context("--dtype: a value is needed")?.to_owned()),
            "--quantization" | "-q" => {
                self.quantization = Some(value.context("--quantization: a value is needed")?.to_owned());
            }
            "--kv-cache-dtype" => {
                self.kv_cache_dtype = Some(value.context("--kv-cache-dtype: a value is needed")?.to_owned());
            }
            _ if SpeculativeArgs::key_of_flag(flag).is_some() || matches!(flag, "--speculative-config" | "-sc") => {
                bail!("{flag} is not done by the cuda engine, which has no drafters")
            }
            "--kv-offloading-size" | "--kv-offloading-backend" | "--kv-transfer-config" => {
                bail!("{flag} is not done by the cuda engine, which has no KV connector")
            }
            _ => self.args.set(flag, value).or_else(|error| {
                bail!("{flag} is not done by the cuda engine, which measures its own operators: {error}")
            })?,
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::CudaFlags;

    pub(crate) fn flags(words: &str) -> anyhow::Result<CudaFlags> {
        CudaFlags::parse(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_schedulers_flags_are_read_as_vllm_reads_them() {
        let read =
            flags("--max-num-seqs 64 --max-model-len=-1 --enforce-eager --dtype half --max-num-batched-tokens 2k");
        let read = read.expect("flags of this engine");
        let args = &read.args;
        assert_eq!(
            (args.max_num_seqs, args.max_model_len, args.max_num_batched_tokens),
            (Some(64), Some(-1), Some(2000))
        );
        assert_eq!(
            (read.enforce_eager, read.dtype.as_deref(), args.async_scheduling),
            (true, Some("half"), Some(false))
        );
        assert_eq!(
            ["", "--tensor-parallel-size 8", "-tp 2"].map(|words| flags(words).expect("flags").tensor_parallel_size()),
            [1, 8, 2]
        );
        assert_eq!(flags("--max-model-len -1").expect("a value").args.max_model_len, Some(-1));
    }

    #[track_caller]
    fn check_refused(words: &str, expect: &str) {
        let error = format!("{:#}", flags(words).expect_err("not done"));
        assert!(error.contains(expect), "{words}: {error}");
    }

    #[test]
    fn what_the_engine_does_not_do_is_refused_by_name() {
        check_refused("--tensor-parallel-size 3", "--tensor-parallel-size 3");
        check_refused("-tp 16", "--tensor-parallel-size 16");
        check_refused("--pipeline-parallel-size 2", "--pipeline-parallel-size");
        check_refused("--quantization", "--quantization: a value is needed");
        check_refused("--kv-cache-dtype --enforce-eager", "--kv-cache-dtype: a value is needed");
        check_refused("--async-scheduling", "--async-scheduling");
        check_refused("--speculative-config {}", "--speculative-config is not done");
        check_refused("--enable-lora", "--enable-lora is not done");
        check_refused("--enforce-eager yes", "a switch takes no value");
        check_refused("--max-num-seqs many", "--max-num-seqs");
        check_refused("64", "64: after `--`");
    }
}
