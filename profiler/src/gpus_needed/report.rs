//! Replicas over time, told: in words, as a table for other programs, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sim_core::answers::gpus_needed::{Needed, Phase, Scaling, Window, provisioned};
use sim_core::answers::said::{counted, three_digits};

/// Most windows that the text lists.
const MAX_LINES: usize = 48;

/// What was found for a trace.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) needed: &'a Needed,
    pub(crate) scaling: Scaling,
    /// 95 % confidence interval of the capacity.
    pub(crate) interval: Option<(f64, f64)>,
    /// GPUs of a replica, and their price an hour.
    pub(crate) num_gpus: u32,
    pub(crate) usd_per_gpu_hour: Option<f64>,
    pub(crate) gpu: String,
    pub(crate) startup_delay: f64,
}

/// Replicas over all windows.
struct Sum {
    peak: u32,
    mean: f64,
    /// Of replicas that run or start.
    gpu_hours: f64,
}

impl Report<'_> {
    /// A window and its replicas by capacity and by simulation.
    fn lines(&self) -> impl Iterator<Item = (&Window, u32, Option<(u32, f64)>)> {
        let windows = self.needed.windows().iter().zip(self.needed.by_capacity());
        windows.zip(self.needed.replicas()).map(|((window, by_capacity), found)| (window, *by_capacity, found))
    }

    /// Windows that no number of replicas helps.
    pub(crate) fn num_hopeless(&self) -> usize {
        self.lines().filter(|(_, _, found)| found.is_none()).count()
    }

    fn phases(&self, of: impl Fn(u32, Option<(u32, f64)>) -> u32) -> Vec<Phase> {
        let phase = |(window, by_capacity, found): (&Window, u32, Option<(u32, f64)>)| Phase {
            start: window.start.as_secs_f64(),
            end: window.end.as_secs_f64(),
            num_replicas: of(by_capacity, found),
        };
        self.lines().map(phase).collect()
    }

    /// The phases by simulation; by capacity, where no number of replicas helps.
    fn simulated(&self) -> Vec<Phase> {
        self.phases(|by_capacity, found| found.map_or(by_capacity, |found| found.0))
    }

    fn sum(&self, phases: &[Phase], startup_delay: f64) -> Sum {
        let seconds = phases.last().map_or(0.0, |phase| phase.end);
        let replica_seconds: f64 = phases.iter().map(Phase::replica_seconds).sum();
        let paid: f64 = provisioned(phases, startup_delay).iter().map(Phase::replica_seconds).sum();
        Sum {
            peak: phases.iter().map(|phase| phase.num_replicas).max().unwrap_or(0),
            mean: if seconds > 0.0 { replica_seconds / seconds } else { 0.0 },
            gpu_hours: paid * f64::from(self.num_gpus) / 3600.0,
        }
    }

    /// In words, with a table of the windows.
    pub(crate) fn text(&self) -> String {
        let phases = self.simulated();
        let own = self.sum(&phases, self.startup_delay);
        let bound = self.sum(&self.phases(|by_capacity, _| by_capacity), 0.0);
        let hours = phases.last().map_or(0.0, |phase| phase.end / 3600.0);
        let usd = |gpu_hours: f64| {
            self.usd_per_gpu_hour
                .map_or_else(|| "price missing".to_owned(), |usd| format!("${}", three_digits(usd * gpu_hours)))
        };
        let fixed = f64::from(own.peak * self.num_gpus) * hours;
        let mut text = format!(
            "Needs up to {} of {} × {}, {} in the mean: {} GPU hours ({}) over {} hours; always at the peak {} ({}).\n",
            counted(own.peak.into(), "replica"),
            self.num_gpus,
            self.gpu,
            three_digits(own.mean),
            three_digits(own.gpu_hours),
            usd(own.gpu_hours),
            three_digits(hours),
            three_digits(fixed),
            usd(fixed)
        );
        for line in self.notes(&bound) {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str(&self.table());
        text
    }

    fn notes(&self, bound: &Sum) -> Vec<String> {
        let interval = self
            .interval
            .map_or(String::new(), |(low, high)| format!(" (95 %: {} to {})", three_digits(low), three_digits(high)));
        let target = self.scaling.target_utilisation;
        let target = target.map_or(String::new(), |share| format!(", {:.0} % of which it is to have", 100.0 * share));
        let share = 100.0 * self.scaling.required_share;
        let mut notes = vec![
            format!(
                "a replica carries {} requests/s of this trace{interval}{target}",
                three_digits(self.scaling.capacity)
            ),
            format!(
                "by that capacity alone, as if requests were alike and came steadily: up to {}, {} in the mean, {} GPU hours",
                bound.peak,
                three_digits(bound.mean),
                three_digits(bound.gpu_hours)
            ),
            format!(
                "verified: each window was simulated alone, from an empty engine, with its requests in turn to so many \
                 replicas; {share} % of them meet"
            ),
            "a theoretical lower bound for real autoscalers: this one knows beforehand what comes".to_owned(),
        ];
        if self.startup_delay > 0.0 {
            notes.push(format!(
                "GPU hours include {} s for each start; a replica that is needed again within that time stays",
                self.startup_delay
            ));
        }
        if self.num_hopeless() > 0 {
            notes.push(format!(
                "{} cannot meet the objectives even with a replica for each request; what counts there is the capacity",
                counted(self.num_hopeless() as u64, "window")
            ));
        }
        notes
    }

    fn table(&self) -> String {
        let mut text = format!(
            "\n{:>12}{:>10}{:>12}{:>13}{:>10}{:>10}\n",
            "from, s", "requests", "requests/s", "by capacity", "replicas", "good"
        );
        let num_windows = self.needed.windows().len();
        for (window, by_capacity, found) in self.lines().take(MAX_LINES) {
            let found = found.map_or_else(
                || format!("{:>10}{:>10}", "none", ""),
                |(replicas, share)| format!("{replicas:>10}{:>8.1} %", 100.0 * share),
            );
            // Writing to a string cannot fail.
            writeln!(
                text,
                "{:>12}{:>10}{:>12}{by_capacity:>13}{found}",
                window.start.as_secs_f64(),
                window.num_requests,
                three_digits(window.load())
            )
            .unwrap_or(());
        }
        if num_windows > MAX_LINES {
            text.push_str(&format!(
                "and {} more: --output-csv has all\n",
                counted((num_windows - MAX_LINES) as u64, "window")
            ));
        }
        text
    }

    /// A line for each window.
    pub(crate) fn csv(&self) -> String {
        let mut text = "start_s,end_s,requests,requests_per_s,replicas_by_capacity,replicas,share_good\n".to_owned();
        for (window, by_capacity, found) in self.lines() {
            let found = found.map_or_else(|| ",".to_owned(), |(replicas, share)| format!("{replicas},{share}"));
            text.push_str(&format!(
                "{},{},{},{},{by_capacity},{found}\n",
                window.start.as_secs_f64(),
                window.end.as_secs_f64(),
                window.num_requests,
                window.load()
            ));
        }
        text
    }

    /// For other programs.
    pub(crate) fn json(&self) -> Value {
        let phases = self.simulated();
        let own = self.sum(&phases, self.startup_delay);
        let bound = self.sum(&self.phases(|by_capacity, _| by_capacity), 0.0);
        let sum = |sum: &Sum| {
            json!({
                "peak_replicas": sum.peak, "mean_replicas": sum.mean, "gpu_hours": sum.gpu_hours,
                "usd": self.usd_per_gpu_hour.map(|usd| usd * sum.gpu_hours),
            })
        };
        let window = |(window, by_capacity, found): (&Window, u32, Option<(u32, f64)>)| {
            json!({
                "start_s": window.start.as_secs_f64(),
                "end_s": window.end.as_secs_f64(),
                "num_requests": window.num_requests,
                "requests_per_s": window.load(),
                "replicas_by_capacity": by_capacity,
                "replicas": found.map(|found| found.0),
                "share_good": found.map(|found| found.1),
            })
        };
        let provisioned = provisioned(&phases, self.startup_delay);
        let provisioned = provisioned.iter().map(|phase| json!([phase.start, phase.end, phase.num_replicas]));
        json!({
            "simulated": true,
            "gpu": self.gpu,
            "gpus_per_replica": self.num_gpus,
            "usd_per_gpu_hour": self.usd_per_gpu_hour,
            "capacity_per_replica": self.scaling.capacity,
            "capacity_interval_95": self.interval.map(|(low, high)| [low, high]),
            "target_utilisation": self.scaling.target_utilisation,
            "required_share": self.scaling.required_share,
            "startup_delay_s": self.startup_delay,
            "verified_by_simulation": sum(&own),
            "by_capacity_alone": sum(&bound),
            "num_windows_that_cannot_meet": self.num_hopeless(),
            "windows": self.lines().map(window).collect::<Vec<_>>(),
            "provisioned_start_end_replicas": provisioned.collect::<Vec<_>>(),
        })
    }
}
