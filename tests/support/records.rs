//! Raw records as bytes, for the fuzzer, and what must hold of any of them.
//!
//! ```text
//! input = *record        record = length(u16, little-endian) bytes
//! ```
//!
//! Bytes beyond the input's end are not there.

use std::sync::Arc;

use obi::abi::{self, RawBatch, RawEvent};
use obi::model::batch::SpanBatch;
use obi::model::ids::KtimeNs;
use obi::model::time::ClockOffset;
use obi::stages::decoder::Decoder;
use obi::telemetry::Counters;

/// Records of one batch.
const BATCH: usize = 8;

/// Decodes the records one by one, and as batches through the decoder. Panics when data that was
/// decoded is not the same after it was encoded, when a span points outside its batch, or when the
/// accounts do not balance.
pub(crate) fn run(input: &[u8]) {
    let records = records(input);
    records.iter().for_each(|record| round_trip(record));
    let mut decoder = Decoder::new(1, Arc::new(Counters::default()));
    let mut out = SpanBatch::default();
    for (at, some) in (1..).zip(records.chunks(BATCH)) {
        let mut batch = RawBatch::drained(KtimeNs(at * 100_000_000), ClockOffset(0));
        some.iter().for_each(|record| batch.push(record));
        decoder.decode(&batch, &mut out);
        decoder.ledger().iter().for_each(|s| assert!(s.balanced(), "{s:?}"));
    }
    decoder.finish(&mut out);
    decoder.ledger().iter().for_each(|s| assert!(s.balanced(), "{s:?}"));
    for span in &out.spans {
        assert!(span.times.start <= span.times.end, "{span:?}");
        assert!(span.attrs.end as usize <= out.attrs.len(), "{span:?}");
    }
}

/// The records of an input.
fn records(input: &[u8]) -> Vec<&[u8]> {
    let mut rest = input;
    let mut records = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (record, behind) = behind.split_at(length);
        records.push(record);
        rest = behind;
    }
    records
}

/// An input of these records.
pub(crate) fn input<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut input = Vec::new();
    for record in records {
        input.extend_from_slice(&u16::try_from(record.len()).unwrap().to_le_bytes());
        input.extend_from_slice(record);
    }
    input
}

fn round_trip(record: &[u8]) {
    let Ok(RawEvent::Data(data)) = abi::decode(record) else { return };
    assert!(data.head.len() + data.tail.len() <= data.bytes as usize);
    let mut again = Vec::new();
    abi::encode_data(&data, &mut again);
    let Ok(RawEvent::Data(same)) = abi::decode(&again) else { panic!("encoded data decodes") };
    assert_eq!(format!("{data:?}"), format!("{same:?}"));
}
