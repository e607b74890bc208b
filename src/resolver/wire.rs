//! The one question that is asked, and what answers it (RFC 1035, section 4; RFC 3596, section 2.5).
//!
//! ```text
//! id:2 flags:2 questions:2 answers:2 authorities:2 additional:2
//! question: name type:2 class:2
//! answer:   name type:2 class:2 ttl:4 length:2 data
//! name:     (length:1 label)* 0, any rest of it replaced by a pointer: 0b11 and 14 bits
//! ```
//! All numbers are big-endian. What an answer says is believed only where it repeats id and question.

use std::net::IpAddr;

/// Longest message over UDP that a server sends to who does not ask for longer ones.
pub(super) const DATAGRAM_MAX: usize = 512;
/// Longest name.
const NAME_MAX: usize = 255;
const HEADER: usize = 12;
const TYPE_PTR: u16 = 12;
const CLASS_IN: u16 = 1;
/// Bits of the flags.
const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const CODE: u16 = 0x000f;
/// Codes.
const NO_ERROR: u16 = 0;
const NO_SUCH_NAME: u16 = 3;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The address has this name.
    Name(Box<str>),
    /// It has none.
    Nameless,
    /// The whole answer is to be had over TCP.
    Truncated,
    /// The server does not answer, with this code.
    Refused(u16),
    /// It is our answer, and makes no sense.
    Malformed,
}

/// The question for the name of an address.
#[derive(Debug)]
pub(super) struct Query {
    bytes: Vec<u8>,
}

impl Query {
    pub(super) fn new(address: IpAddr, id: u16) -> Self {
        let mut bytes = Vec::with_capacity(DATAGRAM_MAX);
        for number in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let mut label = |text: &[u8]| {
            bytes.push(u8::try_from(text.len()).unwrap_or_default());
            bytes.extend_from_slice(text);
        };
        let tree: &[u8] = match address {
            IpAddr::V4(address) => {
                address.octets().iter().rev().for_each(|n| label(n.to_string().as_bytes()));
                b"in-addr"
            }
            IpAddr::V6(address) => {
                let halves = address.octets().into_iter().rev().flat_map(|n| [n & 0xf, n >> 4]);
                halves.for_each(|half| label(format!("{half:x}").as_bytes()));
                b"ip6"
            }
        };
        [tree, b"arpa", b""].into_iter().for_each(label);
        for number in [TYPE_PTR, CLASS_IN] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Self { bytes }
    }

    /// The message.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What `message` says; `None` = it does not answer this question.
    pub(super) fn read(&self, message: &[u8]) -> Option<Reply> {
        let mut at = Reader { message, at: 0 };
        let (id, flags, questions) = (at.number()?, at.number()?, at.number()?);
        let answers = at.number()?;
        let own = Reader { message: &self.bytes, at: 0 }.number()?;
        if id != own || flags & (RESPONSE | OPCODE) != RESPONSE {
            return None;
        }
        let code = flags & CODE;
        let question = self.bytes.get(HEADER..)?;
        let repeated = message.get(HEADER..HEADER + question.len());
        match questions {
            // Names have no case. No length of a label is a letter.
            1 if repeated.is_some_and(|it| it.eq_ignore_ascii_case(question)) => {}
            // Who does not understand a question need not repeat it.
            0 if code != NO_ERROR => {}
            _ => return None,
        }
        Some(match code {
            _ if flags & TRUNCATED != 0 => Reply::Truncated,
            NO_ERROR => {
                at.at = HEADER + question.len();
                name_among(at, answers).unwrap_or(Reply::Malformed)
            }
            NO_SUCH_NAME => Reply::Nameless,
            code => Reply::Refused(code),
        })
    }
}

/// The first PTR record's name. Others may stand before it: the address may be an alias.
fn name_among(mut at: Reader<'_>, answers: u16) -> Option<Reply> {
    for _ in 0..answers {
        at.pass_name()?;
        let (kind, class) = (at.number()?, at.number()?);
        at.pass(4)?;
        let length = usize::from(at.number()?);
        let data = at.at;
        at.pass(length)?;
        if (kind, class) == (TYPE_PTR, CLASS_IN) {
            let name = name_at(at.message, data)?;
            if is_host_name(&name) {
                return Some(Reply::Name(name.into()));
            }
        }
    }
    Some(Reply::Nameless)
}

/// Reads forward.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Option<u16> {
        let bytes = self.message.get(self.at..)?.first_chunk()?;
        self.at += 2;
        Some(u16::from_be_bytes(*bytes))
    }

    fn pass(&mut self, length: usize) -> Option<()> {
        self.at += length;
        (self.at <= self.message.len()).then_some(())
    }

    fn pass_name(&mut self) -> Option<()> {
        loop {
            match *self.message.get(self.at)? {
                0 => return self.pass(1),
                0xc0.. => return self.pass(2),
                length @ 1..0x40 => self.pass(1 + usize::from(length))?,
                0x40.. => return None,
            }
        }
    }
}

/// The name that stands at `at`, a dot behind each label. A pointer leads to before the part of the
/// name that it ends, so that there is an end to them.
fn name_at(message: &[u8], mut at: usize) -> Option<String> {
    let mut name = String::new();
    let mut part = at;
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(name),
            1..0x40 => {
                let behind = at + 1 + usize::from(length);
                let label = message.get(at + 1..behind)?;
                // A label that is no text makes no host name.
                name.extend(label.iter().map(|byte| char::from(*byte)));
                name.push('.');
                at = behind;
            }
            0xc0.. => {
                let low = *message.get(at + 1)?;
                let to = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                if to >= part {
                    return None;
                }
                (at, part) = (to, to);
            }
            0x40.. => return None,
        }
        if name.len() > NAME_MAX {
            return None;
        }
    }
}

/// Whether it may be shown as the name of a host: labels of letters, digits, `-` and `_`.
pub(super) fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..0x40).contains(&label.len()) && label.bytes().all(allowed)
    };
    name.len() <= NAME_MAX && name.split('.').all(is_label)
}
