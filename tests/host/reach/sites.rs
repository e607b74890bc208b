//! The servers, each with its files in a folder of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::clients::{JAVA_APPS, java};
use crate::servers::{Server, free_port, nginx_serving};
use crate::turn::{Need, app, python, scratch, source};

/// One kind of server.
pub(super) struct Kind {
    /// What it runs, first what answers: the name of its service.
    pub(super) exes: &'static [Need],
    /// What it needs besides.
    pub(super) needs: &'static [Need],
    pub(super) start: fn() -> Site,
}

/// A running server that answers what [`super`] says.
pub(super) struct Site {
    pub(super) server: Server,
    /// What it hands requests on to.
    behind: Option<Server>,
}

/// The log of each, among its files.
pub(super) const LOG: &str = "access.log";

impl Site {
    fn new(server: Server) -> Self {
        Self { server, behind: None }
    }

    /// The server that it asks in turn by HTTP, if there is one.
    pub(super) fn backend(&self) -> Option<&Server> {
        self.behind.as_ref().filter(|server| server.port != 0)
    }

    /// A server that logs to the file that `$ACCESS_LOG` names.
    #[track_caller]
    fn logging(port: u16, command: &mut Command) -> Self {
        let dir = scratch();
        command.env("ACCESS_LOG", dir.path().join(LOG)).current_dir(dir.path());
        Self::new(Server::start_in(dir, port, command))
    }

    /// Whether this is the address of a socket among its files, over which its processes speak to
    /// each other something that is no HTTP.
    pub(super) fn is_inner(&self, address: &str) -> bool {
        let mut servers = [Some(&self.server), self.behind.as_ref()].into_iter().flatten();
        servers.any(|s| Path::new(address).starts_with(s.file("")))
    }
}

pub(super) const LIGHTTPD: Kind =
    Kind { exes: &[Need::Command("lighttpd")], needs: &[], start: || Site::new(lighttpd()) };

pub(super) const APACHE_EVENT: Kind = Kind {
    exes: &[Need::Command("apache2")],
    needs: &[],
    start: || Site::new(apache("event", "cgid")),
};

pub(super) const APACHE_PREFORK: Kind = Kind {
    exes: &[Need::Command("apache2")],
    needs: &[],
    start: || Site::new(apache("prefork", "cgi")),
};

pub(super) const UVICORN: Kind = Kind {
    exes: &[Need::Python("python")],
    needs: &[Need::Python("uvicorn")],
    start: || uvicorn(["--loop", "asyncio", "--http", "h11"]),
};

pub(super) const UVICORN_UVLOOP: Kind = Kind {
    exes: &[Need::Python("python")],
    needs: &[Need::Python("uvicorn")],
    start: || uvicorn(["--loop", "uvloop", "--http", "httptools"]),
};

pub(super) const PUMA: Kind = Kind {
    exes: &[Need::Command("ruby")],
    needs: &[Need::Command("puma")],
    start: || {
        let port = free_port();
        let mut puma = Command::new("puma");
        puma.args(["--workers", "2", "--threads", "4:4", "--environment", "production", "--bind"]);
        puma.arg(format!("tcp://127.0.0.1:{port}")).arg(source("ruby/config.ru"));
        Site::logging(port, &mut puma)
    },
};

pub(super) const PHP: Kind = Kind {
    exes: &[Need::Command("php8.2")],
    needs: &[],
    start: || {
        let port = free_port();
        let mut php = Command::new("php8.2");
        php.arg("-S").arg(format!("127.0.0.1:{port}")).arg(source("php/index.php"));
        Site::logging(port, php.env("PHP_CLI_SERVER_WORKERS", "4"))
    },
};

pub(super) const PHP_FPM: Kind = Kind {
    exes: &[Need::Command("nginx"), Need::Command("php-fpm8.2")],
    needs: &[],
    start: php_fpm,
};

pub(super) const AXUM: Kind = Kind {
    exes: &[Need::App("rust")],
    needs: &[],
    start: || {
        let port = free_port();
        Site::logging(port, Command::new(app("rust")).arg("server").arg(port.to_string()))
    },
};

pub(super) const JAVA_HTTP: Kind = Kind {
    exes: &[Need::Command("java")],
    needs: &[JAVA_APPS],
    start: || {
        let port = free_port();
        Site::logging(port, java().arg("server").arg(port.to_string()))
    },
};

pub(super) const HAPROXY: Kind = Kind {
    exes: &[Need::Command("haproxy")],
    needs: &[Need::Command("lighttpd")],
    start: || {
        let behind = lighttpd();
        let server = haproxy(&format!("server s 127.0.0.1:{}", behind.port));
        Site { server, behind: Some(behind) }
    },
};

/// A folder of files to serve; every user may read it, since servers do not stay root.
fn files() -> tempfile::TempDir {
    let dir = scratch();
    let path = dir.path();
    for (name, size) in [("small", 200), ("large", 1 << 20)] {
        fs::write(path.join(name), vec![b'x'; size]).unwrap();
    }
    fs::copy(source("shell/site.cgi"), path.join("site.cgi")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// lighttpd with the script for what has no length. It would take up a client's offer of HTTP/2.
#[track_caller]
fn lighttpd() -> Server {
    let (dir, port) = (files(), free_port());
    let at = dir.path().display();
    let configuration = format!(
        "server.modules = (\"mod_rewrite\", \"mod_cgi\", \"mod_accesslog\")\n\
         server.bind = \"127.0.0.1\"\n\
         server.port = {port}\n\
         server.document-root = \"{at}\"\n\
         server.errorlog = \"{at}/error.log\"\n\
         server.max-keep-alive-requests = 100000\n\
         server.stream-response-body = 2\n\
         server.feature-flags = (\"server.h2c\" => \"disable\")\n\
         accesslog.filename = \"{at}/{LOG}\"\n\
         accesslog.format = \"%r %s %{{Content-Length}}o %{{Content-Length}}i 0 0\"\n\
         url.rewrite-once = (\"^/(small|large)/\" => \"/$1\",\n\
                             \"^/(chunks|stream|echo)/\" => \"/site.cgi\")\n\
         cgi.assign = (\".cgi\" => \"/bin/sh\")\n"
    );
    let file = dir.path().join("lighttpd.conf");
    fs::write(&file, configuration).unwrap();
    Server::start_in(dir, port, Command::new("lighttpd").arg("-D").arg("-f").arg(file))
}

/// Where Debian keeps Apache's modules.
const APACHE_MODULES: &str = "/usr/lib/apache2/modules";

/// Apache with this multi-processing module and this way to run scripts. Processes that it has too
/// many of it would wake by requests of its own.
#[track_caller]
fn apache(processes: &str, scripts: &str) -> Server {
    let (dir, port) = (files(), free_port());
    let at = dir.path().display();
    let modules = [&format!("mpm_{processes}"), "authz_core", "alias", scripts];
    let modules = modules
        .map(|name| format!("LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n"))
        .concat();
    let configuration = format!(
        "{modules}\
         ServerName test\n\
         Listen 127.0.0.1:{port}\n\
         PidFile {at}/pid\n\
         ErrorLog {at}/error.log\n\
         DefaultRuntimeDir {at}\n\
         User www-data\n\
         Group www-data\n\
         MaxKeepAliveRequests 0\n\
         KeepAliveTimeout 60\n\
         AliasMatch \"^/(small|large)/\" \"{at}/$1\"\n\
         ScriptAliasMatch \"^/(chunks|stream|echo)/\" \"{at}/site.cgi\"\n\
         <IfModule mpm_prefork_module>\n\
         MaxSpareServers 256\n\
         </IfModule>\n\
         <IfModule cgid_module>\n\
         ScriptSock {at}/cgid\n\
         </IfModule>\n\
         <Directory \"{at}\">\n\
         Require all granted\n\
         </Directory>\n\
         LogFormat \"%m %U %>s %B %{{Content-Length}}i 0 0\" oracle\n\
         CustomLog {at}/{LOG} oracle\n"
    );
    let file = dir.path().join("apache.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("apache2");
    command.arg("-d").arg(dir.path()).arg("-f").arg(file).arg("-DFOREGROUND");
    Server::start_in(dir, port, &mut command)
}

/// uvicorn in one process, with FastAPI.
#[track_caller]
fn uvicorn(how: [&str; 4]) -> Site {
    let port = free_port();
    let mut command = Command::new(python("uvicorn"));
    command
        .args(how)
        .args(["--log-level", "warning", "--no-access-log", "--port", &port.to_string()])
        .arg("--app-dir")
        .arg(source("python"))
        .arg("asgi:app")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Site::logging(port, &mut command)
}

/// nginx before php-fpm; they talk FastCGI over a unix socket.
#[track_caller]
fn php_fpm() -> Site {
    let dir = scratch();
    let at = dir.path().display();
    let socket = dir.path().join("fpm.sock");
    let configuration = format!(
        "[global]\nerror_log = {at}/error.log\n\
         [site]\nuser = root\ngroup = root\nlisten = {}\npm = static\npm.max_children = 4\n",
        socket.display()
    );
    let file = dir.path().join("fpm.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("php-fpm8.2");
    command.args(["--nodaemonize", "--allow-to-run-as-root", "--fpm-config"]).arg(file);
    let fpm = Server::start_until(|| socket.exists(), dir, &mut command);

    let parameters: String = [
        ("SCRIPT_FILENAME", source("php/index.php").to_str().unwrap()),
        ("REQUEST_METHOD", "$request_method"),
        ("REQUEST_URI", "$request_uri"),
        ("CONTENT_TYPE", "$content_type"),
        ("CONTENT_LENGTH", "$content_length"),
    ]
    .iter()
    .map(|(name, value)| format!("fastcgi_param {name} {value};\n"))
    .collect();
    let location =
        format!("location / {{\nfastcgi_pass unix:{};\n{parameters}}}\n", socket.display());
    let nginx = nginx_serving(scratch(), 2, &location);
    Site { behind: Some(fpm), ..Site::new(nginx) }
}

/// haproxy before `backend`, a line of its configuration; `/call/ID` goes to `/backend/ID`.
#[track_caller]
pub(crate) fn haproxy(backend: &str) -> Server {
    let (dir, port) = (scratch(), free_port());
    let configuration = format!(
        "global\n  log stdout format raw local0 info\n\
         defaults\n  mode http\n  log global\n  option dontlognull\n\
         \x20 timeout client 60s\n  timeout server 60s\n  timeout connect 10s\n\
         frontend front\n  bind 127.0.0.1:{port}\n  default_backend back\n\
         \x20 declare capture request len 20\n  declare capture response len 20\n\
         \x20 http-request capture req.hdr(content-length) id 0\n\
         \x20 http-response capture res.hdr(content-length) id 0\n\
         \x20 http-request replace-path /call/(.*) /backend/\\1\n\
         \x20 log-format \"%HM %HP %ST %[capture.res.hdr(0)] %[capture.req.hdr(0)] 0 0\"\n\
         backend back\n  {backend}\n"
    );
    let file = dir.path().join("haproxy.cfg");
    fs::write(&file, configuration).unwrap();
    let log = dir.path().join(LOG);
    let mut command = Command::new("sh");
    command.args(["-c", "exec haproxy -db -f \"$0\" >\"$1\""]).arg(file).arg(log);
    Server::start_in(dir, port, &mut command)
}
