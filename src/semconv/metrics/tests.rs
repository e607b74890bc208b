//! The table against the contract's own (`tests/fixtures/contract/metrics.tsv`), row by row.

#![expect(clippy::print_stdout, reason = "how many metrics are live is part of the result")]

use super::*;
use crate::semconv::{AttrKey, SpanFamily};

const ROWS: &str = include_str!("../../../tests/fixtures/contract/metrics.tsv");

/// In the contract because its sources name them, but of no product that this one takes the place of:
/// an agent that counts what it does not observe, and a name that only the website has.
const OF_OTHERS: [&str; 2] = ["survey_info", "obi.jvm.heap.used"];

struct Row {
    cells: Vec<&'static str>,
}

impl Row {
    fn all() -> Vec<Self> {
        let lines = ROWS.lines().filter(|line| !line.starts_with('#'));
        let rows = lines.map(|line| Self { cells: line.split('\t').collect() });
        let rows: Vec<Self> = rows.collect();
        assert!(rows.iter().all(|row| row.cells.len() == 14));
        rows
    }

    fn cell(&self, n: usize) -> &'static str {
        match self.cells[n] {
            "-" => "",
            cell => cell,
        }
    }

    fn list(&self, n: usize) -> Vec<&'static str> {
        self.cell(n).split(',').filter(|item| !item.is_empty()).collect()
    }

    fn limits(&self, n: usize) -> Vec<f64> {
        self.list(n).into_iter().map(|limit| limit.parse().unwrap()).collect()
    }
}

#[test]
fn every_metric_of_the_contract_is_in_the_table_as_it_says() {
    let mut of_table = all();
    let mut live = 0;
    for row in Row::all() {
        let (otel, prometheus) = (row.cell(0), row.cell(1));
        if OF_OTHERS.contains(&otel) {
            continue;
        }
        let name = if otel.is_empty() { prometheus } else { otel };
        let metric = all().find(|m| m.otel == otel && m.prometheus == prometheus);
        let metric = metric.unwrap_or_else(|| panic!("{name} is missing"));
        of_table.next();
        let instrument = match metric.instrument {
            Instrument::Counter => "counter",
            Instrument::UpDownCounter => "updowncounter",
            Instrument::Gauge => "gauge",
            Instrument::Histogram => "histogram",
        };
        assert_eq!(instrument, row.cell(2), "{name}");
        assert_eq!(metric.unit, row.cell(4), "{name}");
        if !otel.is_empty() {
            assert_eq!(metric.limits.over_otlp(), row.limits(5), "{name}");
        }
        assert_eq!(metric.limits.for_prometheus(), row.limits(6), "{name}");
        assert_eq!(metric.default, row.list(7), "{name}");
        assert_eq!(metric.optional, row.list(8), "{name}");
        assert_eq!(
            metric.selectable,
            !row.cell(11).is_empty() && row.cell(10) != "application_runtime",
            "{name}"
        );
        let labels: Vec<&str> = metric.labels.unwrap_or_default().to_vec();
        let expected = row.list(9);
        let expected: Vec<&str> = expected
            .into_iter()
            .filter(|label| *label != "?")
            .map(|label| if label == "target_info label set" { "*target_info" } else { label })
            .collect();
        assert_eq!(labels, expected, "{name}");
        live += usize::from(metric.is_live());
    }
    assert!(of_table.next().is_none(), "the table has metrics that the contract does not");
    println!(
        "metrics: {} in the contract, {} in the table, {live} live",
        Row::all().len(),
        all().count()
    );
}

#[test]
fn what_is_live_says_what_it_is_and_has_labels_that_are_known() {
    for family in SpanFamily::ALL {
        for (metric, _) in family.measured() {
            assert!(metric.is_live() && !metric.help.is_empty(), "{}", metric.otel);
            let of_span = |name: &&&str| !name.starts_with("service.");
            let unknown = metric.default.iter().chain(metric.optional).filter(of_span);
            let unknown: Vec<_> = unknown.filter(|name| AttrKey::named(name).is_none()).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", metric.otel);
        }
    }
}
