//! A pack's examination as a table for people.

use std::fmt::{Error, Write as _};

use super::PackExamination;
use super::rooflines::{Below, Rooflines};
use super::tables::{Smoothed, TableExtent};
use crate::validate::table::list;

/// The table.
///
/// # Errors
/// Never: writing to a string cannot fail.
pub(crate) fn table(examination: &PackExamination) -> Result<String, Error> {
    let mut text = String::new();
    let PackExamination { file, gpu: [key, label], made, sources, vllm_version, .. } = examination;
    writeln!(text, "{file}: a valid operator pack\n{label} ({key}), {made}, vLLM {vllm_version}")?;
    writeln!(text, "from {}\n", sources.join(", "))?;
    tables(&mut text, &examination.tables)?;
    writeln!(text, "\nMissing: {}", none_or(&examination.missing.join(", ")))?;
    if !examination.missing.is_empty() {
        writeln!(
            text,
            "Where a model is composed without its own, it is carried from others; the profile's notes say so."
        )?;
    }
    writeln!(text, "\n{:<26}{:<42}{:>4}  profile", "Models", "", "tp")?;
    for model in &examination.models {
        let verdict = model.refusal.as_deref().map_or_else(|| "composed".to_owned(), |why| format!("refused: {why}"));
        writeln!(text, "{:<26}{:<42}{:>4}  {verdict}", model.family, model.name, model.tensor_parallel_size)?;
    }
    smoothing(&mut text, &examination.smoothing)?;
    rooflines(&mut text, &examination.rooflines)?;
    writeln!(text, "\nUnder load: {}", examination.under_load)?;
    writeln!(
        text,
        "\n{} bytes gzipped; a page is to load at most {}",
        examination.gzipped_bytes,
        super::MAX_GZIPPED_BYTES
    )?;
    list(&mut text, "Notes", &examination.notes)?;
    list(&mut text, "Beyond stated limits", &examination.beyond_limits)?;
    Ok(text)
}

fn none_or(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

fn tables(text: &mut String, tables: &[TableExtent]) -> Result<(), Error> {
    writeln!(text, "{:<44}{:>7}{:>9}{:>8}  {:<18}kernels", "Operators", "shapes", "times", "none", "reach")?;
    for table in tables {
        let name = [table.operator, &table.format, &table.variant].join(" ");
        let [first, last] = table.counts;
        let context = table.context.map_or_else(String::new, |context| format!(" × {context}"));
        let line = format!(
            "{:<44}{:>7}{:>9}{:>8}  {:<18}{}",
            name.trim_end(),
            table.num_shapes,
            table.num_times,
            table.num_missing,
            format!("{first}..{last}{context}"),
            table.kernels.join(", ")
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn smoothing(text: &mut String, tables: &[Smoothed]) -> Result<(), Error> {
    if tables.is_empty() {
        return writeln!(text, "\nNoise: not recorded");
    }
    writeln!(text, "\nNoise, by what making times non-falling changed")?;
    tables.iter().try_for_each(|table| writeln!(text, "- {}: {}", table.table, table.note))
}

fn rooflines(text: &mut String, rooflines: &Rooflines) -> Result<(), Error> {
    let Rooflines { num_times, num_below, worst } = rooflines;
    writeln!(text, "\nBelow the GPU's roofline by more than 10 %: {num_below} of {num_times} times")?;
    for below in worst {
        let Below { operator, format, shape, count, context, time_us, least_us, ratio } = below;
        let context = if *context > 0 { format!(" over {context} tokens") } else { String::new() };
        writeln!(
            text,
            "- {operator} {format} {shape:?}, {count}{context}: {time_us} us, at least {least_us:.1} ({ratio:.1} times)"
        )?;
    }
    Ok(())
}
