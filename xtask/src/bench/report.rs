//! What came out, as a table for people and as JSON.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use serde_json::{Value, json};

use super::phases::{Phase, Phases};

/// Name of the phase that is compared with the raw writes.
pub(super) const FROM_NOTHING: &str = "from nothing to ready";

/// Everything that was measured.
#[derive(Default)]
pub(super) struct Report {
    pub(super) rounds: Vec<Round>,
}

/// What was measured with one number of Profiles.
pub(super) struct Round {
    profiles: usize,
    concurrency: usize,
    /// How long the raw writes took, each time.
    pub(super) raw: Vec<Duration>,
    subjects: Vec<(String, Phases)>,
}

impl Report {
    /// A table for each number of Profiles, and one of how it grows with them.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for round in &self.rounds {
            let _ = round.write_table(&mut text);
        }
        if self.rounds.len() > 1 {
            let _ = self.write_growth(&mut text);
        }
        text
    }

    fn write_growth(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\nFrom nothing to ready")?;
        writeln!(
            text,
            "  {:<24}{:>9}{:>9}{:>9}{:>14}{:>10}",
            "", "Profiles", "seconds", "of raw", "ms/Profile", "peak"
        )?;
        for round in &self.rounds {
            for (name, measured) in &round.subjects {
                let Some(phase) = measured.phases.iter().find(|phase| phase.name == FROM_NOTHING) else {
                    continue;
                };
                let seconds = phase.elapsed.as_secs_f64();
                writeln!(
                    text,
                    "  {:<24}{:>9}{:>9.2}{:>9.2}{:>14.2}{:>7} MB",
                    name,
                    round.profiles,
                    seconds,
                    median(&round.ratios(measured)),
                    seconds * 1000.0 / round.profiles.max(1) as f64,
                    phase.usage.peak / 1_000_000,
                )?;
            }
        }
        Ok(())
    }

    /// The same as JSON, with every request counted.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        let rounds: Vec<Value> = self.rounds.iter().map(Round::json).collect();
        Ok(serde_json::to_string_pretty(&json!({ "rounds": rounds }))?)
    }
}

impl Round {
    pub(super) fn new(profiles: usize, concurrency: usize) -> Self {
        Self { profiles, concurrency, raw: Vec::new(), subjects: Vec::new() }
    }

    pub(super) fn add(&mut self, subject: &str, phases: Phases) {
        self.subjects.push((subject.to_owned(), phases));
    }

    pub(super) fn of(&mut self, subject: &str) -> Option<&mut Phases> {
        self.subjects.iter_mut().find(|(name, _)| name == subject).map(|(_, phases)| phases)
    }

    /// How long from nothing to ready took as a multiple of the raw writes just before.
    fn ratios(&self, measured: &Phases) -> Vec<f64> {
        let pairs = measured.from_nothing.iter().zip(&self.raw);
        pairs.map(|(ours, raw)| ours.div_duration_f64(*raw)).collect()
    }

    /// What a phase took a Profile, as a multiple of what the first raw writes took a Profile.
    fn ratio(&self, phase: &Phase) -> f64 {
        let raw = self.raw.first().copied().unwrap_or_default() / self.profiles.max(1) as u32;
        (phase.elapsed / phase.profiles.max(1) as u32).div_duration_f64(raw)
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\n{} Profiles. Raw writes of the same objects: {} s ({} Profiles at a time)",
            self.profiles,
            listed(self.raw.iter().map(Duration::as_secs_f64)),
            self.concurrency
        )?;
        for (name, measured) in &self.subjects {
            let ratios = self.ratios(measured);
            writeln!(text, "\n{name}")?;
            if ratios.len() > 1 {
                writeln!(
                    text,
                    "  {FROM_NOTHING}, each time: {} s; of the raw writes just before {}, at the median {:.2}",
                    listed(measured.from_nothing.iter().map(Duration::as_secs_f64)),
                    listed(ratios.iter().copied()),
                    median(&ratios),
                )?;
            }
            writeln!(
                text,
                "  {:<24}{:>9}{:>9}{:>10}{:>10}{:>9}{:>10}{:>9}",
                "", "seconds", "of raw", "writes/P", "reads/P", "CPU s", "resident", "peak"
            )?;
            for phase in &measured.phases {
                writeln!(
                    text,
                    "  {:<24}{:>9.2}{:>9.2}{:>10.2}{:>10.2}{:>9.2}{:>7} MB{:>6} MB",
                    phase.name,
                    phase.elapsed.as_secs_f64(),
                    self.ratio(phase),
                    per_profile(phase, phase.requests.writes()),
                    per_profile(phase, phase.requests.reads()),
                    phase.cpu.as_secs_f64(),
                    phase.usage.resident / 1_000_000,
                    phase.usage.peak / 1_000_000,
                )?;
            }
            if let (Some(median), Some(p99)) =
                (percentile(&measured.latencies, 50), percentile(&measured.latencies, 99))
            {
                writeln!(
                    text,
                    "  a Profile created while it runs is ready after {median:.0?} (median), {p99:.0?} (99th percentile)"
                )?;
            }
            if let Some(phase) = measured.phases.iter().find(|phase| phase.name == FROM_NOTHING) {
                write_requests(text, phase)?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let subjects: Vec<Value> = self
            .subjects
            .iter()
            .map(|(name, measured)| {
                let phases: Vec<Value> =
                    measured.phases.iter().map(|phase| phase_json(phase, self.ratio(phase))).collect();
                let milliseconds =
                    |percent| percentile(&measured.latencies, percent).map(|it| it.as_secs_f64() * 1000.0);
                json!({
                    "name": name,
                    "phases": phases,
                    "fromNothingSeconds": seconds_of(&measured.from_nothing),
                    "ratioToRaw": median(&self.ratios(measured)),
                    "latencyMilliseconds": { "median": milliseconds(50), "p99": milliseconds(99) },
                })
            })
            .collect();
        json!({
            "profiles": self.profiles,
            "raw": { "seconds": seconds_of(&self.raw), "concurrency": self.concurrency },
            "controllers": subjects,
        })
    }
}

/// What was asked of the API server, and how long it took for it.
fn write_requests(text: &mut String, phase: &Phase) -> std::fmt::Result {
    writeln!(
        text,
        "\n  {:<48}{:>9}{:>12}{:>12}",
        format!("{}: requests", phase.name),
        "a Profile",
        "median",
        "99th"
    )?;
    for (kind, durations) in &phase.requests.0 {
        let milliseconds =
            |percent| percentile(durations, percent).unwrap_or_default().as_secs_f64() * 1000.0;
        writeln!(
            text,
            "  {kind:<48}{:>9.2}{:>9.1} ms{:>9.1} ms",
            per_profile(phase, durations.len()),
            milliseconds(50),
            milliseconds(99),
        )?;
    }
    let components =
        phase.control_plane.iter().map(|(name, cpu)| format!("{name} {:.2} s", cpu.as_secs_f64()));
    let components: Vec<String> = components.collect();
    writeln!(text, "  CPU of the control plane meanwhile: {}", components.join(", "))
}

fn seconds(cpu: &BTreeMap<&'static str, Duration>) -> BTreeMap<&'static str, f64> {
    cpu.iter().map(|(name, cpu)| (*name, cpu.as_secs_f64())).collect()
}

fn requests_json(phase: &Phase) -> Value {
    let milliseconds = |durations: &[Duration], percent| {
        percentile(durations, percent).map(|duration| duration.as_secs_f64() * 1000.0)
    };
    let kinds = phase.requests.0.iter().map(|(kind, durations)| {
        let value = json!({
            "count": durations.len(),
            "medianMilliseconds": milliseconds(durations, 50),
            "p99Milliseconds": milliseconds(durations, 99),
        });
        (kind.clone(), value)
    });
    Value::Object(kinds.collect())
}

fn phase_json(phase: &Phase, ratio: f64) -> Value {
    json!({
        "name": phase.name,
        "profiles": phase.profiles,
        "seconds": phase.elapsed.as_secs_f64(),
        "ratioToRaw": ratio,
        "writesPerProfile": per_profile(phase, phase.requests.writes()),
        "readsPerProfile": per_profile(phase, phase.requests.reads()),
        "requests": requests_json(phase),
        "controlPlaneCpuSeconds": seconds(&phase.control_plane),
        "cpuSeconds": phase.cpu.as_secs_f64(),
        "residentBytes": phase.usage.resident,
        "peakBytes": phase.usage.peak,
    })
}

fn per_profile(phase: &Phase, requests: usize) -> f64 {
    requests as f64 / phase.profiles.max(1) as f64
}

fn seconds_of(durations: &[Duration]) -> Vec<f64> {
    durations.iter().map(Duration::as_secs_f64).collect()
}

fn listed(numbers: impl Iterator<Item = f64>) -> String {
    numbers.map(|number| format!("{number:.2}")).collect::<Vec<_>>().join(", ")
}

/// The middle one; of an even number of them the lower of the two.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// The nearest-rank percentile of sorted values.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}
