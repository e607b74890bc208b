//! What happens to the agent from outside while it runs: signals, and another configuration file.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::hash::{Hash as _, Hasher as _};
use std::os::fd::AsFd as _;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tracing::{debug, warn};

use crate::config::read_bounded;

/// How long a file must be left alone before it is read: editors write in several steps.
const SETTLED_MS: u16 = 1000;
/// Symbolic links that lead to a file, at most (as Linux has it).
const LINKS_MAX: usize = 40;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// One of the agent's signals came.
    Signal(Signal),
    /// The configuration file holds something else.
    FileChanged,
}

/// Waits for events.
pub(super) struct Control {
    signals: SignalFd,
    file: Option<WatchedFile>,
    /// The agent was started from a terminal: its hang-up means that the user is gone.
    terminal: bool,
}

impl Control {
    /// For `signals`, which are blocked, and for changes of `file`.
    pub(super) fn new(signals: &SigSet, file: Option<&Path>) -> Result<Self> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(signals, flags).context("wait for signals")?;
        let watched = file.map(WatchedFile::new).transpose();
        let file = watched.unwrap_or_else(|error| {
            warn!(
                error = format!("{error:#}"),
                "changes of the configuration file are not noticed; SIGHUP makes obi read it again"
            );
            None
        });
        Ok(Self { signals, file, terminal: has_terminal() })
    }

    /// The next event.
    pub(super) fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(signal) = self.signal()? {
                return Ok(Event::Signal(signal));
            }
            let touched = self.file.as_ref().is_some_and(|file| file.touched);
            let timeout = match touched {
                true => PollTimeout::from(SETTLED_MS),
                false => PollTimeout::NONE,
            };
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if let Some(file) = &self.file {
                fds.push(PollFd::new(file.inotify.as_fd(), PollFlags::POLLIN));
            }
            let ready = match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => continue,
                ready => ready.context("wait for signals and file changes")?,
            };
            let Some(file) = &mut self.file else { continue };
            if ready > 0 {
                file.take_events();
            } else if file.is_another() {
                return Ok(Event::FileChanged);
            }
        }
    }

    /// Whether a SIGHUP that just came tells that the terminal is gone.
    pub(super) fn hung_up(&self) -> bool {
        self.terminal && !has_terminal()
    }

    fn signal(&mut self) -> Result<Option<Signal>> {
        let Some(info) = self.signals.read_signal().context("read a signal")? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).context("a signal's number")?;
        Signal::try_from(number).map(Some).context("a signal's number")
    }
}

fn has_terminal() -> bool {
    fs::File::open("/dev/tty").is_ok()
}

/// A file that may be replaced by another, or reached by links that are (a mounted ConfigMap is
/// swapped by its link `..data`).
struct WatchedFile {
    path: PathBuf,
    inotify: Inotify,
    /// What it and everything on the way to it is called, in its folder.
    names: Vec<OsString>,
    /// Something happened to one of these.
    touched: bool,
    /// What it held when it was last looked at; `None` = it could not be read, which was said.
    content: Option<u64>,
}

impl WatchedFile {
    fn new(path: &Path) -> Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let inotify = Inotify::init(flags).context("watch the configuration file")?;
        let (path, content) = (path.to_owned(), content(path).ok());
        let mut file = Self { path, inotify, names: Vec::new(), touched: false, content };
        file.watch().with_context(|| format!("watch {}", file.path.display()))?;
        Ok(file)
    }

    /// Watches every folder that the way to the file leads through, as far as it is there. One that is
    /// watched already is watched once.
    fn watch(&mut self) -> io::Result<()> {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_ATTRIB;
        self.names.clear();
        for (folder, name) in way(&self.path)? {
            self.names.push(name);
            match self.inotify.add_watch(&folder, flags) {
                // It may come.
                Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn take_events(&mut self) {
        while let Ok(events) = self.inotify.read_events()
            && !events.is_empty()
        {
            // Others may live in the same folders.
            let ours = |name: &OsString| self.names.contains(name);
            self.touched |= events.iter().any(|event| event.name.as_ref().is_none_or(ours));
        }
    }

    /// Whether it holds something else than when it was last looked at. One that is not there for
    /// now is waited for.
    fn is_another(&mut self) -> bool {
        self.touched = false;
        if let Err(error) = self.watch() {
            debug!(%error, "the way to the configuration file changes");
        }
        match content(&self.path) {
            Ok(content) => {
                let before = self.content.replace(content);
                before != Some(content)
            }
            Err(error) => {
                if self.content.take().is_some() {
                    warn!(
                        file = %self.path.display(),
                        %error,
                        "the configuration file cannot be read: the configuration stays as it was"
                    );
                }
                false
            }
        }
    }
}

/// What the file holds, as a number.
fn content(path: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    read_bounded(path)?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// Every folder on the way to `path` and what is looked for in it, over all links that are on the way.
fn way(path: &Path) -> io::Result<Vec<(PathBuf, OsString)>> {
    let mut found = Vec::new();
    let mut at = std::path::absolute(path)?;
    for _ in 0..LINKS_MAX {
        let mut folder = PathBuf::new();
        let mut next = None;
        let mut parts = at.components();
        for part in parts.by_ref() {
            if let Component::Normal(name) = part {
                found.push((folder.clone(), name.to_owned()));
            }
            let here = folder.join(part);
            if let Ok(to) = fs::read_link(&here) {
                next = Some(folder.join(to).join(parts.as_path()));
                break;
            }
            folder = here;
        }
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Whether the file at `path` is another after `change`.
    fn noticed(path: &Path, change: impl FnOnce()) -> bool {
        let mut file = WatchedFile::new(path).unwrap();
        change();
        file.take_events();
        file.touched && file.is_another()
    }

    #[test]
    fn a_file_is_another_when_it_is_written_or_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("obi.yml");
        fs::write(&path, "a").unwrap();
        assert!(noticed(&path, || fs::write(&path, "b").unwrap()));
        let part = dir.path().join("part");
        fs::write(&part, "c").unwrap();
        assert!(noticed(&path, || fs::rename(&part, &path).unwrap()));
        assert!(!noticed(&path, || fs::write(&path, "c").unwrap()), "the same");
        assert!(!noticed(&path, || fs::remove_file(&path).unwrap()), "gone for now");
        fs::write(&path, "d").unwrap();
        let beside = dir.path().join("beside");
        assert!(!noticed(&path, || fs::write(beside, "d").unwrap()), "another file");
    }

    #[test]
    fn a_folder_that_is_replaced_and_a_file_that_becomes_a_pipe_lose_nothing_and_wait_for_nothing()
    {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("etc");
        let path = folder.join("obi.yml");
        let set = |text: &str| {
            fs::create_dir(&folder).unwrap();
            fs::write(&path, text).unwrap();
        };
        set("a");
        let mut file = WatchedFile::new(&path).unwrap();
        let mut is_another = || {
            file.take_events();
            std::mem::take(&mut file.touched) && file.is_another()
        };
        fs::rename(&folder, dir.path().join("old")).unwrap();
        assert!(!is_another(), "gone for now");
        set("b");
        assert!(is_another());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!is_another(), "a pipe is no file");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "c").unwrap();
        assert!(is_another());
    }

    #[test]
    fn a_config_map_is_another_when_its_link_is_swapped() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, text) in [("..1", "a"), ("..2", "b"), ("..3", "c")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("obi.yml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/obi.yml", at("obi.yml")).unwrap();
        let swap = |version: &str| {
            symlink(version, at("..tmp")).unwrap();
            fs::rename(at("..tmp"), at("..data")).unwrap();
        };
        let path = at("obi.yml");
        let mut file = WatchedFile::new(&path).unwrap();
        for version in ["..2", "..3"] {
            swap(version);
            file.take_events();
            assert!(std::mem::take(&mut file.touched) && file.is_another(), "{version}");
        }
        fs::write(at("..3").join("obi.yml"), "d").unwrap();
        file.take_events();
        assert!(file.touched && file.is_another(), "what it links to is written");
    }
}
