//! What the system says about names: `/etc/hosts` (hosts(5)) and `/etc/resolv.conf`
//! (resolv.conf(5)), read again when they change. `nsswitch.conf` is not asked: first the one, then
//! the name servers of the other.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::wire::is_host_name;

/// The port of name servers.
pub const NAME_SERVER_PORT: u16 = 53;
/// What is read of a file at most; the rest of it is passed over.
const FILE_MAX: u64 = 4 << 20;
/// Name servers that are asked at most (`MAXNS`).
const SERVERS_MAX: usize = 3;
/// Limits of `options timeout:` in seconds and `options attempts:` (`RES_MAXRETRANS`, `RES_MAXRETRY`),
/// and what holds without them.
const TIMEOUT: (u64, u64) = (5, 30);
const ATTEMPTS: (u64, u64) = (2, 5);

/// Where the system says how names are found.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Names of addresses.
    pub hosts: PathBuf,
    /// Name servers.
    pub resolv_conf: PathBuf,
    /// Their port.
    pub port: u16,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            port: NAME_SERVER_PORT,
        }
    }
}

/// Who has names.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    /// Names out of the file.
    pub(super) hosts: Arc<HashMap<IpAddr, Box<str>>>,
    /// Whom to ask for others.
    pub(super) servers: Arc<Servers>,
}

/// Name servers, and how they are asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Servers {
    pub(super) addresses: Vec<SocketAddr>,
    /// How long one may take.
    pub(super) timeout: Duration,
    /// How often each is asked.
    pub(super) attempts: u64,
}

/// The files as they were last read.
#[derive(Debug)]
pub(super) struct System {
    setup: Setup,
    hosts_of: Option<Stamp>,
    servers_of: Option<Stamp>,
    sources: Sources,
}

/// Tells one state of a file from another: change time in seconds and nanoseconds, size, inode.
type Stamp = (i64, i64, u64, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ctime(), file.ctime_nsec(), file.size(), file.ino()))
}

/// The front of a file; nothing of one that cannot be read.
fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    if let Err(error) = read {
        tracing::debug!(path = %path.display(), %error, "no names out of it");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl System {
    pub(super) fn new(setup: Setup) -> Self {
        let (hosts_of, servers_of) = (stamp(&setup.hosts), stamp(&setup.resolv_conf));
        let sources = Sources {
            hosts: Arc::new(hosts(&text(&setup.hosts))),
            servers: Arc::new(servers(&text(&setup.resolv_conf), setup.port)),
        };
        Self { setup, hosts_of, servers_of, sources }
    }

    /// Who has names now.
    pub(super) fn sources(&mut self) -> Sources {
        let Setup { hosts: names, resolv_conf, port } = &self.setup;
        let (hosts_of, servers_of) = (stamp(names), stamp(resolv_conf));
        if hosts_of != self.hosts_of {
            self.sources.hosts = Arc::new(hosts(&text(names)));
            self.hosts_of = hosts_of;
        }
        if servers_of != self.servers_of {
            self.sources.servers = Arc::new(servers(&text(resolv_conf), *port));
            self.servers_of = servers_of;
        }
        self.sources.clone()
    }
}

/// Lines without what is behind a `#`, or, in `resolv.conf`, a `;`.
fn lines<'a>(text: &'a str, comments: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.lines().map(move |line| line.split(comments).next().unwrap_or_default())
}

/// `address name alias…`: the first name that an address has counts.
pub(super) fn hosts(text: &str) -> HashMap<IpAddr, Box<str>> {
    let mut names = HashMap::new();
    for line in lines(text, &['#']) {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        let name = words.next().filter(|name| is_host_name(name));
        if let (Some(address), Some(name)) = (address, name) {
            names.entry(address).or_insert_with(|| name.into());
        }
    }
    names
}

/// `nameserver address` and `options timeout:n attempts:n`; without any, the host itself is asked.
/// What is not understood is passed over, as everywhere.
pub(super) fn servers(text: &str, port: u16) -> Servers {
    let mut addresses = Vec::new();
    let (mut timeout, mut attempts) = (TIMEOUT.0, ATTEMPTS.0);
    let limited =
        |text: &str, (_, most): (u64, u64)| text.parse::<u64>().ok().map(|n| n.clamp(1, most));
    for line in lines(text, &['#', ';']) {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                addresses.extend(address.map(|address| SocketAddr::new(address, port)));
            }
            Some("options") => words.for_each(|word| match word.split_once(':') {
                Some(("timeout", n)) => timeout = limited(n, TIMEOUT).unwrap_or(timeout),
                Some(("attempts", n)) => attempts = limited(n, ATTEMPTS).unwrap_or(attempts),
                _ => {}
            }),
            _ => {}
        }
    }
    addresses.truncate(SERVERS_MAX);
    if addresses.is_empty() {
        addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    Servers { addresses, timeout: Duration::from_secs(timeout), attempts }
}
