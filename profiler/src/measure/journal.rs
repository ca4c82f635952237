//! The file that makes a measurement survive its end: a header, then one JSON line for each script that ran.
//!
//! A line is written and flushed when its script is done, so what is lost with the process is the script that was
//! running. A line without its end (the process died while writing it) is dropped on the next start.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::limits::{chunk_pairs, composition, with_drafts, with_spans};
use super::plan::Plan;
use super::sample::{PassRole, Sample, Visit};
use crate::engine::EngineFacts;

/// First line of the file: what the others were measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    journal: String,
    model: String,
    hardware: String,
    vllm_version: String,
    /// Of everything the plan follows from, and of the plan.
    fingerprint: String,
}

/// One script.
#[derive(Debug, Serialize, Deserialize)]
struct VisitLine {
    point: usize,
    spent_ns: u64,
    passes: Vec<PassLine>,
}

/// One pass.
#[derive(Debug, Serialize, Deserialize)]
struct PassLine {
    role: String,
    device_ns: u64,
    schedule_ns: u64,
    update_ns: u64,
    num_decodes: u32,
    decode_context_tokens: u64,
    prefill_chunks: Vec<(u32, u32)>,
    /// Drafts of all decodes.
    #[serde(default)]
    num_draft_tokens: u32,
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal at `path` or begins one, and returns the scripts that ran before.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is of another engine or plan.
    pub(crate) fn open(path: &Path, facts: &EngineFacts, plan: &Plan, fresh: bool) -> Result<(Self, Vec<Visit>)> {
        let shown = path.display();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(fresh)
            .open(path)
            .with_context(|| format!("the journal {shown} cannot be opened"))?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).with_context(|| format!("the journal {shown} cannot be read"))?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n');
        let header = header(facts, plan);
        let mut visits = vec![];
        if let Some(first) = lines.next() {
            check_header(first, &header, path)?;
            for (index, line) in lines.enumerate() {
                let visit = read_visit(line, plan).with_context(|| {
                    format!("the journal {shown} is damaged in line {}; start anew with --fresh", index + 2)
                })?;
                visits.push(visit);
            }
        }
        let end = u64::try_from(whole).context("a file longer than its length")?;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0)).map(drop))?;
        let mut journal = Self { path: path.to_owned(), file };
        if whole == 0 {
            journal.append(&header)?;
        }
        Ok((journal, visits))
    }

    /// Writes down that a script ran.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn push(&mut self, visit: &Visit) -> Result<()> {
        let passes = visit.samples.iter().map(pass_line).collect();
        self.append(&VisitLine { point: visit.point, spent_ns: visit.spent_ns, passes })
    }

    fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        written.with_context(|| format!("the journal {} cannot be written", self.path.display()))
    }
}

fn header(facts: &EngineFacts, plan: &Plan) -> Header {
    // Blocks vary a little from start to start of the same engine; what they decide is the plan.
    let identity = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {} {:?}",
        facts.model,
        facts.hardware,
        facts.engine,
        facts.capture_sizes,
        facts.versions,
        plan.axes,
        plan.seed,
        plan.points
    );
    Header {
        journal: "profiler profile, 1".to_owned(),
        model: facts.model.name.clone(),
        hardware: facts.hardware.name.clone(),
        vllm_version: facts.engine.vllm_version.clone(),
        fingerprint: format!("{:016x}", fnv1a(identity.as_bytes())),
    }
}

/// The 64-bit FNV-1a hash: the same on every machine.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn check_header(line: &[u8], expected: &Header, path: &Path) -> Result<()> {
    let shown = path.display();
    let found: Header = serde_json::from_slice(line)
        .with_context(|| format!("{shown} is no journal of this program; name another with --journal"))?;
    let of = |header: &Header| format!("{} on {}, vLLM {}", header.model, header.hardware, header.vllm_version);
    ensure!(
        found == *expected,
        "the journal {shown} is of another measurement ({}, plan {}); this one is {}, plan {}. Name another file with \
         --journal, or start anew with --fresh",
        of(&found),
        found.fingerprint,
        of(expected),
        expected.fingerprint
    );
    Ok(())
}

fn read_visit(line: &[u8], plan: &Plan) -> Result<Visit> {
    let line: VisitLine = serde_json::from_slice(line)?;
    ensure!(line.point < plan.points.len(), "point {} of {}", line.point, plan.points.len());
    let samples = line.passes.iter().map(|pass| read_pass(pass, plan)).collect::<Result<_>>()?;
    Ok(Visit { point: line.point, spent_ns: line.spent_ns, samples })
}

fn read_pass(pass: &PassLine, plan: &Plan) -> Result<Sample> {
    let role = match pass.role.as_str() {
        "warm_up" => PassRole::WarmUp,
        "set_up" => PassRole::SetUp,
        "target" => PassRole::Target,
        role => anyhow::bail!("unknown role {role:?}"),
    };
    let batch = composition(&pass.prefill_chunks, pass.num_decodes, pass.decode_context_tokens);
    let num_drafts = pass.num_draft_tokens.checked_div(pass.num_decodes).unwrap_or(0);
    let batch = if num_drafts > 0 { with_drafts(&batch, num_drafts) } else { batch };
    Ok(Sample {
        batch: with_spans(&batch, &plan.limits.spans),
        role,
        device_ns: pass.device_ns,
        schedule_ns: pass.schedule_ns,
        update_ns: pass.update_ns,
    })
}

fn pass_line(sample: &Sample) -> PassLine {
    let role = match sample.role {
        PassRole::WarmUp => "warm_up",
        PassRole::SetUp => "set_up",
        PassRole::Target => "target",
    };
    PassLine {
        role: role.to_owned(),
        device_ns: sample.device_ns,
        schedule_ns: sample.schedule_ns,
        update_ns: sample.update_ns,
        num_decodes: sample.batch.num_decodes,
        decode_context_tokens: sample.batch.decode_context_tokens,
        prefill_chunks: chunk_pairs(&sample.batch),
        num_draft_tokens: sample.batch.num_draft_tokens(),
    }
}
