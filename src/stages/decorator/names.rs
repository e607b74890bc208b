//! Names of the two sides (`server.address`, `client.address`, `service.peer.name`).
//!
//! The side that is observed carries its service's name. The other side carries its IP address,
//! or the name that the request itself gives it.

use std::io::Write as _;
use std::net::Ipv4Addr;

use crate::model::attrs::{AttrValue, TextRef};
use crate::model::batch::SpanBatch;
use crate::model::conn::Endpoint;
use crate::model::span::SpanHead;
use crate::semconv::{AttrKey, SpanKind};

/// Writes names into batches.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The service whose name was written last, by index, and where it stands.
    service: Option<(u32, TextRef)>,
}

impl Names {
    /// A new batch begins: what was written is in another.
    pub(super) fn begin(&mut self) {
        self.service = None;
    }

    /// Adds the names of `span`.
    pub(super) fn name(&mut self, batch: &mut SpanBatch, span: &SpanHead) {
        let own = AttrValue::Text(self.own_name(batch, span.service));
        let named = match span.family.kind() {
            SpanKind::Server => {
                let peer = AttrValue::Text(address(batch, span.ends.client));
                [(AttrKey::ServerAddress, own), (AttrKey::ClientAddress, peer)]
            }
            SpanKind::Client => {
                let remote = remote_name(batch, span);
                batch.attrs.push((AttrKey::ServerAddress, remote));
                [(AttrKey::ServicePeerName, remote), (AttrKey::ClientAddress, own)]
            }
            SpanKind::Internal => return,
        };
        batch.attrs.extend_from_slice(&named);
        let port = AttrValue::I64(i64::from(span.ends.server.port));
        batch.attrs.push((AttrKey::ServerPort, port));
    }

    /// The observed service's name: written once for a run of spans of one service.
    fn own_name(&mut self, batch: &mut SpanBatch, service: u32) -> TextRef {
        if let Some((last, name)) = self.service
            && last == service
        {
            return name;
        }
        let at = batch.text.len();
        if let Some(service) = batch.services.get(service as usize) {
            batch.text.extend_from_slice(service.name.as_bytes());
        }
        let name = batch.text_since(at);
        self.service = Some((service, name));
        name
    }
}

/// What is set already (a unix path), else the host the request names, else the address.
fn remote_name(batch: &mut SpanBatch, span: &SpanHead) -> AttrValue {
    let keys = [Some(AttrKey::ServerAddress), span.family.host_named_by()];
    for key in keys.into_iter().flatten() {
        match batch.attr(span, key) {
            Some(AttrValue::Text(TextRef { len: 0, .. }) | AttrValue::Static("")) | None => {}
            Some(name) => return name,
        }
    }
    AttrValue::Text(address(batch, span.ends.server))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_formatter_writes_them() {
        for n in 0..=255 {
            let address = Ipv4Addr::new(n, 255 - n, 0, n / 2);
            let mut text = Vec::new();
            write_v4(&mut text, address);
            assert_eq!(String::from_utf8(text).unwrap(), address.to_string());
        }
    }
}
