//! What came out, as a table for people and as JSON.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use super::load::Load;
use crate::bench::{report::percentile, subject::Usage};

/// Everything that was measured.
pub(super) struct Report {
    pub(super) profiles: usize,
    pub(super) servers: Vec<(String, Measured)>,
}

/// What one implementation took.
pub(super) struct Measured {
    /// From its start until it listed everything.
    pub(super) ready: Duration,
    /// Used by then.
    pub(super) start: Usage,
    /// Used in all.
    pub(super) end: Usage,
    /// The kinds of question, on how many connections, and what came of it.
    pub(super) loads: Vec<(&'static str, usize, Load)>,
}

impl Report {
    pub(super) fn table(&self) -> String {
        let mut text =
            format!("\n{} Profiles, {} bindings\n", self.profiles, self.profiles * super::data::BINDINGS);
        for (name, measured) in &self.servers {
            // Writing to a String cannot fail.
            let _ = measured.write_table(name, &mut text);
        }
        text
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        let servers: Vec<Value> = self.servers.iter().map(|(name, measured)| measured.json(name)).collect();
        let bindings = self.profiles * super::data::BINDINGS;
        let report = json!({ "profiles": self.profiles, "bindings": bindings, "servers": servers });
        Ok(serde_json::to_string_pretty(&report)?)
    }
}

impl Measured {
    fn write_table(&self, name: &str, text: &mut String) -> std::fmt::Result {
        let megabytes = |bytes: u64| bytes / 1_000_000;
        writeln!(
            text,
            "\n{name}: everything listed {:.2} s after the start; CPU {:.2} s, resident {} MB then, {} MB at the end, peak {} MB",
            self.ready.as_secs_f64(),
            self.start.cpu.as_secs_f64(),
            megabytes(self.start.resident),
            megabytes(self.end.resident),
            megabytes(self.end.peak),
        )?;
        writeln!(
            text,
            "  {:<28}{:>8}{:>12}{:>12}{:>12}{:>12}",
            "bindings", "clients", "requests/s", "median", "99th", "bytes"
        )?;
        for (question, connections, load) in &self.loads {
            let shown = |percent| {
                percentile(&load.latencies, percent).map_or_else(String::new, |it| format!("{it:.2?}"))
            };
            writeln!(
                text,
                "  {question:<28}{connections:>8}{:>12.1}{:>12}{:>12}{:>12}",
                per_second(load),
                shown(50),
                shown(99),
                load.bytes,
            )?;
        }
        Ok(())
    }

    fn json(&self, name: &str) -> Value {
        let loads: Vec<Value> = self
            .loads
            .iter()
            .map(|(question, connections, load)| {
                let milliseconds =
                    |percent| percentile(&load.latencies, percent).map(|it| it.as_secs_f64() * 1000.0);
                json!({
                    "bindings": question,
                    "clients": connections,
                    "requests": load.requests,
                    "requestsPerSecond": per_second(load),
                    "latencyMilliseconds": { "median": milliseconds(50), "p99": milliseconds(99) },
                    "bytes": load.bytes,
                })
            })
            .collect();
        json!({
            "name": name,
            "readySeconds": self.ready.as_secs_f64(),
            "cpuSecondsUntilReady": self.start.cpu.as_secs_f64(),
            "residentBytesWhenReady": self.start.resident,
            "residentBytesAtEnd": self.end.resident,
            "peakBytes": self.end.peak,
            "questions": loads,
        })
    }
}

fn per_second(load: &Load) -> f64 {
    load.requests as f64 / load.elapsed.as_secs_f64()
}
