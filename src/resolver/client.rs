//! Asks name servers one after the other, over UDP, and over TCP what does not fit there.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Outcome;
use super::system::{Servers, Sources};
use super::wire::{DATAGRAM_MAX, Query, Reply};

/// Finds the name of `address`.
pub(super) async fn look_up(sources: &Sources, address: IpAddr) -> Outcome {
    if let Some(name) = sources.hosts.get(&address) {
        return Outcome::Name(name.clone());
    }
    let Servers { addresses, timeout: patience, attempts } = &*sources.servers;
    let mut failure = String::new();
    for _ in 0..*attempts {
        for server in addresses {
            let query = Query::new(address, unpredictable());
            failure = match timeout(*patience, ask(*server, &query)).await {
                Ok(Ok(Reply::Name(name))) => return Outcome::Name(name),
                Ok(Ok(Reply::Nameless)) => return Outcome::Nameless,
                Ok(Ok(Reply::Refused(code))) => format!("{server} refuses with code {code}"),
                Ok(Ok(Reply::Truncated | Reply::Malformed)) => format!("{server} answers nonsense"),
                Ok(Err(error)) => format!("{server}: {error}"),
                Err(_) => format!("{server} does not answer in {patience:?}"),
            };
        }
    }
    Outcome::Failed(failure)
}

/// The port of the question is unpredictable, too: the kernel chooses it for each.
fn unpredictable() -> u16 {
    let [low, high, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    u16::from_le_bytes([low, high])
}

async fn ask(server: SocketAddr, query: &Query) -> io::Result<Reply> {
    match by_udp(server, query).await? {
        Reply::Truncated => by_tcp(server, query).await,
        reply => Ok(reply),
    }
}

async fn by_udp(server: SocketAddr, query: &Query) -> io::Result<Reply> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // From here on the kernel passes on only what comes from there.
    socket.connect(server).await?;
    socket.send(query.bytes()).await?;
    let mut buffer = [0; DATAGRAM_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What answers another question is nothing to us: the right answer may still come.
        if let Some(reply) = query.read(buffer.get(..length).unwrap_or_default()) {
            return Ok(reply);
        }
    }
}

/// The same messages, each behind its length (RFC 1035, section 4.2.2).
async fn by_tcp(server: SocketAddr, query: &Query) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.bytes().len()).unwrap_or_default();
    let framed = [&length.to_be_bytes(), query.bytes()].concat();
    stream.write_all(&framed).await?;
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(query.read(&message).unwrap_or(Reply::Malformed))
}
