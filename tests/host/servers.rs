//! Real servers and clients as child processes, each on a port of its own.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::eventually;
use crate::load::LOOPBACKS;
use crate::turn::{app, python, scratch, source};

/// A port nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server with all its processes; they end with it.
pub(crate) struct Server {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) port: u16,
}

/// A command that talks about itself in a file, in a process group of its own.
fn spawn(command: &mut Command, dir: &Path) -> Child {
    let output = File::create(dir.join("output")).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .process_group(0)
        .spawn()
        .unwrap_or_else(|e| panic!("start {command:?}: {e}"))
}

impl Server {
    /// Starts a server that listens on `port` and waits until it does.
    #[track_caller]
    pub(crate) fn start(port: u16, command: &mut Command) -> Self {
        Self::start_in(scratch(), port, command)
    }

    /// The same with `dir` as its folder.
    #[track_caller]
    pub(crate) fn start_in(dir: tempfile::TempDir, port: u16, command: &mut Command) -> Self {
        let connects = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let mut server = Self::start_until(connects, dir, command);
        server.port = port;
        server
    }

    /// Starts a server without a port and waits until it is `ready`.
    #[track_caller]
    pub(crate) fn start_until(
        ready: impl Fn() -> bool,
        dir: tempfile::TempDir,
        command: &mut Command,
    ) -> Self {
        let child = spawn(command, dir.path());
        let mut server = Self { child, dir, port: 0 };
        eventually("the server listens", || {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "a server ended at start:\n{}", server.output());
            ready()
        });
        server
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.dir.path().join("output")).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ends it gently, so that it writes what it buffered, and keeps its files.
    #[track_caller]
    pub(crate) fn quit(&mut self) {
        self.end(Signal::SIGQUIT);
    }

    /// The same by the signal that it heeds.
    #[track_caller]
    pub(crate) fn end(&mut self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        nix::sys::signal::kill(Pid::from_raw(pid), signal).unwrap();
        eventually("the server quits", || self.child.try_wait().unwrap().is_some());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // Already gone is as good.
        killpg(group, Signal::SIGKILL).unwrap_or(());
        self.child.wait().unwrap();
    }
}

/// What nginx answers below each path: status and body.
pub(crate) const ANSWERS: [(&str, u16, usize); 4] =
    [("/r/", 200, 200), ("/missing/", 404, 9), ("/error/", 503, 31), ("/empty/", 204, 0)];

/// nginx with an access log of ours, in `access.log`; `/call/ID` goes to `backend`/ID, any path
/// besides [`ANSWERS`] gets 200 and `ok`.
#[track_caller]
pub(crate) fn nginx(workers: usize, backend: Option<&str>) -> Server {
    nginx_serving(scratch(), workers, &locations(backend))
}

/// nginx with these locations and an access log in `access.log`, in this folder.
#[track_caller]
pub(crate) fn nginx_serving(dir: tempfile::TempDir, workers: usize, locations: &str) -> Server {
    let port = free_port();
    let error_log = dir.path().join("error.log");
    let file = configure_nginx(dir.path(), port, workers, locations);
    Server::start_in(dir, port, Command::new("nginx").arg("-c").arg(file).arg("-e").arg(error_log))
}

/// The same as [`nginx`] without backend, with a master that can be replaced while it serves: its
/// number is in `pid`.
#[track_caller]
pub(crate) fn nginx_to_upgrade() -> Server {
    let (dir, port) = (scratch(), free_port());
    let file = configure_nginx(dir.path(), port, 1, &locations(None));
    // A master heeds USR2 only when whoever started it is gone; what it becomes is named by its
    // path. The outer shell stands for all of them, as their process group; whoever runs the tests
    // in the background may have had SIGQUIT ignored.
    let orphan = "(\"$(command -v nginx)\" -c \"$1\" -e \"$2/error.log\" & \
                  until [ -s \"$2/pid\" ]; do sleep 0.05; done) && \
                  exec env --default-signal=QUIT sleep infinity";
    let mut command = Command::new("sh");
    command.args(["-c", orphan, "sh"]).arg(file).arg(dir.path());
    Server::start_in(dir, port, &mut command)
}

fn locations(backend: Option<&str>) -> String {
    let mut locations = String::from("location / { return 200 \"ok\\n\"; }\n");
    for (path, status, size) in ANSWERS {
        locations += &match size {
            0 => format!("location {path} {{ return {status}; }}\n"),
            _ => format!("location {path} {{ return {status} \"{}\"; }}\n", "x".repeat(size)),
        };
    }
    if let Some(backend) = backend {
        locations += &format!(
            "location /call/ {{ proxy_http_version 1.1; proxy_set_header Connection \"\"; \
             proxy_pass {backend}/; }}\n"
        );
    }
    locations
}

/// Writes `nginx.conf` into `dir`: its path.
fn configure_nginx(dir: &Path, port: u16, workers: usize, locations: &str) -> PathBuf {
    let at = dir.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .collect();
    let listen: String = (1..=LOOPBACKS)
        .map(|last| format!("listen 127.0.0.{last}:{port} backlog=4096;\n"))
        .collect();
    let configuration = format!(
        "daemon off;\nuser root;\nworker_processes {workers};\npid {at}/pid;\n\
         worker_rlimit_nofile 16384;\nerror_log {at}/error.log warn;\n\
         events {{ worker_connections 16384; }}\nhttp {{\n\
         map $sent_http_transfer_encoding $body {{ chunked -; default $body_bytes_sent; }}\n\
         log_format oracle '$request_method $request_uri $status $body \
         $content_length $request_length $request_time';\n\
         access_log {at}/access.log oracle buffer=256k flush=1s;\n{temporary}\
         default_type text/plain;\nkeepalive_requests 100000000;\nkeepalive_timeout 300;\n\
         server {{\n{listen}{locations}}}\n}}\n"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    file
}

/// Python's http.server with a thread a connection.
#[track_caller]
pub(crate) fn threaded(backend: Option<&str>) -> Server {
    let port = free_port();
    let mut command = Command::new(python("python"));
    command.arg(source("python/threaded.py")).arg(port.to_string()).args(backend);
    Server::start(port, &mut command)
}

/// Flask under gunicorn, two processes of four threads.
#[track_caller]
pub(crate) fn gunicorn(backend: Option<&str>) -> Server {
    let port = free_port();
    let mut command = Command::new(python("gunicorn"));
    command
        .args(["--workers", "2", "--threads", "4", "--keep-alive", "60", "--bind"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("flask_app:app")
        .env("BACKEND", backend.unwrap_or_default())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(source("python"));
    Server::start(port, &mut command)
}

#[track_caller]
pub(crate) fn node(backend: Option<&str>) -> Server {
    let port = free_port();
    let mut command = Command::new("node");
    command.arg(source("node/server.js")).arg(port.to_string()).args(backend);
    Server::start(port, &mut command)
}

#[track_caller]
pub(crate) fn go(backend: Option<&str>) -> Server {
    let port = free_port();
    Server::start(port, Command::new(app("go")).arg("server").arg(port.to_string()).args(backend))
}

/// The C server in one of its shapes.
#[track_caller]
pub(crate) fn httpd(shape: &str) -> Server {
    let port = free_port();
    Server::start(port, Command::new(app("httpd")).arg(port.to_string()).arg(shape))
}

/// Runs a client to its end; it must succeed. What it said.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let dir = scratch();
    let status = spawn(command, dir.path()).wait().unwrap();
    let output = fs::read_to_string(dir.path().join("output")).unwrap();
    assert!(status.success(), "{command:?} ended with {status}:\n{output}");
    output
}
