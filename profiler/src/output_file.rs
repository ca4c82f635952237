//! Files that this program writes where the user said.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Makes the folder that `output` is to lie in, with all above it.
///
/// # Errors
/// If one of them cannot be made.
pub(crate) fn make_folder_of(output: &Path) -> Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))
    })
}

/// Writes `contents` to `path`: whole, or not at all. A link is followed.
///
/// # Errors
/// If the file or its folder cannot be written; the old file is then as it was.
pub(crate) fn write_whole(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    write_whole_with(path, |file| Ok(file.write_all(contents.as_ref())?))
}

/// As [`write_whole`], of what `write` writes.
///
/// # Errors
/// Those of [`write_whole`] and of `write`.
pub(crate) fn write_whole_with(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let place = || target.display().to_string();
    let name = target.file_name().with_context(|| format!("{}: not a file", target.display()))?;
    // In the same folder, as only a renaming inside one file system is a single act. Drawn, not numbered: machines that
    // share the folder have processes of the same number.
    let draft = target.with_file_name(format!(".{}.{:016x}.tmp", name.to_string_lossy(), drawn()));
    let written = File::create_new(&draft).map_err(Into::into).and_then(|mut file| -> Result<()> {
        if let Ok(metadata) = fs::metadata(&target) {
            file.set_permissions(metadata.permissions())?;
        }
        write(&mut file)?;
        Ok(file.sync_all()?)
    });
    let renamed = written.and_then(|()| Ok(fs::rename(&draft, &target)?));
    if renamed.is_err() {
        // What is left of the draft is of no use; the first error is the one to tell.
        drop(fs::remove_file(&draft));
    }
    renamed.with_context(place)
}

/// A number that no other process draws.
fn drawn() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_left_alone() {
        let folder = std::env::temp_dir().join(format!("write-whole-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("writable");
        let path = folder.join("a.json");
        write_whole(&path, "old").expect("written");
        write_whole(&path, "new").expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("there"), "new");
        let missing = folder.join("missing").join("a.json");
        let error = write_whole(&missing, "").expect_err("no such folder");
        assert!(format!("{error:#}").starts_with(&missing.display().to_string()), "{error:#}");
        // A folder cannot be replaced by a file: the draft must not stay.
        fs::create_dir_all(folder.join("b").join("c")).expect("writable");
        assert!(write_whole(&folder.join("b"), "").is_err(), "it is a folder");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 2, "a.json and b");
        fs::remove_dir_all(folder).expect("ours");
    }
}
