//! Names of the two sides (`server.address`, `client.address`, `service.peer.name`).
//!
//! Names are those that a source has for an address: DNS, if the user wants it; metadata of Kubernetes
//! will come before it. Where none has one, the side that is observed carries its service's name, and
//! the other side the name that the request itself gives it, else its address.

mod clean;
mod known;

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;

use crate::config::DnsConfig;
use crate::model::attrs::{AttrValue, TextRef};
use crate::model::batch::SpanBatch;
use crate::model::conn::Endpoint;
use crate::model::service::Service;
use crate::model::span::SpanHead;
use crate::resolver::{Answer, Resolver};
use crate::semconv::{AttrKey, SpanKind};
use crate::telemetry::Counters;
use known::Known;

/// Writes names into batches.
#[derive(Debug)]
pub(super) struct Names {
    /// Whether there are any; else there are addresses.
    on: bool,
    /// What DNS says, where it is asked.
    known: Option<Known>,
    /// The service whose name was written last, by index, and where it stands.
    service: Option<(u32, TextRef)>,
    /// The same of its namespace.
    namespace: Option<(u32, TextRef)>,
}

impl Default for Names {
    fn default() -> Self {
        Self { on: true, known: None, service: None, namespace: None }
    }
}

/// What a batch waits for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Addresses that were asked for and have no answer yet; some more than once.
    pub(super) addresses: Vec<Ipv6Addr>,
    /// How long.
    pub(super) until: Instant,
    /// Whether it has others that were waited for long enough.
    pub(super) overdue: bool,
}

/// What a source says of an address.
struct Found {
    name: TextRef,
    /// Of its service; empty = not known.
    namespace: TextRef,
}

impl Names {
    /// Addresses instead of names.
    pub(super) fn none() -> Self {
        Self { on: false, ..Self::default() }
    }

    /// Asks `resolver`, whose answers come with it.
    pub(super) fn with_dns(
        self,
        resolver: (Resolver, Receiver<Answer>),
        config: DnsConfig,
        counters: Arc<Counters>,
    ) -> Self {
        Self { known: self.on.then(|| Known::new(resolver, config, counters)), ..self }
    }

    /// Where answers come from, if anybody is asked. Each is to be given to [`Self::learn`].
    pub(super) fn answers(&self) -> Option<Receiver<Answer>> {
        self.known.as_ref().map(|known| known.answers().clone())
    }

    /// Remembers an answer.
    pub(super) fn learn(&mut self, answer: Answer) {
        if let Some(known) = &mut self.known {
            known.learn(answer);
        }
    }

    /// Asks for what is not known of the addresses in `batch`. Allocates nothing if all are known.
    pub(super) fn want(&mut self, batch: &SpanBatch, now: Instant) -> Wanted {
        let mut wanted = Wanted { addresses: Vec::new(), until: now, overdue: false };
        let Some(known) = &mut self.known else { return wanted };
        known.begin();
        for span in &batch.spans {
            for end in [span.ends.client, span.ends.server] {
                if end.addr.is_unspecified() {
                    continue;
                }
                match known.want(end.addr, now) {
                    Some(until) if until > now => {
                        wanted.addresses.push(end.addr);
                        wanted.until = wanted.until.max(until);
                    }
                    Some(_) => wanted.overdue = true,
                    None => {}
                }
            }
        }
        wanted
    }

    /// Whether an answer about `address` is still to come.
    pub(super) fn is_asked(&self, address: Ipv6Addr) -> bool {
        self.known.as_ref().is_some_and(|known| known.is_asked(address))
    }

    /// A new batch is named: what was written is in another.
    pub(super) fn begin(&mut self) {
        self.service = None;
        self.namespace = None;
    }

    /// Adds the names of `span`.
    pub(super) fn name(&mut self, batch: &mut SpanBatch, span: &SpanHead) {
        match span.family.kind() {
            SpanKind::Server => self.name_server(batch, span),
            SpanKind::Client => self.name_client(batch, span),
            SpanKind::Internal => return,
        }
        let port = AttrValue::I64(i64::from(span.ends.server.port));
        batch.attrs.push((AttrKey::ServerPort, port));
    }

    fn name_server(&mut self, batch: &mut SpanBatch, span: &SpanHead) {
        let own = self.own_name(batch, span, span.ends.server);
        let (peer, namespace) = match self.find(batch, span, span.ends.client) {
            Some(Found { name, namespace }) => (name, namespace),
            None => (address(batch, span.ends.client), TextRef::default()),
        };
        batch.attrs.push((AttrKey::ServerAddress, AttrValue::Text(own)));
        batch.attrs.push((AttrKey::ClientAddress, AttrValue::Text(peer)));
        add_namespace(batch, namespace);
    }

    /// `server.address` is what the client asked for, whatever that is called by others.
    fn name_client(&mut self, batch: &mut SpanBatch, span: &SpanHead) {
        let own = self.own_name(batch, span, span.ends.client);
        let asked = host_asked_for(batch, span);
        let remote = match (self.find(batch, span, span.ends.server), asked) {
            (Some(Found { name, namespace }), _) => Remote::of(name, namespace),
            (None, Some(AttrValue::Text(host))) if self.on => Remote::of_host(batch, span, host),
            (None, Some(host)) if self.on => Remote::of_value(host),
            (None, _) => Remote::of(address(batch, span.ends.server), TextRef::default()),
        };
        batch.attrs.push((AttrKey::ServerAddress, asked.unwrap_or(remote.full)));
        batch.attrs.push((AttrKey::ServicePeerName, remote.full));
        batch.attrs.push((AttrKey::ClientAddress, AttrValue::Text(own)));
        if remote.name != remote.full {
            batch.attrs.push((AttrKey::PeerName, remote.name));
        }
        add_namespace(batch, remote.namespace);
    }

    /// The name of the observed side: written once for a run of spans of one service, where no source
    /// names it.
    fn own_name(&mut self, batch: &mut SpanBatch, span: &SpanHead, end: Endpoint) -> TextRef {
        if !self.on {
            return address(batch, end);
        }
        if let Some(found) = self.find(batch, span, end) {
            return found.name;
        }
        written_once(&mut self.service, batch, span.service, |service| &service.name)
    }

    /// What the first source that knows it says of the address of `end`.
    fn find(&mut self, batch: &mut SpanBatch, span: &SpanHead, end: Endpoint) -> Option<Found> {
        let name = self.known.as_ref()?.name(end.addr)?;
        let at = batch.text.len();
        let address = address(batch, end);
        let namespace = batch.service(span).map_or("", |service| service.namespace.as_str());
        let name = clean::clean(name, batch.text_of(address), namespace);
        let is_name = !name.is_empty() && name != batch.text_of(address);
        batch.text.truncate(at);
        if !is_name {
            return None;
        }
        let name = batch.push_text(name);
        // DNS knows no namespaces: what it names is taken to be of the own one.
        let namespace =
            written_once(&mut self.namespace, batch, span.service, |service| &service.namespace);
        Some(Found { name, namespace })
    }
}

/// The other side of a client span.
struct Remote {
    /// Its name.
    name: AttrValue,
    /// The same with its namespace, where that is another one.
    full: AttrValue,
    /// Empty = not known.
    namespace: TextRef,
}

impl Remote {
    fn of(name: TextRef, namespace: TextRef) -> Self {
        Self { namespace, ..Self::of_value(AttrValue::Text(name)) }
    }

    fn of_value(name: AttrValue) -> Self {
        Self { name, full: name, namespace: TextRef::default() }
    }

    /// A host as the request names it. Service and namespace of a cluster's name stand side by side.
    fn of_host(batch: &SpanBatch, span: &SpanHead, host: TextRef) -> Self {
        let (name, namespace) = clean::split(batch.text_of(host));
        let part = |from: usize, length: usize| TextRef {
            at: host.at.saturating_add(u32::try_from(from).unwrap_or(u32::MAX)),
            len: u32::try_from(length).unwrap_or_default(),
        };
        let own = batch.service(span).map_or("", |service| service.namespace.as_str());
        let full = match namespace {
            "" => name.len(),
            other if other == own => name.len(),
            other => name.len() + 1 + other.len(),
        };
        Self {
            name: AttrValue::Text(part(0, name.len())),
            full: AttrValue::Text(part(0, full)),
            namespace: part(name.len() + 1, namespace.len()),
        }
    }
}

fn add_namespace(batch: &mut SpanBatch, namespace: TextRef) {
    if namespace.len > 0 {
        batch.attrs.push((AttrKey::PeerNamespace, AttrValue::Text(namespace)));
    }
}

/// Writes what `of` says of a service, unless it is the one that it was written of last.
fn written_once(
    last: &mut Option<(u32, TextRef)>,
    batch: &mut SpanBatch,
    service: u32,
    of: impl Fn(&Service) -> &str,
) -> TextRef {
    if let Some((written, text)) = *last
        && written == service
    {
        return text;
    }
    let at = batch.text.len();
    if let Some(service) = batch.services.get(service as usize) {
        batch.text.extend_from_slice(of(service).as_bytes());
    }
    let text = batch.text_since(at);
    *last = Some((service, text));
    text
}

/// What is set already (a unix path), else the host that the request names.
fn host_asked_for(batch: &SpanBatch, span: &SpanHead) -> Option<AttrValue> {
    let keys = [Some(AttrKey::ServerAddress), span.family.host_named_by()];
    let values = keys.into_iter().flatten().filter_map(|key| batch.attr(span, key));
    let empty = |value: &AttrValue| {
        matches!(value, AttrValue::Text(TextRef { len: 0, .. }) | AttrValue::Static(""))
    };
    values.into_iter().find(|value| !empty(value))
}

/// Writes an address as text; nothing for a unix socket.
fn address(batch: &mut SpanBatch, of: Endpoint) -> TextRef {
    let at = batch.text.len();
    if let Some(v4) = of.addr.to_ipv4_mapped() {
        write_v4(&mut batch.text, v4);
    } else {
        // Writing to memory does not fail.
        let written = write!(batch.text, "{}", of.address());
        debug_assert!(written.is_ok());
    }
    batch.text_since(at)
}

/// Writes `a.b.c.d`. Nearly every span has one, and the formatter takes ten times as long.
fn write_v4(text: &mut Vec<u8>, address: Ipv4Addr) {
    for (i, octet) in address.octets().into_iter().enumerate() {
        if i > 0 {
            text.push(b'.');
        }
        if octet >= 100 {
            text.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            text.push(b'0' + octet / 10 % 10);
        }
        text.push(b'0' + octet % 10);
    }
}
