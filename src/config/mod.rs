//! Configuration: built-in defaults below a YAML file below the environment, one file a section.
//!
//! Every mistake is reported, with the name of the key or variable, its value and what is allowed.
//! Nothing that is set goes unheard: what the agent does not act on comes back as a notice. No
//! other module reads the environment.

mod discovery;
mod ebpf;
mod env;
mod known;
mod layers;
mod log;
mod traces;
mod value;
mod yaml;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

pub use discovery::{ExeGlob, PortSet, Selection};
pub use ebpf::{EbpfConfig, FrontEnd};
pub use env::Environment;
pub use log::{AgentConfig, Fault, LogFormat, LogLevel, TracePrinter};
pub use traces::{BackoffConfig, BatchConfig, OtlpConfig, OtlpProtocol};
pub use value::without_userinfo;

use layers::{Key, Layers};
use yaml::YamlFile;

const CONFIG_PATH: &str = "OTEL_EBPF_CONFIG_PATH";

/// YAML keys and variables that select processes in the contract and not yet in the agent.
const OTHER_SELECTORS: [&str; 6] = [
    "target_pids",
    "executable_path",
    "discovery.instrument",
    "discovery.services",
    "OTEL_EBPF_TARGET_PID",
    "OTEL_EBPF_EXECUTABLE_PATH",
];

/// Everything a user can decide.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Logs, printers, shutdown.
    pub agent: AgentConfig,
    /// Which processes are observed.
    pub selection: Selection,
    /// The kernel side.
    pub ebpf: EbpfConfig,
    /// Where spans are sent; `None` = nowhere.
    pub traces: Option<OtlpConfig>,
    /// Resource attributes of every process that defines none itself.
    pub resource_attributes: Vec<(String, String)>,
}

/// A valid configuration, and what the user should hear about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// One sentence for every key or variable that is set and not acted on.
    pub notices: Vec<String>,
}

/// Everything that is wrong with a configuration, one sentence a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The sentences; never empty.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// What the program was asked to do: what it needs follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Processes to observe, and somewhere to send their spans.
    Observe,
    /// Processes to observe.
    Record,
    /// Somewhere to send spans.
    Replay,
    /// Nothing.
    Diagnose,
}

/// Loads the configuration: the file named by `OTEL_EBPF_CONFIG_PATH`, else `path`, else none.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(
    path: Option<&Path>,
    env: &Environment,
    purpose: Purpose,
) -> Result<Loaded, ConfigError> {
    let keys = all_keys();
    let acted: Vec<&str> = keys.iter().filter(|key| key.in_yaml()).map(|key| key.path).collect();
    let path = env.get(CONFIG_PATH).map(PathBuf::from).or_else(|| path.map(Path::to_owned));
    let file = path.map(|path| YamlFile::read(&path, env, &acted)).unwrap_or_default();
    if !file.problems.is_empty() {
        return Err(ConfigError { problems: file.problems });
    }
    let ignored = ignored(&file, env, &keys);
    let mut notices: Vec<String> = ignored.iter().map(notice).collect();
    let mut layers = Layers::new(&keys, file, env);
    let mut config = Config {
        agent: AgentConfig::read(&mut layers, &mut notices),
        selection: Selection::read(&mut layers, env),
        ebpf: EbpfConfig::read(&mut layers),
        traces: traces::read(&mut layers, env),
        resource_attributes: traces::read_resource_attributes(&mut layers, env),
    };
    if layers.problems.is_empty() {
        complete(&mut config, &mut layers, &ignored, purpose);
    }
    if layers.problems.is_empty() {
        Ok(Loaded { config, notices })
    } else {
        // A misspelt name is often the cause.
        let unknown = ignored.iter().filter(|(_, known)| !known).map(notice);
        Err(ConfigError { problems: layers.problems.into_iter().chain(unknown).collect() })
    }
}

fn all_keys() -> Vec<&'static Key> {
    [log::KEYS, discovery::KEYS, ebpf::KEYS, traces::KEYS].concat()
}

/// Keys and variables that are set and not acted on, and whether the contract knows them.
fn ignored(file: &YamlFile, env: &Environment, keys: &[&Key]) -> Vec<(String, bool)> {
    let acted = |name: &str| name == CONFIG_PATH || keys.iter().any(|k| k.vars.contains(&name));
    let vars = env
        .names()
        .filter(|name| !acted(name))
        .map(|name| (name.to_owned(), known::VARS.contains(&name)))
        .filter(|(name, known)| *known || name.starts_with("OTEL_EBPF_"));
    file.ignored.iter().cloned().chain(vars).collect()
}

fn notice((name, known): &(String, bool)) -> String {
    if *known {
        format!("{name} is accepted but not acted on yet")
    } else {
        format!("{name} is not a known setting and has no effect")
    }
}

/// Decides what follows from what is set and what is not: nothing at all means every process as
/// text; else there must be something to observe and somewhere to send it, as far as `purpose`
/// needs them.
fn complete(
    config: &mut Config,
    layers: &mut Layers,
    ignored: &[(String, bool)],
    purpose: Purpose,
) {
    let other = ignored.iter().find(|(name, _)| OTHER_SELECTORS.contains(&name.as_str()));
    let selects = config.selection.has_criterion();
    let exports = config.agent.trace_printer != TracePrinter::Disabled || config.traces.is_some();
    let printer_set = layers.is_set(&log::TRACE_PRINTER);
    match (purpose, selects, exports) {
        (Purpose::Observe, true, true) | (Purpose::Record, true, _) | (Purpose::Diagnose, ..) => {}
        (Purpose::Observe, false, false) if other.is_none() && !printer_set => {
            config.selection.everything = true;
            config.agent.trace_printer = TracePrinter::Text;
        }
        (Purpose::Record, false, _) if other.is_none() => config.selection.everything = true,
        (Purpose::Replay, ..) => {
            if !exports && !printer_set {
                config.agent.trace_printer = TracePrinter::Text;
            }
        }
        (_, true, false) => layers.problems.push(format!(
            "processes are selected but nothing is done with their spans: at least one exporter is \
             needed; set {} to text, or {} to the URL of an OTLP receiver",
            log::TRACE_PRINTER.name(),
            traces::ENDPOINT.name()
        )),
        (_, false, _) => layers.problems.push(match other {
            Some((name, _)) => format!(
                "{name} is not acted on yet and no other setting selects a process: set \
                 OTEL_EBPF_OPEN_PORT or OTEL_EBPF_AUTO_TARGET_EXE"
            ),
            None => "no process is selected: at least one feature must be enabled; set \
                     OTEL_EBPF_OPEN_PORT to its ports or OTEL_EBPF_AUTO_TARGET_EXE to a glob over \
                     its executable (\"*\" = every process)"
                .to_owned(),
        }),
    }
}
