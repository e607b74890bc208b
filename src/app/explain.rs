//! `obi explain` on the agent's side: a socket that answers why processes are observed or not, and
//! what was seen of them.
//!
//! A request is a line, see [`Asked`]; the answer is an [`Answer`] as JSON, then the end.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use crossbeam_channel::{Sender, bounded};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::discovery::{Asked, Explanation, Request};
use crate::model::ids::Tgid;
use crate::stages::decoder::{Question, Seen};

/// How long a client may take to ask, or to take the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a stage may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients that are talked to at the same time; others are hung up on.
const CLIENTS_MAX: usize = 64;
/// Bytes of a request.
const REQUEST_MAX: u64 = 4096;
/// How the socket's name ends.
const SUFFIX: &str = ".sock";

/// What the agent answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Why there is no other answer; empty = there is.
    pub error: String,
    /// How socket calls are seen.
    pub front_end: String,
    /// The programs that see them, of every observed process alike.
    pub programs: Vec<String>,
    /// Each process that was asked for.
    pub processes: Vec<Explained>,
    /// How many more there are.
    pub more: usize,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// Why it is observed or not.
    pub selection: Explanation,
    /// What was seen of it.
    pub seen: Seen,
}

/// Whom the answers come from.
pub(super) struct Sources {
    pub(super) front_end: String,
    pub(super) programs: Vec<String>,
    pub(super) discovery: Sender<Request>,
    pub(super) decoder: Sender<Question>,
}

/// The socket. Removed when dropped.
pub(super) struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Answers on a socket in `folder` until the agent ends. Without one the agent runs all the
    /// same: why is logged.
    pub(super) fn open(folder: &Path, sources: Sources) -> Option<Self> {
        let path = folder.join(format!("{}{SUFFIX}", std::process::id()));
        let serving = listen(folder, &path).and_then(|listener| serve(listener, sources));
        match serving {
            Ok(()) => Some(Self { path }),
            Err(error) => {
                warn!(
                    error = format!("{error:#}"),
                    "obi explain cannot reach this agent; OTEL_EBPF_RUNTIME_DIR names another folder"
                );
                None
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever cleaned up the folder was faster.
        let _may_be_gone = fs::remove_file(&self.path);
    }
}

fn listen(folder: &Path, path: &Path) -> Result<UnixListener> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("create the folder {}", folder.display()))?;
    remove_dead(folder);
    // One of an agent that had the same PID.
    let _may_not_exist = fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(|| format!("open {}", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(0o600))
        .with_context(|| format!("keep {} to its owner", path.display()))?;
    Ok(listener)
}

/// Removes the sockets of agents that were killed.
fn remove_dead(folder: &Path) {
    for path in sockets(folder).unwrap_or_default() {
        let refused = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
        if UnixStream::connect(&path).is_err_and(refused) {
            debug!(socket = %path.display(), "nobody listens on it any more");
            let _may_be_gone = fs::remove_file(&path);
        }
    }
}

/// Sockets of agents in `folder`, sorted.
fn sockets(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_socket = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(SUFFIX));
    let entries = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> = entries.filter(is_socket).collect();
    found.sort();
    Ok(found)
}

fn serve(listener: UnixListener, sources: Sources) -> Result<()> {
    let answer_each = move || {
        let sources = Arc::new(sources);
        let mut clients: Vec<JoinHandle<()>> = Vec::new();
        for client in listener.incoming() {
            clients.retain(|client| !client.is_finished());
            let Ok(client) = client else { continue };
            if clients.len() >= CLIENTS_MAX {
                // Whoever hangs up on it knows.
                continue;
            }
            let sources = Arc::clone(&sources);
            let talk = move || {
                if let Err(error) = answer(&client, &sources) {
                    debug!(error = format!("{error:#}"), "a client of obi explain got no answer");
                }
            };
            let thread = thread::Builder::new().name("explain-client".to_owned()).spawn(talk);
            clients.extend(thread);
        }
    };
    // It ends with the process: nothing is lost with it.
    let thread = thread::Builder::new().name("explain".to_owned()).spawn(answer_each);
    thread.map(drop).context("start the thread of obi explain")
}

fn answer(client: &UnixStream, sources: &Sources) -> Result<()> {
    client.set_read_timeout(Some(PATIENCE)).context("set a timeout")?;
    client.set_write_timeout(Some(PATIENCE)).context("set a timeout")?;
    let mut request = String::new();
    BufReader::new(client.take(REQUEST_MAX)).read_line(&mut request).context("read a request")?;
    let answer = request
        .trim_end()
        .parse()
        .map_err(anyhow::Error::msg)
        .and_then(|asked| sources.explain(asked))
        .unwrap_or_else(|error| Answer { error: format!("{error:#}"), ..Answer::default() });
    let mut client = client;
    serde_json::to_writer(&mut client, &answer).context("write an answer")?;
    client.flush().context("write an answer")
}

impl Sources {
    fn explain(&self, asked: Asked) -> Result<Answer> {
        let (answer, answered) = bounded(1);
        let request = Request::Explain(asked, answer);
        let (explanations, more) = self
            .discovery
            .send_timeout(request, ANSWER_TIMEOUT)
            .ok()
            .and_then(|()| answered.recv_timeout(ANSWER_TIMEOUT).ok())
            .context("discovery did not answer in time")??;
        let tgids: Vec<Tgid> = explanations.iter().map(|e| Tgid(e.tgid)).collect();
        let (answer, answered) = bounded(1);
        let seen = self
            .decoder
            .send_timeout(Question::Seen(tgids, answer), ANSWER_TIMEOUT)
            .ok()
            .and_then(|()| answered.recv_timeout(ANSWER_TIMEOUT).ok())
            .context("the decoder did not answer in time")?;
        let both = explanations.into_iter().zip(seen);
        Ok(Answer {
            error: String::new(),
            front_end: self.front_end.clone(),
            programs: self.programs.clone(),
            processes: both.map(|(selection, seen)| Explained { selection, seen }).collect(),
            more,
        })
    }
}

/// Asks every agent whose socket lies in `folder`: its PID, and what it answers.
///
/// # Errors
/// When the folder or a socket may not be used. That there is no agent is none.
pub fn ask(folder: &Path, asked: &str) -> Result<Vec<(u32, Answer)>> {
    let found = match sockets(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => bail!(
            "look for agents in {}: {error}: run obi explain as the user that runs the agent, or with \
             --offline",
            folder.display()
        ),
        found => found.with_context(|| format!("look for agents in {}", folder.display()))?,
    };
    let mut answers = Vec::new();
    for path in found {
        let client = match UnixStream::connect(&path) {
            // An agent that was killed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            client => client.with_context(|| format!("ask the agent at {}", path.display()))?,
        };
        let pid = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or_default();
        let answer = put(client, asked);
        answers
            .push((pid, answer.with_context(|| format!("ask the agent at {}", path.display()))?));
    }
    Ok(answers)
}

fn put(mut client: UnixStream, asked: &str) -> Result<Answer> {
    client.set_read_timeout(Some(3 * ANSWER_TIMEOUT)).context("set a timeout")?;
    client.write_all(format!("{asked}\n").as_bytes()).context("send the question")?;
    let mut text = String::new();
    client.read_to_string(&mut text).context("read the answer")?;
    let answer: Answer = serde_json::from_str(&text).context("read the answer")?;
    match answer.error.is_empty() {
        true => Ok(answer),
        false => Err(anyhow!(answer.error)),
    }
}
