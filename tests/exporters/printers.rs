//! Printers on a pipe that is read, is not read, or is gone.

use std::fs::File;
use std::io::{PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use obi::model::time::instant_now;
use obi::stages::exporter::Exporter;

use super::{assert_account, eventually, in_a_while, numbered, start};

fn printer(name: &str) -> (PipeReader, Exporter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let exporter = start(&[("OTEL_EBPF_TRACE_PRINTER", name)], File::from(OwnedFd::from(writer)));
    (reader, exporter)
}

fn read_all(mut reader: PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn text_is_one_line_a_span() {
    let (reader, exporter) = printer("text");
    exporter.queue().push(numbered(0, 3));
    assert_account(&exporter.join(in_a_while()), 3, 3, &[]);
    let text = read_all(reader);
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().nth(2).unwrap().contains(" HTTP(subType=0) 0  2 ["), "{text}");
}

#[test]
fn json_is_one_line_a_batch() {
    for (name, lines) in [("json", 2), ("json_indent", 2 * 2 + 3 * (2 + 19 + 2 + 9))] {
        let (reader, exporter) = printer(name);
        exporter.queue().push(numbered(0, 2));
        exporter.queue().push(numbered(2, 1));
        assert_account(&exporter.join(in_a_while()), 3, 3, &[]);
        let text = read_all(reader);
        assert_eq!(text.lines().count(), lines, "{text}");
        let arrays: Vec<Vec<serde_json::Value>> = serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(arrays.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(arrays[1][0]["attributes"]["url"], "2");
    }
}

#[test]
fn the_counter_speaks_once_at_the_end() {
    let (reader, exporter) = printer("counter");
    exporter.queue().push(numbered(0, 3));
    exporter.queue().push(numbered(3, 4));
    assert_account(&exporter.join(in_a_while()), 7, 7, &[]);
    assert_eq!(read_all(reader), "Processed 7 requests\n");
}

#[test]
fn a_reader_that_stops_reading_gets_whole_lines_and_the_rest_is_counted() {
    let (reader, exporter) = printer("text");
    for first in (0..4000).step_by(100) {
        exporter.queue().push(numbered(first, 100));
    }
    eventually("the pipe is full", || exporter.stage().out > 0);
    let stage = exporter.join(instant_now() + Duration::from_millis(300));
    let text = read_all(reader);
    let printed = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
    assert!(printed > 0 && printed < 4000, "{printed}");
    assert_account(&stage, 4000, printed, &[("shutdown", 4000 - printed)]);
}

#[test]
fn when_the_reader_is_gone_every_further_span_is_counted() {
    let (reader, exporter) = printer("text");
    drop(reader);
    exporter.queue().push(numbered(0, 3));
    let failed = |exporter: &Exporter| exporter.stage().dropped();
    eventually("the printer notices", || failed(&exporter) == 3);
    exporter.queue().push(numbered(3, 4));
    assert_account(&exporter.join(in_a_while()), 7, 0, &[("output_failed", 7)]);
}

#[test]
fn a_full_disk_costs_its_spans_and_no_more() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let exporter = start(&[("OTEL_EBPF_TRACE_PRINTER", "json")], full);
    exporter.queue().push(numbered(0, 3));
    eventually("the printer notices", || exporter.stage().dropped() == 3);
    exporter.queue().push(numbered(3, 4));
    assert_account(&exporter.join(in_a_while()), 7, 0, &[("output_failed", 7)]);
}
