//! Request targets (RFC 9112 section 3.2) and what must not leave the host of their queries.

use crate::model::shown::SecretNames;

/// What replaces a sensitive value.
const REDACTED: &[u8] = b"REDACTED";

/// A request target taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// `https` when the target says so, else `http`.
    pub(super) scheme: &'static str,
    /// Host of the target's authority: no user, port or brackets.
    pub(super) host: Option<&'a [u8]>,
    /// The path, `*` for the asterisk form, empty for the authority form.
    pub(super) path: &'a [u8],
    /// What stands behind the first `?`; empty when there is none.
    pub(super) query: &'a [u8],
}

impl<'a> Target<'a> {
    /// Takes `target` apart; `connect` tells the authority form, which only `CONNECT` uses.
    pub(super) fn read(target: &'a [u8], connect: bool) -> Self {
        if connect {
            return Self { scheme: "http", host: host_of(target), path: b"", query: b"" };
        }
        let Some((scheme, authority, rest)) = absolute(target) else {
            let (path, query) = split_query(target);
            return Self { scheme: "http", host: None, path, query };
        };
        let (path, query) = split_query(rest);
        Self {
            scheme: if scheme.eq_ignore_ascii_case(b"https") { "https" } else { "http" },
            host: host_of(authority),
            path: if path.is_empty() { b"/" } else { path },
            query,
        }
    }
}

/// Scheme, authority and the rest of `scheme://authority[/path][?query]`.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    if matches!(target.first(), Some(b'/' | b'*')) {
        return None;
    }
    let colon = memchr::memchr(b':', target)?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    scheme.iter().all(word).then_some((scheme, authority, rest))
}

fn split_query(target: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', target) {
        Some(n) => {
            let (path, query) = target.split_at_checked(n).unwrap_or((target, b""));
            (path, query.strip_prefix(b"?").unwrap_or(query))
        }
        None => (target, b""),
    }
}

/// The host of `[user@]host[:port]`, an IPv6 address without its brackets. `None` when empty.
pub(super) fn host_of(authority: &[u8]) -> Option<&[u8]> {
    let (mut from, mut colon, mut colons) = (0usize, 0usize, 0u32);
    for (at, b) in authority.iter().enumerate() {
        match b {
            b'@' => (from, colons) = (at.saturating_add(1), 0),
            b':' => {
                colon = if colons == 0 { at } else { colon };
                colons = colons.saturating_add(1);
            }
            _ => {}
        }
    }
    let host = authority.get(from..)?;
    let host = match (host.strip_prefix(b"["), colons) {
        (Some(v6), _) => v6.split(|b| *b == b']').next()?,
        (None, 1) => authority.get(from..colon)?,
        // With several it is an IPv6 address whose brackets were forgotten.
        (None, _) => host,
    };
    (!host.is_empty()).then_some(host)
}

/// The pieces of `query` with the values of sensitive parameters replaced: one piece when there
/// is none.
pub(super) fn scrubbed<'a>(query: &'a [u8], secrets: &'a SecretNames) -> Scrubbed<'a> {
    Scrubbed { rest: query, redact: false, secrets }
}

/// See [`scrubbed`].
#[derive(Clone, Debug)]
pub(super) struct Scrubbed<'a> {
    rest: &'a [u8],
    /// The last piece ended where a value is replaced.
    redact: bool,
    secrets: &'a SecretNames,
}

impl<'a> Iterator for Scrubbed<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if std::mem::take(&mut self.redact) {
            return Some(REDACTED);
        }
        let mut at = 0usize;
        while let Some(behind) = self.rest.get(at..).filter(|behind| !behind.is_empty()) {
            let end = memchr::memchr(b'&', behind).unwrap_or(behind.len());
            let param = behind.get(..end).unwrap_or_default();
            let name = memchr::memchr(b'=', param).and_then(|n| param.get(..n));
            if let Some(name) = name.filter(|name| is_sensitive_encoded(name, self.secrets)) {
                let value = at.saturating_add(name.len()).saturating_add(1);
                let piece = self.rest.get(..value);
                self.rest = self.rest.get(at.saturating_add(end)..).unwrap_or_default();
                self.redact = true;
                return piece;
            }
            at = at.saturating_add(end).saturating_add(1);
        }
        Some(std::mem::take(&mut self.rest)).filter(|rest| !rest.is_empty())
    }
}

/// Whether the value of a parameter with this percent-encoded name is hidden.
fn is_sensitive_encoded(name: &[u8], secrets: &SecretNames) -> bool {
    let is_hidden = |name: &[u8]| secrets.hide(name, is_sensitive(name));
    if memchr::memchr(b'%', name).is_none() {
        return is_hidden(name);
    }
    let mut decoded = [0u8; SecretNames::NAME_MAX];
    let mut len = 0usize;
    let mut rest = name;
    while let Some((first, behind)) = rest.split_first() {
        let (byte, next) = match rest {
            [b'%', high, low, next @ ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => ((high << 4) | low, next),
                _ => (*first, behind),
            },
            _ => (*first, behind),
        };
        let Some(slot) = decoded.get_mut(len) else { return false };
        *slot = byte;
        len = len.saturating_add(1);
        rest = next;
    }
    decoded.get(..len).is_some_and(is_hidden)
}

fn hex_digit(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// Whether a query parameter of this name carries a secret: the contract's default list.
fn is_sensitive(name: &[u8]) -> bool {
    matches!(
        name,
        b"X-Amz-Signature"
            | b"X-Amz-Credential"
            | b"X-Amz-Security-Token"
            | b"AWSAccessKeyId"
            | b"Signature"
            | b"SecurityToken"
            | b"X-Goog-Signature"
            | b"sig"
            | b"token"
            | b"access_token"
            | b"refresh_token"
            | b"id_token"
            | b"jwt"
            | b"session"
            | b"sid"
            | b"signature"
            | b"api_key"
            | b"apikey"
            | b"client_secret"
            | b"secret"
            | b"password"
            | b"pass"
            | b"pwd"
            | b"reset_token"
            | b"invite_token"
            | b"verify_token"
            | b"otp"
            | b"totp"
            | b"mfa_code"
            | b"verification_code"
            | b"SAMLResponse"
            | b"assertion"
            | b"card"
            | b"cc"
            | b"pan"
            | b"cvv"
            | b"ssn"
            | b"tax_id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str, hidden: &[&str], shown: &[&str]) -> String {
        let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect();
        let secrets = SecretNames { hidden: names(hidden), shown: names(shown) };
        let pieces: Vec<u8> = scrubbed(query.as_bytes(), &secrets).flatten().copied().collect();
        String::from_utf8(pieces).unwrap()
    }

    #[test]
    fn the_user_hides_more_parameters_and_shows_some_after_all() {
        let query = "a=1&token=2&b=3&%74oken=4&B=5&key";
        assert_eq!(shown(query, &[], &[]), "a=1&token=REDACTED&b=3&%74oken=REDACTED&B=5&key");
        assert_eq!(
            shown(query, &["b", "key"], &[]),
            "a=1&token=REDACTED&b=REDACTED&%74oken=REDACTED&B=5&key"
        );
        assert_eq!(shown(query, &[], &["token"]), query);
        let both = shown(query, &["token"], &["token"]);
        assert_eq!(both, "a=1&token=REDACTED&b=3&%74oken=REDACTED&B=5&key");
        let long = "x".repeat(SecretNames::NAME_MAX - 1);
        let query = format!("{long}%79=1&{long}yy=2");
        assert_eq!(
            shown(&query, &[&format!("{long}y")], &[]),
            format!("{long}%79=REDACTED&{long}yy=2")
        );
    }
}
