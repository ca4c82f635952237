//! The two fronts as data for plots: money for tokens, and tokens of each GPU, against tokens that one user sees a second.

use crate::components::plot_view::{Reading, Table};
use crate::format::three_digits;
use crate::plot::scatter::{ScatterDot, ScatterPlot};
use crate::plot::{Dash, Look};

/// A setup at a load that it carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dot {
    pub(super) name: String,
    /// Such as `12.4 requests/s`.
    pub(super) load: String,
    /// Output tokens a second.
    pub(super) per_user: f64,
    pub(super) per_gpu: f64,
    /// For a million output tokens, if a price is known.
    pub(super) usd: Option<f64>,
    /// Whether it is on each of the fronts.
    pub(super) leads: [bool; 2],
}

/// Which front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    /// US dollars for a million output tokens: the lower the better.
    Cost,
    /// Output tokens a second for each GPU: the higher the better.
    Throughput,
}

const LOOK: Look = Look { series: 1, dash: Dash::Solid };

impl Front {
    /// Above the plot.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Cost => "Cost against interactivity",
            Self::Throughput => "Throughput against interactivity",
        }
    }

    /// Of the files that are saved.
    pub(super) const fn stem(self) -> &'static str {
        match self {
            Self::Cost => "front-cost",
            Self::Throughput => "front-throughput",
        }
    }

    const fn y_title(self) -> &'static str {
        match self {
            Self::Cost => "US$ per million output tokens",
            Self::Throughput => "output tokens/s per GPU",
        }
    }

    const fn y(self, dot: &Dot) -> Option<f64> {
        match self {
            Self::Cost => dot.usd,
            Self::Throughput => Some(dot.per_gpu),
        }
    }

    const fn leads(self, dot: &Dot) -> bool {
        let [cost, throughput] = dot.leads;
        match self {
            Self::Cost => cost,
            Self::Throughput => throughput,
        }
    }

    fn on_front(self, dots: &[Dot]) -> impl Iterator<Item = &Dot> {
        dots.iter().filter(move |dot| self.leads(dot))
    }

    /// The plot.
    pub(super) fn plot(self, dots: &[Dot]) -> ScatterPlot {
        let dot = |dot: &Dot| Some(ScatterDot { at: (dot.per_user, self.y(dot)?), leads: self.leads(dot) });
        ScatterPlot {
            dots: dots.iter().filter_map(dot).collect(),
            look: LOOK,
            x_title: "output tokens/s per user",
            y_title: self.y_title(),
        }
    }

    /// The setup of the front that is nearest to `per_user`.
    pub(super) fn readings(self, dots: &[Dot], per_user: f64) -> Vec<Reading> {
        let distance = |dot: &Dot| (dot.per_user - per_user).abs();
        let nearest = self.on_front(dots).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let Some(dot) = nearest else { return Vec::new() };
        let reading = |name: &str, text: String| Reading { name: name.to_owned(), text, look: None };
        vec![
            Reading { name: dot.name.clone(), text: format!("at {}", dot.load), look: Some(LOOK) },
            reading("per user", format!("{} tokens/s", three_digits(dot.per_user))),
            reading(self.y_title(), self.y(dot).map_or_else(|| "–".to_owned(), three_digits)),
        ]
    }

    /// The front as words.
    pub(super) fn table(self, dots: &[Dot]) -> Table {
        let columns = ["setup", "load", "output tokens/s per user", self.y_title()];
        let row = |dot: &Dot| {
            let y = self.y(dot).map_or_else(|| "–".to_owned(), three_digits);
            vec![dot.name.clone(), dot.load.clone(), three_digits(dot.per_user), y]
        };
        Table { columns: columns.map(str::to_owned).to_vec(), rows: self.on_front(dots).map(row).collect() }
    }

    /// All dots with all digits.
    pub(super) fn csv(self, dots: &[Dot]) -> String {
        let mut text =
            "setup,load,tokens_per_s_per_user,tokens_per_s_per_gpu,usd_per_million_tokens,on_front\n".to_owned();
        for dot in dots {
            let usd = dot.usd.map_or_else(String::new, |usd| usd.to_string());
            let Dot { name, load, per_user, per_gpu, .. } = dot;
            text.push_str(&format!("{name},{load},{per_user},{per_gpu},{usd},{}\n", self.leads(dot)));
        }
        text
    }

    /// One sentence that says what a person would see.
    pub(super) fn summary(self, dots: &[Dot]) -> String {
        let mut front = self.on_front(dots);
        let (first, last) = (front.next(), front.last());
        let end = |dot: &Dot| {
            let y = self.y(dot).map_or_else(|| "–".to_owned(), three_digits);
            format!("{} with {} tokens/s per user and {y} {}", dot.name, three_digits(dot.per_user), self.y_title())
        };
        match (first, last) {
            (Some(first), Some(last)) => format!("{}: from {} to {}.", self.title(), end(first), end(last)),
            (Some(only), None) => format!("{}: {}.", self.title(), end(only)),
            _ => format!("{}: nothing known yet.", self.title()),
        }
    }
}
