//! Names of addresses: out of `/etc/hosts`, else by asking name servers for PTR records. It is what
//! `getnameinfo` does, which a static binary cannot call: it loads modules of the host.
//!
//! One thread with a runtime of its own looks for many addresses at a time. Nobody waits for it: who
//! wants a name asks, and takes the answer out of a channel once it is there. The thread ends when the
//! resolver is dropped.

mod client;
mod system;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::LocalSet;

use system::System;
pub use system::{NAME_SERVER_PORT, Setup};

/// Addresses that are asked for and have no answer yet. One more is not asked for.
pub const QUESTIONS_MAX: usize = 1024;
/// Addresses that are looked for at the same time; the others wait.
const AT_ONCE: usize = 64;
/// How long one address is looked for, whatever `resolv.conf` says.
const LOOKUP_MAX: Duration = Duration::from_secs(10);

/// What became of a question. There is one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The address that was asked for.
    pub address: IpAddr,
    /// What is known of it.
    pub outcome: Outcome,
}

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has this name: ASCII, with or without a dot at its end.
    Name(Box<str>),
    /// Nobody has a name for it.
    Nameless,
    /// Nobody could be asked: why.
    Failed(String),
}

/// Looks for names.
#[derive(Debug)]
pub struct Resolver {
    questions: mpsc::Sender<IpAddr>,
    /// Questions whose answers were not taken yet.
    under_way: usize,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    /// Starts its thread. Whoever takes an answer says so by [`Self::took_answer`].
    ///
    /// # Errors
    /// When the system has no thread or no descriptors for it.
    pub fn start(setup: Setup) -> anyhow::Result<(Self, Receiver<Answer>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the runtime of the name resolver")?;
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let (answers, answered) = bounded(QUESTIONS_MAX);
        let (stop, stopped) = oneshot::channel();
        let thread = Builder::new()
            .name("resolver".to_owned())
            .spawn(move || runtime.block_on(serve(asked, answers, setup, stopped)))
            .context("start the thread of the name resolver")?;
        let resolver = Self { questions, under_way: 0, stop: Some(stop), thread: Some(thread) };
        Ok((resolver, answered))
    }

    /// Asks for the name of `address`. `false` = too many questions are under way.
    pub fn ask(&mut self, address: IpAddr) -> bool {
        let asks = self.under_way < QUESTIONS_MAX && self.questions.try_send(address).is_ok();
        self.under_way += usize::from(asks);
        asks
    }

    /// One answer was taken out of the channel: there is room for another one.
    pub fn took_answer(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed already; spans go on with addresses.
            thread.join().unwrap_or_default();
        }
    }
}

async fn serve(
    mut questions: mpsc::Receiver<IpAddr>,
    answers: Sender<Answer>,
    setup: Setup,
    stopped: oneshot::Receiver<()>,
) {
    let mut system = System::new(setup);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let work = async {
        while let Some(address) = questions.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (sources, answers) = (system.sources(), answers.clone());
            tokio::task::spawn_local(async move {
                let lookup = tokio::time::timeout(LOOKUP_MAX, client::look_up(&sources, address));
                let too_long = || Outcome::Failed(format!("no answer in {LOOKUP_MAX:?}"));
                let outcome = lookup.await.unwrap_or_else(|_| too_long());
                // The channel has room for the answers to all questions that are under way.
                let _always_taken = answers.try_send(Answer { address, outcome });
                drop(place);
            });
        }
    };
    let all = async {
        tokio::select! {
            () = work => {}
            _ = stopped => {}
        }
    };
    LocalSet::new().run_until(all).await;
}
