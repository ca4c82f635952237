//! What a sweep is: the file that all its shards share, and that says whether what lies beside it is of the same sweep.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sim_core::scenario::link::fingerprint;

use super::axis::Axis;
use super::base::hex;
use super::grid::Grid;
use crate::input_file::read_limited;
use crate::output_file::{make_folder_of, write_whole};

/// The form of the file, which a program that writes another refuses.
const FORMAT: &str = "VllmSimulator sweep 1";
/// Largest plan read: a million points of an axis each with some hundred bytes.
const MAX_BYTES: usize = 512 << 20;
/// Most parts of a sweep: so many files a folder and a cluster bear, and so little is lost when a program is ended.
const MAX_PARTS: usize = 10_000;

/// A sweep. Equal plans have equal results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    format: String,
    /// Version of the program.
    program: String,
    /// What all points have: flags without dashes.
    flags: Vec<(String, Option<String>)>,
    pub(crate) axes: Vec<Axis>,
    num_points: usize,
    points_per_part: usize,
    /// What the answers rest on: names and fingerprints of profile, dataset and files.
    grounds: Vec<(String, String)>,
}

/// A plan in its folder.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// Of the plan's file: every part says of which plan it is.
    pub(crate) identity: String,
    folder: PathBuf,
}

impl Plan {
    pub(crate) fn new(flags: Vec<(String, Option<String>)>, axes: Vec<Axis>, grounds: Vec<(String, String)>) -> Self {
        let num_points = Grid::new(&axes).num_points();
        let points_per_part = num_points.div_ceil(MAX_PARTS).max(1);
        let (format, program) = (FORMAT.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Self { format, program, flags, axes, num_points, points_per_part, grounds }
    }

    pub(crate) fn grid(&self) -> Grid<'_> {
        Grid::new(&self.axes)
    }

    pub(crate) fn num_parts(&self) -> usize {
        self.num_points.div_ceil(self.points_per_part.max(1))
    }

    /// The points of a part.
    pub(crate) fn points_of(&self, part: usize) -> std::ops::Range<usize> {
        let start = part * self.points_per_part;
        start..(start + self.points_per_part).min(self.num_points)
    }

    /// The first thing in which another plan differs, for people.
    fn difference(&self, other: &Self) -> Option<String> {
        let texts = [
            ("the form of its plan", &self.format, &other.format),
            ("the program's version", &self.program, &other.program),
        ];
        let text = texts.into_iter().find(|(_, own, others)| own != others);
        let text = text.map(|(what, own, others)| format!("{what} was {others:?}, and is {own:?}"));
        let flags = (self.flags != other.flags)
            .then(|| format!("flags were {}, and are {}", told(&other.flags), told(&self.flags)));
        let (own, others) = (self.grid(), other.grid());
        let axes = (own != others).then(|| match (own.told(), others.told()) {
            (own, others) if own == others => format!("values of {own} are others"),
            (own, others) => format!("the grid was {others}, and is {own}"),
        });
        let differs = |(name, print): &&(String, String)| !other.grounds.contains(&(name.clone(), print.clone()));
        let grounds = self.grounds.iter().find(differs).map(|(name, _)| format!("another {name} was used"));
        let rest = (self != other).then(|| "it rests on other files".to_owned());
        text.or(flags).or(axes).or(grounds).or(rest)
    }
}

fn told(flags: &[(String, Option<String>)]) -> String {
    let one = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("--{name} {value}"),
        None => format!("--{name}"),
    };
    if flags.is_empty() { "none".to_owned() } else { flags.iter().map(one).collect::<Vec<_>>().join(" ") }
}

impl Planned {
    /// Writes `plan` into `folder`, or finds it there.
    ///
    /// # Errors
    /// If the folder has another plan, and in what it differs; if the file cannot be written.
    pub(crate) fn settle(plan: Plan, folder: &Path) -> Result<Self> {
        let path = folder.join("plan.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&plan)?);
        let exists = path.try_exists().with_context(|| path.display().to_string())?;
        if exists {
            let found = Self::open(folder)?;
            if let Some(difference) = plan.difference(&found.plan) {
                bail!(
                    "{} is of another sweep: {difference}. Repeat that command to go on with it, or give another --output-dir",
                    folder.display()
                );
            }
            return Ok(found);
        }
        make_folder_of(&path)?;
        write_whole(&path, &text)?;
        Ok(Self { plan, identity: hex(fingerprint(text.as_bytes())), folder: folder.to_owned() })
    }

    /// The plan of `folder`.
    ///
    /// # Errors
    /// If there is none that can be read.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("plan.json");
        let told = || path.display().to_string();
        if let Err(error) = fs::metadata(&path)
            && error.kind() == ErrorKind::NotFound
        {
            bail!("{}: there is no plan.json, so no sweep was begun here", folder.display());
        }
        let bytes = read_limited(&path, MAX_BYTES)?;
        let plan = Plan::from_json(&bytes).with_context(told)?;
        Ok(Self { plan, identity: hex(fingerprint(&bytes)), folder: folder.to_owned() })
    }

    /// Where a part lies.
    pub(crate) fn path_of(&self, part: usize) -> PathBuf {
        self.parts_folder().join(format!("part-{part:05}.json"))
    }

    pub(crate) fn parts_folder(&self) -> PathBuf {
        self.folder.join("parts")
    }
}

impl Plan {
    /// The plan of a file's bytes.
    ///
    /// # Errors
    /// If it is none of ours.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        let plan: Self = serde_json::from_slice(bytes)?;
        plan.check()?;
        Ok(plan)
    }

    /// Whether a file says what a plan of ours says.
    fn check(&self) -> Result<()> {
        ensure!(self.format == FORMAT, "{:?} is written there, where this program has {FORMAT:?}", self.format);
        let is_even = |axis: &Axis| axis.places.iter().all(|place| place.len() == axis.parameters.len());
        ensure!(self.axes.iter().all(is_even), "an axis has more or fewer values than parameters");
        self.grid().check()?;
        let same = Self::new(self.flags.clone(), self.axes.clone(), self.grounds.clone());
        ensure!(
            self.num_points == same.num_points && self.points_per_part == same.points_per_part && self.num_points > 0,
            "num_points and points_per_part are not those of its axes"
        );
        Ok(())
    }
}
