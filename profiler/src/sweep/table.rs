//! The rows of a sweep as columns with one type each, whoever made them.

use anyhow::{Result, ensure};

use super::grid::Grid;
use super::part::{Figure, PartFile, Row};
use super::plan::Planned;

/// What a column holds; each cell may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole,
    Number,
    Switch,
    Text,
}

/// A value of a column's kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Whole(i64),
    Number(f64),
    Switch(bool),
    Text(String),
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The columns of a sweep: the point, what varies, the figures, digest and error.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    planned: &'a Planned,
    pub(crate) columns: Vec<Column>,
    num_parameters: usize,
}

impl<'a> Table<'a> {
    /// The columns that the parts have together, in the order in which points bring them.
    ///
    /// # Errors
    /// Those of [`PartFile::read`], and if two columns have one name.
    pub(crate) fn new(planned: &'a Planned) -> Result<Self> {
        let grid = planned.plan.grid();
        let mut columns = vec![Column { name: "point".to_owned(), kind: Kind::Whole }];
        columns.extend(parameters(&grid));
        let num_parameters = columns.len() - 1;
        let mut figures: Vec<Column> = vec![];
        for part in 0..planned.plan.num_parts() {
            for row in PartFile::read(planned, part)?.rows {
                take_in(&mut figures, &row);
            }
        }
        columns.extend(figures);
        columns.extend(["digest", "error"].map(|name| Column { name: name.to_owned(), kind: Kind::Text }));
        for (place, column) in columns.iter().enumerate() {
            let is_twice = columns.iter().skip(place + 1).any(|other| other.name == column.name);
            ensure!(!is_twice, "two columns would be named {:?}", column.name);
        }
        Ok(Self { planned, columns, num_parameters })
    }

    /// The rows of a part: a cell for each column.
    ///
    /// # Errors
    /// Those of [`PartFile::read`].
    pub(crate) fn rows(&self, part: usize) -> Result<Vec<Vec<Option<Cell>>>> {
        let rows = PartFile::read(self.planned, part)?.rows;
        Ok(self.planned.plan.points_of(part).zip(rows).map(|(point, row)| self.cells(point, row)).collect())
    }

    fn cells(&self, point: usize, row: Row) -> Vec<Option<Cell>> {
        let values = self.planned.plan.grid().values(point);
        let parameters = self.columns.iter().skip(1).zip(values);
        let mut cells = vec![i64::try_from(point).ok().map(Cell::Whole)];
        cells.extend(parameters.map(|(column, value)| value.and_then(|value| cell(column.kind, value))));
        let num_figures = self.columns.len().saturating_sub(self.num_parameters + 3);
        for column in self.columns.iter().skip(1 + self.num_parameters).take(num_figures) {
            let figure = row.figures.iter().find(|(name, _)| *name == column.name).map(|(_, figure)| *figure);
            cells.push(figure.and_then(|figure| match (figure, column.kind) {
                (Figure::Count(count), Kind::Whole) => i64::try_from(count).ok().map(Cell::Whole),
                (Figure::Count(count), _) => Some(Cell::Number(sim_core::math::u64_to_f64(count))),
                (Figure::Number(number), _) => number.map(Cell::Number),
            }));
        }
        cells.extend([row.digest.map(Cell::Text), row.error.map(Cell::Text)]);
        cells
    }
}

/// Columns of what varies, named as Python names flags.
fn parameters(grid: &Grid<'_>) -> Vec<Column> {
    let name = |name: &str| match name.split_once('.') {
        Some((flag, key)) => format!("{}.{key}", flag.replace('-', "_")),
        None => name.replace('-', "_"),
    };
    let mut columns: Vec<Column> =
        grid.parameters().map(|one| Column { name: name(&one.name), kind: Kind::Whole }).collect();
    for (place, column) in columns.iter_mut().enumerate() {
        let values: Vec<&str> = grid.values_of(place);
        let kinds = [Kind::Whole, Kind::Number, Kind::Switch];
        let fits = |kind: &Kind| values.iter().all(|value| cell(*kind, value).is_some());
        column.kind = kinds.into_iter().find(fits).unwrap_or(Kind::Text);
    }
    columns
}

fn cell(kind: Kind, value: &str) -> Option<Cell> {
    match kind {
        Kind::Whole => value.parse().ok().map(Cell::Whole),
        Kind::Number => value.parse().ok().map(Cell::Number),
        Kind::Switch => value.parse().ok().map(Cell::Switch),
        Kind::Text => Some(Cell::Text(value.to_owned())),
    }
}

/// Adds the figures of a row that are new, each behind the one that it follows.
fn take_in(columns: &mut Vec<Column>, row: &Row) {
    let mut next = 0;
    for (name, figure) in &row.figures {
        let kind = if matches!(figure, Figure::Count(_)) { Kind::Whole } else { Kind::Number };
        match columns.iter().position(|column| column.name == *name) {
            Some(place) => {
                if let Some(column) = columns.get_mut(place).filter(|_| kind == Kind::Number) {
                    column.kind = kind;
                }
                next = place + 1;
            }
            None => {
                columns.insert(next, Column { name: name.clone(), kind });
                next += 1;
            }
        }
    }
}
