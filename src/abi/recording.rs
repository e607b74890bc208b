//! A recording: the raw event stream, what discovery concluded, and the clock, in a file.
//!
//! ```text
//! file   = magic(8) abi_version(u32) id_seed(u64) *frame
//! frame  = kind(u8) length(u32) payload
//! batch  = drained_at(u64) clock_offset(i64) count(u32) *(length(u32) record)
//! fact   = JSON
//! end    = frames before it (u64)
//! ```
//!
//! Integers are little-endian. Records themselves are as the kernel wrote them, in the byte order
//! of the recording machine. Replaying a file gives the same spans every time, ids included.

use std::io::{self, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::batch::RawBatch;
use super::types;
use crate::model::ids::{KtimeNs, Tgid};
use crate::model::process::{ProcessFact, ThreadModel};
use crate::model::service::Service;
use crate::model::time::ClockOffset;

const MAGIC: &[u8; 8] = b"OBIREC\r\n";
const FRAME_BATCH: u8 = 1;
const FRAME_FACT: u8 = 2;
const FRAME_END: u8 = 3;
/// Longest frame that is believed: a batch is cut far below.
const FRAME_MAX: u32 = 64 << 20;

/// One thing that happened.
#[derive(Debug)]
pub enum Entry {
    /// Records of one drain.
    Batch(RawBatch),
    /// A conclusion of discovery.
    Fact(ProcessFact),
}

/// Why a file cannot be replayed, or not any further.
#[derive(Debug)]
pub enum RecordingError {
    /// It is not a recording.
    Foreign,
    /// It was made by a build with another record layout.
    Version(u32),
    /// It ends inside a frame, or without its end mark.
    Truncated,
    /// A frame contradicts itself.
    Damaged,
    /// It cannot be read.
    Io(io::Error),
}

impl std::fmt::Display for RecordingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is not a recording of obi"),
            Self::Version(v) => write!(
                f,
                "the recording has record layout {v}, this build reads layout {}: replay it with \
                 the build that made it",
                types::event_limit::ABI_VERSION.0
            ),
            Self::Truncated => f.write_str(
                "the recording is truncated (the recorder was killed or the disk was full)",
            ),
            Self::Damaged => f.write_str("the recording is damaged"),
            Self::Io(error) => write!(f, "the recording cannot be read: {error}"),
        }
    }
}

impl std::error::Error for RecordingError {}

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder<W> {
    out: W,
    frame: Vec<u8>,
    frames: u64,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording; replays draw ids from `seed`.
    pub fn new(mut out: W, seed: u64) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        out.write_all(&types::event_limit::ABI_VERSION.0.to_le_bytes())?;
        out.write_all(&seed.to_le_bytes())?;
        out.flush()?;
        Ok(Self { out, frame: Vec::new(), frames: 0 })
    }

    /// Adds the records of one drain, and sees that they are in the file: a recorder that is killed
    /// leaves whole batches.
    pub fn batch(&mut self, batch: &RawBatch) -> io::Result<()> {
        self.frame.clear();
        self.frame.extend_from_slice(&batch.drained_at.0.to_le_bytes());
        self.frame.extend_from_slice(&batch.clock.0.to_le_bytes());
        self.frame.extend_from_slice(&length(batch.len())?.to_le_bytes());
        for record in batch.iter() {
            self.frame.extend_from_slice(&length(record.len())?.to_le_bytes());
            self.frame.extend_from_slice(record);
        }
        self.write(FRAME_BATCH)?;
        self.out.flush()
    }

    /// Adds a conclusion of discovery.
    pub fn fact(&mut self, fact: &ProcessFact) -> io::Result<()> {
        self.frame.clear();
        serde_json::to_writer(&mut self.frame, &Fact::of(fact))?;
        self.write(FRAME_FACT)
    }

    /// Marks the end and flushes.
    pub fn finish(mut self) -> io::Result<()> {
        self.frame = self.frames.to_le_bytes().to_vec();
        self.write(FRAME_END)?;
        self.out.flush()
    }

    fn write(&mut self, kind: u8) -> io::Result<()> {
        self.out.write_all(&[kind])?;
        self.out.write_all(&length(self.frame.len())?.to_le_bytes())?;
        self.out.write_all(&self.frame)?;
        self.frames += 1;
        Ok(())
    }
}

fn length(n: usize) -> io::Result<u32> {
    u32::try_from(n).map_err(io::Error::other)
}

/// Reads a recording frame by frame.
#[derive(Debug)]
pub struct Recording<R> {
    input: R,
    /// Where ids start.
    pub seed: u64,
    frame: Vec<u8>,
    frames: u64,
}

impl<R: Read> Recording<R> {
    /// Opens a recording.
    pub fn open(mut input: R) -> Result<Self, RecordingError> {
        for byte in MAGIC {
            if exactly(&mut input)? != [*byte] {
                return Err(RecordingError::Foreign);
            }
        }
        let version = u32::from_le_bytes(exactly(&mut input)?);
        if version != types::event_limit::ABI_VERSION.0 {
            return Err(RecordingError::Version(version));
        }
        let seed = u64::from_le_bytes(exactly(&mut input)?);
        Ok(Self { input, seed, frame: Vec::new(), frames: 0 })
    }

    /// The next entry; `None` at the end mark. After an error nothing more can be read, but
    /// every entry before it is whole.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        let [kind] = exactly(&mut self.input)?;
        let len = u32::from_le_bytes(exactly(&mut self.input)?);
        if len > FRAME_MAX {
            return Err(RecordingError::Damaged);
        }
        self.frame.clear();
        let read = (&mut self.input).take(len.into()).read_to_end(&mut self.frame);
        if read.map_err(RecordingError::Io)? < len as usize {
            return Err(RecordingError::Truncated);
        }
        self.frames += 1;
        match kind {
            FRAME_BATCH => batch(&self.frame).map(|b| Some(Entry::Batch(b))),
            FRAME_FACT => serde_json::from_slice::<Fact>(&self.frame)
                .map(|fact| Some(Entry::Fact(fact.into_fact())))
                .map_err(|_| RecordingError::Damaged),
            FRAME_END => {
                let frames: [u8; 8] =
                    self.frame.as_slice().try_into().map_err(|_| RecordingError::Damaged)?;
                match u64::from_le_bytes(frames) == self.frames - 1 {
                    true => Ok(None),
                    false => Err(RecordingError::Damaged),
                }
            }
            _ => Err(RecordingError::Damaged),
        }
    }
}

fn exactly<const N: usize>(input: &mut impl Read) -> Result<[u8; N], RecordingError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => RecordingError::Truncated,
        _ => RecordingError::Io(error),
    })?;
    Ok(bytes)
}

fn batch(frame: &[u8]) -> Result<RawBatch, RecordingError> {
    let mut rest = frame;
    let damaged = |_| RecordingError::Damaged;
    let drained_at = KtimeNs(u64::from_le_bytes(exactly(&mut rest).map_err(damaged)?));
    let clock = ClockOffset(i64::from_le_bytes(exactly(&mut rest).map_err(damaged)?));
    let mut batch = RawBatch::drained(drained_at, clock);
    let count = u32::from_le_bytes(exactly(&mut rest).map_err(damaged)?);
    for _ in 0..count {
        let len = u32::from_le_bytes(exactly(&mut rest).map_err(damaged)?);
        let (record, behind) =
            rest.split_at_checked(len as usize).ok_or(RecordingError::Damaged)?;
        batch.push(record);
        rest = behind;
    }
    match rest.is_empty() {
        true => Ok(batch),
        false => Err(RecordingError::Damaged),
    }
}

/// A fact as JSON.
#[derive(Serialize, Deserialize)]
struct Fact {
    tgid: u32,
    since: u64,
    service: Option<Identity>,
    threads_move: bool,
    #[serde(default)]
    left: bool,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    name: String,
    namespace: String,
    instance_id: String,
    language: String,
    host_name: String,
    host_id: String,
    extra: Vec<(String, String)>,
}

impl Fact {
    fn of(fact: &ProcessFact) -> Self {
        Self {
            tgid: fact.tgid.0,
            since: fact.since.0,
            threads_move: fact.threads == ThreadModel::Moves,
            left: fact.left,
            service: fact.service.as_deref().map(|s| Identity {
                name: s.name.clone(),
                namespace: s.namespace.clone(),
                instance_id: s.instance_id.clone(),
                language: s.language.to_owned(),
                host_name: s.host_name.clone(),
                host_id: s.host_id.clone(),
                extra: s.extra.clone(),
            }),
        }
    }

    fn into_fact(self) -> ProcessFact {
        ProcessFact {
            tgid: Tgid(self.tgid),
            since: KtimeNs(self.since),
            threads: if self.threads_move { ThreadModel::Moves } else { ThreadModel::MayStay },
            left: self.left,
            service: self.service.map(|s| {
                Arc::new(Service {
                    name: s.name,
                    namespace: s.namespace,
                    instance_id: s.instance_id,
                    language: Service::language_named(&s.language),
                    host_name: s.host_name,
                    host_id: s.host_id,
                    extra: s.extra,
                    ..Service::default()
                })
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Vec<u8> {
        let mut file = Vec::new();
        let mut recorder = Recorder::new(&mut file, 7).unwrap();
        let service = Arc::new(Service { name: "a".into(), language: "go", ..Service::default() });
        recorder
            .fact(&ProcessFact {
                tgid: Tgid(3),
                since: KtimeNs(4),
                service: Some(service),
                threads: ThreadModel::Moves,
                left: true,
            })
            .unwrap();
        let mut batch = RawBatch::drained(KtimeNs(5), ClockOffset(-6));
        batch.push(b"one");
        batch.push(b"");
        batch.push(b"three");
        recorder.batch(&batch).unwrap();
        recorder.finish().unwrap();
        file
    }

    fn entries(file: &[u8]) -> (Vec<Entry>, Result<(), RecordingError>) {
        let mut recording = Recording::open(file).unwrap();
        let mut entries = Vec::new();
        loop {
            match recording.next_entry() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => return (entries, Ok(())),
                Err(error) => return (entries, Err(error)),
            }
        }
    }

    #[test]
    fn what_was_recorded_is_read_back() {
        let file = recorded();
        assert_eq!(Recording::open(file.as_slice()).unwrap().seed, 7);
        let (entries, end) = entries(&file);
        end.unwrap();
        let [Entry::Fact(fact), Entry::Batch(batch)] = entries.as_slice() else { panic!() };
        assert_eq!((fact.tgid, fact.since), (Tgid(3), KtimeNs(4)));
        assert_eq!((fact.threads, fact.left), (ThreadModel::Moves, true));
        let service = fact.service.as_deref().unwrap();
        assert_eq!((service.name.as_str(), service.language), ("a", "go"));
        assert_eq!((batch.drained_at, batch.clock), (KtimeNs(5), ClockOffset(-6)));
        let records: Vec<&[u8]> = batch.iter().collect();
        assert_eq!(records, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn a_truncated_file_keeps_its_whole_records_wherever_it_is_cut() {
        let file = recorded();
        for cut in 20..file.len() {
            let (_, end) = entries(&file[..cut]);
            assert!(matches!(end, Err(RecordingError::Truncated)), "cut at {cut}");
        }
        let (whole, _) = entries(&file[..file.len() - 1]);
        assert_eq!(whole.len(), 2);
        assert!(matches!(Recording::open(&file[..12]), Err(RecordingError::Truncated)));
    }

    #[test]
    fn a_foreign_file_and_another_layout_are_told_apart() {
        let mut file = recorded();
        assert!(matches!(Recording::open(&b"\x7fELF...."[..]), Err(RecordingError::Foreign)));
        assert!(matches!(Recording::open(&b"OBIREC"[..]), Err(RecordingError::Truncated)));
        assert!(matches!(Recording::open(&b""[..]), Err(RecordingError::Truncated)));
        file[8] = 9;
        assert!(matches!(Recording::open(file.as_slice()), Err(RecordingError::Version(9))));
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let file = recorded();
        for at in 20..file.len() {
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                // Any outcome but a panic; a changed payload byte may go unseen here.
                let _outcome = entries(&damaged);
            }
        }
    }
}
