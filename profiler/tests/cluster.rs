//! The manifests of `profiler/cluster`: what they would run, run here, task by task.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn cluster(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a script as each of `count` tasks with a smaller workload, merges, and counts the rows.
#[track_caller]
fn check(name: &str, script: &str, count: u32, variables: impl Fn(u32) -> Vec<(&'static str, String)>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{name}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    let script = script.replace("--num-prompts 1000", "--num-prompts 5");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_profiler"));
    let path =
        format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").unwrap_or_default());
    for task in 0..count {
        let mut command = Command::new("bash");
        command.args(["-c", &script]).env("PATH", &path).env("SWEEP_DIR", &folder).envs(variables(task));
        let output = command.output().expect("bash starts");
        assert!(output.status.success(), "task {task}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let merge = Command::new(&program).args(["sweep", "merge"]).arg(&folder).output().expect("the program starts");
    assert!(merge.status.success(), "{}", String::from_utf8_lossy(&merge.stderr));
    let csv = fs::read_to_string(folder.join("results.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 1 + 3 * 20, "every point of the manifest's grid");
}

/// The value of a line `key: value`.
#[track_caller]
fn value<'a>(manifest: &'a str, key: &str) -> &'a str {
    let line = manifest.lines().map(str::trim).find_map(|line| line.strip_prefix(&format!("{key}: ")));
    line.unwrap_or_else(|| panic!("there is no {key}")).trim_matches('"')
}

#[test]
fn pods_of_the_indexed_job_are_the_shards() {
    let manifest = cluster("kubernetes-job.yaml");
    assert_eq!([value(&manifest, "kind"), value(&manifest, "completionMode")], ["Job", "Indexed"]);
    let count = value(&manifest, "completions");
    let shards = manifest.split_once("name: SHARDS").map(|(_, rest)| value(rest, "value"));
    assert_eq!(shards, Some(count), "every pod knows how many there are");
    // The block behind `- |`, as long as it is indented.
    let (_, block) = manifest.split_once("- |\n").expect("a script");
    let script: Vec<&str> =
        block.lines().take_while(|line| line.starts_with("              ")).map(str::trim).collect();
    assert!(script.len() > 3, "{script:?}");
    let variables = |task: u32| vec![("SHARDS", count.to_owned()), ("JOB_COMPLETION_INDEX", task.to_string())];
    check("kubernetes", &script.join("\n"), count.parse().expect("a number"), variables);
}

#[test]
fn tasks_of_the_array_are_the_shards() {
    let script = cluster("slurm-array.sh");
    let last = script.lines().find_map(|line| line.strip_prefix("#SBATCH --array=0-")).expect("an array from 0");
    let count = last.parse::<u32>().expect("a number") + 1;
    let variables = |task: u32| {
        vec![
            ("SLURM_ARRAY_TASK_COUNT", count.to_string()),
            ("SLURM_ARRAY_TASK_ID", task.to_string()),
            ("SLURM_ARRAY_TASK_MIN", "0".to_owned()),
        ]
    };
    check("slurm", &script, count, variables);
    let from_one = Command::new("bash")
        .args(["-c", &script])
        .envs([("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_MIN", "1")])
        .output()
        .expect("bash starts");
    assert!(String::from_utf8_lossy(&from_one.stderr).contains("sbatch --array=0-3"), "{from_one:?}");
}
