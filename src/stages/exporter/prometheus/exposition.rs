//! One answer to a scrape, made a piece at a time: it is never in memory as a whole, and the store is
//! held for one piece only.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

use super::text::{self, Format, Seen};
use crate::config::ExemplarFilter;
use crate::model::time::ktime_now;
use crate::stages::exporter::aggregate::{Label, Shared, View};
use crate::stages::exporter::internal::Internal;
use crate::stages::exporter::levels::Levels;

/// Series that are written without letting the store go.
const TURN: usize = 64;
/// Bytes of a piece, about.
const PIECE: usize = 64 << 10;

/// What a scrape sees.
#[derive(Debug, Default)]
pub(in crate::stages::exporter) struct Source {
    /// Series of spans.
    pub(in crate::stages::exporter) store: Option<StoreSource>,
    /// The agent's own metrics.
    pub(in crate::stages::exporter) internal: Option<Internal>,
}

/// The store, and what of it is seen.
#[derive(Debug)]
pub(in crate::stages::exporter) struct StoreSource {
    shared: Shared,
    views: Vec<Shown>,
    levels: Levels,
    exemplars: ExemplarFilter,
}

/// A view with its labels' names as Prometheus has them.
#[derive(Debug)]
struct Shown {
    table: usize,
    instruments: Vec<usize>,
    labels: Vec<(String, Label)>,
}

impl StoreSource {
    pub(in crate::stages::exporter) fn new(
        shared: Shared,
        views: Vec<View>,
        levels: Levels,
        exemplars: ExemplarFilter,
    ) -> Self {
        let shown = |view: View| Shown {
            table: view.table,
            instruments: view.instruments,
            labels: view.labels.into_iter().map(|l| (l.name.replace('.', "_"), l)).collect(),
        };
        Self { shared, views: views.into_iter().map(shown).collect(), levels, exemplars }
    }
}

/// The body of the answer.
#[derive(Debug)]
pub(super) struct Exposition {
    source: Arc<Source>,
    format: Format,
    at: Option<At>,
    labels: Vec<u8>,
    seen: Vec<Seen>,
}

/// What comes next: a view, one of its instruments, and a place in its table.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    view: usize,
    instrument: usize,
    slot: usize,
    /// Whether the lines above the series are written.
    begun: bool,
}

impl Exposition {
    pub(super) fn new(source: Arc<Source>, format: Format) -> Self {
        if let Some(store) = &source.store {
            store.shared.lock().purge(ktime_now());
        }
        Self { source, format, at: Some(At::default()), labels: Vec::new(), seen: Vec::new() }
    }

    /// The next piece; `None` at the end.
    pub(super) fn piece(&mut self) -> Option<Vec<u8>> {
        let mut at = self.at.take()?;
        let mut out = Vec::with_capacity(PIECE + PIECE / 4);
        while out.len() < PIECE {
            let views = self.source.store.as_ref().map_or(&[][..], |store| &store.views);
            let Some(shown) = views.get(at.view) else {
                self.levels(&mut out);
                out.extend_from_slice(self.format.end());
                return Some(out);
            };
            let Some(instrument) = shown.instruments.get(at.instrument).copied() else {
                at = At { view: at.view + 1, ..At::default() };
                continue;
            };
            if self.turn(&mut out, &mut at, instrument) {
                at = At { instrument: at.instrument + 1, slot: 0, begun: false, ..at };
            }
        }
        self.at = Some(at);
        Some(out)
    }

    /// Writes what is known without spans.
    fn levels(&mut self, out: &mut Vec<u8>) {
        let Source { store, internal } = &*self.source;
        let mut levels = store.as_ref().map(|store| store.levels.read()).unwrap_or_default();
        levels.extend(internal.iter().flat_map(Internal::read));
        for of_metric in levels.chunk_by(|a, b| a.metric.prometheus == b.metric.prometheus) {
            if let Some(first) = of_metric.first() {
                text::head(out, self.format, first.metric);
            }
            of_metric.iter().for_each(|level| text::level(out, self.format, level));
        }
    }

    /// Writes some series of one instrument. `true` = these were the last.
    fn turn(&mut self, out: &mut Vec<u8>, at: &mut At, n: usize) -> bool {
        let Self { source, format, labels, seen, .. } = self;
        let Some(source) = &source.store else { return true };
        let Some(shown) = source.views.get(at.view) else { return true };
        let store = source.shared.lock();
        let Some(table) = store.table(shown.table) else { return true };
        let Some(instrument) = table.spec().instruments.get(n) else { return true };
        for _ in 0..TURN {
            if at.slot >= table.slots() {
                return true;
            }
            let read = table.read(at.slot);
            at.slot += 1;
            let Some((series, cells)) = read else { continue };
            let cells = table.cells_of(n, cells);
            if instrument.shape.count(cells) == 0 {
                continue;
            }
            if !std::mem::replace(&mut at.begun, true) {
                text::head(out, *format, instrument.metric);
            }
            let service = table.spec().per_service.then(|| store.services().get(series.service));
            text::labels(labels, &shown.labels, series, service.flatten().map(|s| &**s));
            let clock = store.clock();
            seen.clear();
            let shown = table.exemplars_of(at.slot - 1, n).iter().copied();
            seen.extend(
                shown
                    .filter(|e| e.passes(source.exemplars))
                    .map(|exemplar| Seen { exemplar, unix_ns: clock.unix_ns(exemplar.at) }),
            );
            text::series(out, *format, instrument, labels, cells, seen);
        }
        false
    }
}

impl Body for Exposition {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.piece().filter(|piece| !piece.is_empty());
        Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}
