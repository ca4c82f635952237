//! `profiler import aiconfigurator` as a process, on a small part of the real package.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use sim_core::batch::BatchComposition;
use sim_core::profile::{Evidence, Profile, StepTimeModel, StepTimeSettings};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/aiconfigurator");
const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
const GEMM: &str = "aiconfigurator_core/systems/data/h100_sxm/gemm/vllm/0.24.0/gemm_perf.parquet";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn model(name: &str) -> String {
    format!("{MODELS}/{name}.json")
}

/// Runs in a folder of its own, so that messages hold no path of this machine. The device time between passes is left
/// out: the package has none.
fn import(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiler"));
    command.current_dir(folder).args(["import", "aiconfigurator"]).args(arguments);
    command.output().expect("the program starts")
}

#[track_caller]
fn imported(data: &str, model_name: &str, arguments: &[&str]) -> Profile {
    let model = model(model_name);
    let all = [&[data, "--model", &model, "--date", "2026-11-24"], arguments].concat();
    let output = import(Path::new(env!("CARGO_TARGET_TMPDIR")), &all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    Profile::from_json(&output.stdout).expect("a profile")
}

fn model_of(profile: &Profile) -> StepTimeModel {
    let engine = &profile.engine;
    let settings = StepTimeSettings::vllm_default(profile, engine.max_num_seqs, engine.max_num_batched_tokens);
    StepTimeModel::new(profile, &settings).expect("a model")
}

/// Requests of (new tokens, earlier tokens).
fn batch(requests: impl IntoIterator<Item = (u32, u32)>) -> BatchComposition {
    let mut batch = BatchComposition::default();
    requests.into_iter().for_each(|(new, earlier)| batch.push(new, earlier));
    batch
}

#[track_caller]
fn check_time(model: &StepTimeModel, batch: &BatchComposition, expect_ms: f64, more: f64) {
    let step = model.predict(batch);
    let ms = step.duration.as_nanos() as f64 / 1e6;
    assert_eq!(step.evidence, Evidence::Interpolated, "{batch:?}");
    assert!((-0.03..more).contains(&(ms / expect_ms - 1.0)), "{ms} ms instead of {expect_ms}: {batch:?}");
}

#[test]
fn the_data_are_read_as_the_package_itself_reads_them() {
    let profile = imported(DATA, "llama-3.1-8b", &["--system", "h100_sxm"]);
    let model = model_of(&profile);
    // The package's own estimates of whole passes, from the same data.
    for (num_decodes, expect_ms) in [(1, 6.18), (8, 6.60), (32, 8.32), (64, 10.35), (128, 12.83), (256, 19.56)] {
        check_time(&model, &batch((0..num_decodes).map(|_| (1, 1023))), expect_ms, 0.03);
    }
    // Prompts run outside CUDA graphs, and their products at a rate that the GPU keeps up: the package counts neither.
    for (chunk, expect_ms) in [(512, 12.02), (2048, 43.51), (8192, 199.7)] {
        check_time(&model, &batch([(chunk, 0)]), expect_ms, 0.3);
    }
}

#[test]
fn experts_are_read_as_the_package_itself_reads_them() {
    let profile = imported(DATA, "qwen3-30b-a3b", &["--system", "h100_sxm"]);
    let model = model_of(&profile);
    for (num_decodes, expect_ms) in [(1, 4.68), (64, 24.17)] {
        check_time(&model, &batch((0..num_decodes).map(|_| (1, 1023))), expect_ms, 0.1);
    }
    check_time(&model, &batch([(2048, 0)]), 46.0, 0.25);
    let balanced = imported(DATA, "qwen3-30b-a3b", &["--system", "h100_sxm", "--moe-distribution", "balanced"]);
    assert_ne!(balanced.step_time.non_attention, profile.step_time.non_attention);
}

#[test]
fn a_version_without_tables_gets_the_nearest_ones_and_the_profile_says_so() {
    for asked in ["0.10.2", "0.32.0"] {
        let profile = imported(DATA, "llama-3.1-8b", &["--system", "h100_sxm", "--vllm-version", asked]);
        assert_eq!(profile.engine.vllm_version, asked);
        let note = "The operators were measured under vLLM 0.24.0; scheduling follows the version that a run names.";
        assert!(profile.provenance.notes.iter().any(|text| text.contains(note)), "{:?}", profile.provenance.notes);
    }
}

#[test]
fn what_lies_outside_the_measurements_is_marked() {
    let model = model_of(&imported(DATA, "llama-3.1-8b", &["--system", "h100_sxm"]));
    let evidence = |requests: Vec<(u32, u32)>| model.predict(&batch(requests)).evidence;
    assert_eq!(evidence(vec![(1, 32_767)]), Evidence::Interpolated);
    assert_eq!(evidence(vec![(1, 65_536)]), Evidence::Extrapolated, "longer than any decode that was measured");
    assert_eq!(evidence(vec![(1, 2_000); 256]), Evidence::Extrapolated, "large batches were measured up to 1024");
    assert_eq!(evidence(vec![(512, 15_000)]), Evidence::Interpolated);
    assert_eq!(evidence(vec![(512, 100_000)]), Evidence::Extrapolated);
}

#[test]
fn a_profile_says_what_it_was_made_of_and_what_was_changed() {
    let profile = imported(DATA, "llama-3.1-8b", &["--system", "h100_sxm"]);
    let source = &profile.provenance.sources[0];
    assert_eq!((source.name.as_str(), source.version.as_str()), ("aiconfigurator-core", "0.12.0"));
    assert_eq!(profile.provenance.date, "2026-11-24");
    assert_eq!(profile.engine.attention_backend.as_deref(), Some("FLASH_ATTN"));
    assert!(profile.to_json().expect("a file").len() < 60_000, "the gallery's profiles are small");
    insta::assert_snapshot!("notes", profile.provenance.notes.join("\n"));
}

#[test]
fn a_wheel_gives_the_same_profile_as_the_installed_package() {
    let wheel = scratch("wheel").join("package.whl");
    let mut zip = ZipWriter::new(File::create(&wheel).expect("a file"));
    let installed = Path::new(DATA);
    for path in files_below(installed) {
        let name = path.strip_prefix(installed).expect("below it").to_str().expect("UTF-8").to_owned();
        zip.start_file(name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(&fs::read(&path).expect("a file")).expect("written");
    }
    zip.finish().expect("a zip file");
    let flags = ["--system", "h100_sxm"];
    let from_wheel = imported(wheel.to_str().expect("UTF-8"), "llama-3.1-8b", &flags);
    assert_eq!(from_wheel, imported(DATA, "llama-3.1-8b", &flags));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// An empty folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A folder with the package in `data`, its H100 matrix products replaced.
fn with_gemm(name: &str, gemm: &[u8]) -> PathBuf {
    let folder = scratch(name);
    let installed = Path::new(DATA);
    for path in files_below(installed) {
        let copy = folder.join("data").join(path.strip_prefix(installed).expect("below it"));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::copy(&path, copy).expect("a copy");
    }
    fs::write(folder.join("data").join(GEMM), gemm).expect("a file");
    folder
}

/// A table of one row with these columns; `latency` may be missing.
fn table(schema: &str, latency: f64, m: i64) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message schema {{ {schema} }}")).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).expect("a writer");
    let mut group = file.next_row_group().expect("a group");
    while let Some(mut column) = group.next_column().expect("a column") {
        use parquet::column::writer::ColumnWriter;
        let done = match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                writer.write_batch(&[ByteArray::from("bfloat16")], Some(&[1]), None)
            }
            ColumnWriter::Int64ColumnWriter(writer) => writer.write_batch(&[m], Some(&[1]), None),
            ColumnWriter::DoubleColumnWriter(writer) if latency == 0.0 => writer.write_batch(&[], Some(&[0]), None),
            ColumnWriter::DoubleColumnWriter(writer) => writer.write_batch(&[latency], Some(&[1]), None),
            _ => panic!("a column of another type"),
        };
        done.expect("a value");
        column.close().expect("a column");
    }
    group.close().expect("a group");
    file.into_inner().expect("a file")
}

const COLUMNS: &str = "optional binary kernel_source (UTF8); optional binary gemm_dtype (UTF8); optional int64 m; \
                       optional int64 n; optional int64 k; ";

/// Exit code 2, nothing on standard output, no panic; the message.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = import(folder, arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a profile");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr.replace(DATA, "DATA").replace(MODELS, "MODELS")
}

/// That message, or that a profile was made.
fn outcome(folder: &Path, arguments: &[&str]) -> String {
    if import(folder, arguments).status.success() { "composed".to_owned() } else { refused(folder, arguments) }
}

fn snapshot(messages: &BTreeMap<&str, String>) -> String {
    messages.iter().map(|(what, message)| format!("{what}\n  {}\n", message.trim_end().replace('\n', "\n  "))).collect()
}

#[test]
fn wrong_flags_and_data_that_are_not_there_are_refused_by_name() {
    let folder = scratch("flags");
    fs::create_dir(folder.join("empty")).expect("a folder");
    fs::write(folder.join("no.whl"), "no wheel").expect("a file");
    let llama = model("llama-3.1-8b");
    let (seventy, mixture) = (model("llama-3.3-70b"), model("qwen3-30b-a3b"));
    let cases: &[(&str, &[&str])] = &[
        ("no such data", &["nothing", "--model", &llama, "--system", "h100_sxm"]),
        ("no wheel", &["no.whl", "--model", &llama, "--system", "h100_sxm"]),
        ("an empty folder", &["empty", "--model", &llama, "--system", "h100_sxm"]),
        ("an unknown system", &[DATA, "--model", &llama, "--system", "h100"]),
        ("a system without tables", &[DATA, "--model", &llama, "--system", "l40s"]),
        ("a version of another form", &[DATA, "--model", &llama, "--system", "h100_sxm", "--vllm-version", "new"]),
        ("no such model", &[DATA, "--model", "nothing.json", "--system", "h100_sxm"]),
        ("three devices", &[DATA, "--model", &llama, "--system", "h100_sxm", "--tensor-parallel-size", "3"]),
        ("experts of a dense model", &[DATA, "--model", &llama, "--system", "h100_sxm", "--data-parallel-size", "2"]),
        ("fp8 on a device without", &[DATA, "--model", &llama, "--system", "a100_sxm", "--quantization", "fp8"]),
        ("fp8 that was not measured", &[DATA, "--model", &llama, "--system", "h100_sxm", "--quantization", "fp8"]),
        (
            "a KV cache that was not measured",
            &[DATA, "--model", &llama, "--system", "h100_sxm", "--kv-cache-dtype", "fp8"],
        ),
        ("heads that were not measured", &[DATA, "--model", &llama, "--system", "b200_sxm"]),
        (
            "an all-reduce that is absent",
            &[DATA, "--model", &mixture, "--system", "h100_sxm", "--tensor-parallel-size", "2"],
        ),
        (
            "a bad table",
            &[
                DATA,
                "--model",
                &seventy,
                "--system",
                "b200_sxm",
                "--quantization",
                "fp8",
                "--tensor-parallel-size",
                "4",
            ],
        ),
        ("a wrong date", &[DATA, "--model", &llama, "--system", "h100_sxm", "--date", "2026-13-01"]),
        ("a wrong number format", &[DATA, "--model", &llama, "--system", "h100_sxm", "--dtype", "fp4"]),
    ];
    let messages = cases.iter().map(|&(what, arguments)| (what, outcome(&folder, arguments))).collect();
    insta::assert_snapshot!("wrong_flags", snapshot(&messages));
}

#[test]
fn broken_tables_are_refused_with_their_name() {
    let good = fs::read(Path::new(DATA).join(GEMM)).expect("a table");
    let mut flipped = good.clone();
    flipped[good.len() / 3..good.len() / 2].iter_mut().for_each(|byte| *byte ^= 0x55);
    let cases = [
        ("no parquet file", b"m,n,k,latency\n1,2,3,4\n".to_vec()),
        ("an empty file", vec![]),
        ("a file that is cut off", good[..good.len() / 2].to_vec()),
        ("flipped bytes", flipped),
        ("no latency", table(COLUMNS, 1.0, 1)),
        ("a latency of another type", table(&format!("{COLUMNS} optional int64 latency;"), 1.0, 1)),
        ("an empty cell", table(&format!("{COLUMNS} optional double latency;"), 0.0, 1)),
        ("a negative latency", table(&format!("{COLUMNS} optional double latency;"), -1.0, 1)),
        ("no number", table(&format!("{COLUMNS} optional double latency;"), f64::NAN, 1)),
        ("a negative m", table(&format!("{COLUMNS} optional double latency;"), 1.0, -1)),
        ("one point", table(&format!("{COLUMNS} optional double latency;"), 1.0, 4096)),
        ("too long", vec![0; (32 << 20) + 1]),
    ];
    let llama = model("llama-3.1-8b");
    let messages = cases
        .iter()
        .map(|(what, bytes)| {
            let folder = with_gemm(what, bytes);
            (*what, refused(&folder, &["data", "--model", &llama, "--system", "h100_sxm"]))
        })
        .collect();
    insta::assert_snapshot!("broken_tables", snapshot(&messages));
}

#[test]
fn models_that_cannot_be_composed_are_refused_by_name() {
    let facts = fs::read_to_string(model("llama-3.1-8b")).expect("a model");
    let mixture = fs::read_to_string(model("qwen3-30b-a3b")).expect("a model");
    let cases = [
        ("no JSON", "hidden_size = 4096".to_owned()),
        ("a list", "[]".to_owned()),
        ("another form", facts.replace("\"llama\"", "\"deepseek_v3\"")),
        ("no layers", facts.replace("num_hidden_layers", "layers")),
        ("no MLP", facts.replace("intermediate_size", "mlp")),
        ("no longest sequence", facts.replace("max_position_embeddings", "length")),
        ("a width that is no number", facts.replace("4096", "\"wide\"")),
        ("more heads for keys", facts.replace("\"num_key_value_heads\": 8", "\"num_key_value_heads\": 64")),
        ("too many layers", facts.replace("\"num_hidden_layers\": 32", "\"num_hidden_layers\": 3200")),
        ("a window", facts.replace("\"llama\"", "\"mistral\", \"sliding_window\": 4096")),
        ("quantised", facts.replace("\"llama\"", "\"llama\", \"quantization_config\": {\"quant_method\": \"awq\"}")),
        ("experts in some layers", mixture.replace("\"decoder_sparse_step\": 1", "\"decoder_sparse_step\": 2")),
        ("more experts per token", mixture.replace("\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 800")),
        ("no experts per token", mixture.replace("num_experts_per_tok", "top_k")),
    ];
    let folder = scratch("models");
    let messages = cases
        .iter()
        .map(|(what, facts)| {
            fs::write(folder.join("config.json"), facts).expect("a file");
            (*what, outcome(&folder, &[DATA, "--model", "config.json", "--system", "h100_sxm"]))
        })
        .collect();
    insta::assert_snapshot!("wrong_models", snapshot(&messages));
}
