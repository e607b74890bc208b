//! The clients, each with the command that asks BASE for what PLAN says.

use std::process::Command;

use crate::turn::{Need, app, python, source};

/// What `java` runs.
pub(super) const JAVA_APPS: Need = Need::App("java/Apps.class");

/// The Python packages come together; one brings a command by which they are known.
const HTTP_CLIENTS: &[Need] = &[Need::Python("httpx")];

/// One kind of client.
pub(super) struct Client {
    /// What it runs: its name to the agent.
    pub(super) exe: Need,
    /// What it needs besides.
    pub(super) needs: &'static [Need],
    /// The command, but for its last two arguments.
    pub(super) command: fn() -> Command,
    /// It can send a body without a length.
    pub(super) chunks: bool,
}

pub(super) const WGET: Client = Client {
    exe: Need::Command("wget"),
    needs: &[],
    command: || {
        let mut command = Command::new("sh");
        command.arg(source("shell/wget.sh"));
        command
    },
    chunks: false,
};

pub(super) const HTTPX: Client = Client {
    exe: Need::Python("python"),
    needs: HTTP_CLIENTS,
    command: || python_script("httpx_client.py"),
    chunks: true,
};

pub(super) const AIOHTTP: Client = Client {
    exe: Need::Python("python"),
    needs: HTTP_CLIENTS,
    command: || python_script("aiohttp_client.py"),
    chunks: true,
};

pub(super) const REQWEST: Client = Client {
    exe: Need::App("rust"),
    needs: &[],
    command: || {
        let mut command = Command::new(app("rust"));
        command.arg("client");
        command
    },
    chunks: true,
};

pub(super) const JAVA: Client = Client {
    exe: Need::Command("java"),
    needs: &[JAVA_APPS],
    command: || {
        let mut command = java();
        command.arg("client");
        command
    },
    chunks: true,
};

/// The JDK's own server and client.
pub(super) fn java() -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC"])
        // A client may not say that a connection ends, unless told that it may.
        .arg("-Djdk.httpclient.allowRestrictedHeaders=connection")
        .arg("-cp")
        .arg(app("java"))
        .arg("Apps");
    command
}

fn python_script(name: &str) -> Command {
    let mut command = Command::new(python("python"));
    command.arg(source("python").join(name));
    command
}
