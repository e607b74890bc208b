//! What is known of a process, asked of `/proc` when a selector needs it.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::language::Languages;
use super::procfs;
use crate::model::selector::Facts;

/// A process that is judged.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// Its id in the agent's PID namespace; 0 = not visible there.
    pub(super) ns_tgid: u32,
    /// Path of its executable; empty = not known.
    pub(super) exe: &'a str,
    /// Ports it listens on, as far as a selector asks for them.
    pub(super) ports: &'a [u16],
    args: OnceCell<String>,
    languages: &'a Languages,
    language: OnceCell<&'static str>,
}

impl<'a> Known<'a> {
    pub(super) fn new(
        ns_tgid: u32,
        exe: &'a str,
        ports: &'a [u16],
        languages: &'a Languages,
    ) -> Self {
        Self { ns_tgid, exe, ports, args: OnceCell::new(), languages, language: OnceCell::new() }
    }
}

impl Facts for Known<'_> {
    fn pid(&self) -> u32 {
        self.ns_tgid
    }

    fn exe(&self) -> &str {
        self.exe
    }

    fn args(&self) -> Cow<'_, str> {
        self.args.get_or_init(|| procfs::arguments(self.ns_tgid)).as_str().into()
    }

    fn language(&self) -> &str {
        self.language.get_or_init(|| self.languages.of(self.ns_tgid, self.exe).language.word())
    }

    fn ports(&self) -> &[u16] {
        self.ports
    }

    fn is_contained(&self) -> Option<bool> {
        let own = procfs::network_namespace("self")?;
        Some(procfs::network_namespace(self.ns_tgid)? != own)
    }

    /// Nothing is known of containers and pods yet.
    fn metadata(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }

    fn label(&self, _: &str, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}
