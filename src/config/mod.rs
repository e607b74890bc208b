//! Configuration: built-in defaults below a YAML file below the environment.
//!
//! What a setting is stands once, in `keys/`; everything else is read from there. Every mistake is
//! reported, with its line, the name of the key or variable, its value and what is allowed. Nothing
//! that is set goes unheard: what the agent does not act on comes back as a notice. No other module
//! reads the environment.

mod discovery;
mod document;
mod duration;
mod ebpf;
mod enrichment;
mod env;
mod file;
mod filter;
mod glob;
mod internal;
mod key;
mod keys;
mod layers;
mod log;
mod metrics;
mod migrate;
mod names;
mod notice;
mod numbers;
mod otlp;
mod pages;
mod render;
mod routes;
mod rules;
mod secret;
mod source;
mod table;
mod traces;
mod value;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

pub use ebpf::{EbpfConfig, FrontEnd};
pub use env::Environment;
pub use file::read_bounded;
pub use filter::{Condition, FilterConfig};
pub use internal::{InternalConfig, InternalOutput};
pub use log::{AgentConfig, Fault, LogFormat, LogLevel, TracePrinter};
pub use metrics::{
    Aggregation, ExemplarFilter, Histograms, MetricsConfig, MetricsOutput, MetricsPush,
    PrometheusConfig, Renames,
};
pub use migrate::{Migrated, migrate};
pub use names::{DnsConfig, NamesConfig};
pub use notice::{Notice, NoticeKind, Problem};
pub use otlp::{Compression, OtlpEndpoint, OtlpProtocol, OtlpTls};
pub use routes::{RoutesConfig, Unmatched};
pub use source::{Change, Source};
pub use traces::{BackoffConfig, BatchConfig, TracesConfig};
pub use value::without_userinfo;

pub use crate::model::compare::Comparison;

use keys::{EXCLUDE_OTEL_INSTRUMENTED, LOG_CONFIG, OTLP_ENDPOINT, TRACE_PRINTER};
use layers::{Remarks, Settings};
use rules::Plan;

use crate::model::selector::Selectors;
use crate::model::shown::Shown;
use crate::model::text::harmless;

const CONFIG_PATH: &str = "OTEL_EBPF_CONFIG_PATH";

/// Everything a user can decide.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Logs, printers, shutdown.
    pub agent: AgentConfig,
    /// Which processes are observed.
    pub selection: Selectors,
    /// These are all there are, because nothing else is set.
    pub everything: bool,
    /// Beginnings of paths of executables whose language is not looked for.
    pub excluded_system_paths: Vec<String>,
    /// Whether spans of a process are left out that exports traces by itself.
    pub exclude_otel_instrumented: bool,
    /// The kernel side.
    pub ebpf: EbpfConfig,
    /// Where spans are sent; `None` = nowhere.
    pub traces: Option<TracesConfig>,
    /// Which metrics there are, and how they leave.
    pub metrics: MetricsConfig,
    /// Who gets the agent's own metrics.
    pub internal: InternalConfig,
    /// How paths become routes; `None` = not at all.
    pub routes: Option<RoutesConfig>,
    /// How the two sides are named; `None` = by their addresses.
    pub names: Option<NamesConfig>,
    /// What spans show of messages.
    pub shown: Shown,
    /// Which spans are kept.
    pub filter: FilterConfig,
    /// Resource attributes of every process that defines none itself.
    pub resource_attributes: Vec<(String, String)>,
}

/// A valid configuration, and what the user should hear about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is set and has no effect, or not the one that one would expect.
    pub notices: Vec<String>,
    /// What is to be printed at start (`log_config`): all settings, secrets masked.
    pub printed: Option<String>,
    settings: Settings,
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
    let path = env.get(CONFIG_PATH).map(PathBuf::from).or_else(|| path.map(Path::to_owned));
    let mut settled = Settled::read(path, env)?;
    let config = settled.config(purpose);
    let (mut problems, notices) = settled.said();
    if problems.is_empty() && purpose == Purpose::Observe {
        problems.extend(settled.unable(&config));
    }
    match problems.is_empty() {
        true => {
            let notices = notices.into_iter().map(|(_, text)| text).collect();
            let printed = settled.printed();
            Ok(Loaded { config, notices, printed, settings: settled.settings })
        }
        false => {
            // A misspelt name is often the cause.
            let unknown = notices.into_iter().filter(|(kind, _)| *kind == NoticeKind::Unknown);
            let unknown = unknown.map(|(_, text)| text);
            Err(ConfigError { problems: problems.into_iter().chain(unknown).collect() })
        }
    }
}

/// What there is to say of the file at `path` together with `env`: what is wrong, and what is to be
/// heard. `strict` = a name that nobody knows is wrong.
pub fn check(path: &Path, env: &Environment, strict: bool) -> (Vec<String>, Vec<String>) {
    let mut settled = match Settled::read(Some(path.to_owned()), env) {
        Ok(settled) => settled,
        Err(error) => return (error.problems, Vec::new()),
    };
    let config = settled.config(Purpose::Observe);
    let (mut problems, notices) = settled.said();
    let wrong = |kind| strict && kind == NoticeKind::Unknown;
    problems.extend(notices.iter().filter(|(kind, _)| wrong(*kind)).map(|(_, text)| text.clone()));
    let heard = notices.into_iter().filter(|(kind, _)| !wrong(*kind)).map(|(_, text)| text);
    let unable = settled.unable(&config).filter(|_| problems.is_empty());
    (problems, heard.chain(unable).collect())
}

/// The effective configuration as a YAML file, secrets masked; `origin` = with where each value
/// comes from.
///
/// # Errors
/// As [`load`], but that something is missing is none.
pub fn effective(
    path: Option<&Path>,
    env: &Environment,
    origin: bool,
) -> Result<String, ConfigError> {
    let path = env.get(CONFIG_PATH).map(PathBuf::from).or_else(|| path.map(Path::to_owned));
    let settled = Settled::read(path, env)?;
    let (problems, _) = settled.said();
    match problems.is_empty() {
        true => {
            let Settled { settings, remarks, .. } = &settled;
            let text = pages::effective(settings, &settled.path(), origin, &remarks.secrets);
            Ok(env::escaped(&text))
        }
        false => Err(ConfigError { problems }),
    }
}

/// JSON Schema of the configuration file.
pub fn schema() -> String {
    format!("{:#}\n", pages::schema())
}

/// Every setting with its default, commented out.
pub fn default_file() -> String {
    pages::default_file()
}

/// Every setting, its variables, values, default and meaning, as a Markdown page.
pub fn reference() -> String {
    pages::reference()
}

/// The layers, settled, and what there is to say of them.
#[derive(Debug)]
struct Settled {
    path: Option<PathBuf>,
    settings: Settings,
    remarks: Remarks,
    /// What they ask for.
    plan: Plan,
}

impl Settled {
    fn read(path: Option<PathBuf>, env: &Environment) -> Result<Self, ConfigError> {
        let mut remarks = Remarks::default();
        let entries = match &path {
            Some(path) => {
                file::text(path).and_then(|text| file::entries(&text, env, &mut remarks.secrets))
            }
            None => Ok(Vec::new()),
        };
        let entries = entries.map_err(|p| {
            let place = path.as_deref().map_or_else(String::new, |path| place(path, p.line));
            ConfigError { problems: vec![format!("config file {place}{}", p.why)] }
        })?;
        let settings = layers::settle(&entries, env, &mut remarks);
        Ok(Self { path, settings, remarks, plan: Plan::default() })
    }

    fn path(&self) -> String {
        self.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// What the agent makes of them; the default where something is wrong.
    fn config(&mut self, purpose: Purpose) -> Config {
        let Self { settings, remarks, .. } = self;
        self.plan = Plan::of(settings);
        let selection = discovery::read(settings, &mut remarks.notices);
        let mut config = Config {
            agent: AgentConfig::read(settings, &mut remarks.notices),
            selection: selection.unwrap_or_default(),
            everything: false,
            excluded_system_paths: discovery::excluded_system_paths(settings),
            exclude_otel_instrumented: settings.bool(&EXCLUDE_OTEL_INSTRUMENTED),
            ebpf: EbpfConfig::read(settings),
            traces: traces::read(settings, &mut remarks.problems),
            routes: routes::read(settings),
            names: names::read(settings),
            shown: Shown {
                secrets: filter::secrets(settings, &mut remarks.problems),
                headers: enrichment::headers(settings),
            },
            filter: filter::read(settings),
            metrics: metrics::read(settings, &self.plan, &mut remarks.problems),
            internal: internal::read(settings),
            resource_attributes: traces::read_resource_attributes(settings),
        };
        let of_some = config.selection.include.iter().map(|s| &s.refinement.wishes.features);
        config.metrics.features_of_some =
            of_some.flatten().flat_map(|features| features.iter().copied()).collect();
        rules::check(settings, &self.plan, remarks);
        if remarks.problems.is_empty() {
            remarks.problems.extend(complete(&mut config, &mut self.plan, settings, purpose));
        }
        if config.everything && self.path.is_some() {
            let text = format!(
                "{}: nothing in it chooses processes or says where spans go: every process is \
                 observed, and printed as text",
                self.path()
            );
            self.remarks.notices.push(Notice { line: 0, text, kind: NoticeKind::Surprise });
        }
        config.selection.show_as(|text| self.remarks.secrets.mask(text.to_owned()));
        config
    }

    /// Why the agent would do nothing with it, though it is valid.
    fn unable(&self, config: &Config) -> Option<String> {
        let aside = self.plan.application && config.selection.include.is_empty();
        let unable = self.plan.unable();
        unable.or_else(|| aside.then(|| NOTHING_CHOSEN.to_owned()))
    }

    /// All settings, as `log_config` wants them.
    fn printed(&self) -> Option<String> {
        let Self { settings, remarks, .. } = self;
        let text = || pages::effective(settings, &self.path(), false, &remarks.secrets);
        match settings.text(&LOG_CONFIG)? {
            "yaml" => Some(text()),
            "json" => pages::as_json(&text()),
            _ => None,
        }
    }

    /// Sentences about problems and notices, those about the file with their places.
    fn said(&self) -> (Vec<String>, Vec<(NoticeKind, String)>) {
        // What is about no line of the file is about a variable, or about everything.
        let said = |line: usize, text: &str| {
            let text = harmless(&self.remarks.secrets.mask(text.to_owned()));
            match (&self.path, line) {
                (_, 0) | (None, _) => text,
                (Some(path), line) => format!("{}{text}", place(path, line)),
            }
        };
        // A variable of several settings is wrong for each in the same words.
        let mut seen = HashSet::new();
        let problems = self.remarks.problems.iter();
        let mut problems: Vec<&Problem> =
            problems.filter(|p| seen.insert((p.line, p.why.as_str()))).collect();
        problems.sort_by_key(|problem| problem.line);
        let problems = problems.into_iter().map(|problem| said(problem.line, &problem.why));
        let mut seen = HashSet::new();
        let notices = self.remarks.notices.iter();
        let notices = notices.filter(|n| seen.insert((n.line, n.text.as_str())));
        let notices = notices.map(|notice| (notice.kind, said(notice.line, &notice.text)));
        (problems.collect(), notices.collect())
    }
}

fn place(path: &Path, line: usize) -> String {
    match line {
        0 => format!("{}: ", path.display()),
        line => format!("{}:{line}: ", path.display()),
    }
}

const NOTHING_CHOSEN: &str = "nothing would be done: every setting that chooses processes is left \
                              aside because of another";

/// Decides what follows from what is set and what is not: nothing at all means every process as
/// text; else there must be something to observe and somewhere to send it, as far as `purpose`
/// needs them.
fn complete(
    config: &mut Config,
    plan: &mut Plan,
    settings: &Settings,
    purpose: Purpose,
) -> Option<Problem> {
    let printer_set = settings.is_set(&TRACE_PRINTER);
    let why = match (purpose, plan.observes(), plan.exports()) {
        (Purpose::Observe, true, _) if !plan.application => return None,
        (Purpose::Observe, true, true) | (Purpose::Diagnose, ..) => return None,
        (Purpose::Observe, false, false) if !printer_set && !rules::asks_for_other(settings) => {
            (config.selection, config.everything) = (discovery::everything(settings), true);
            config.agent.trace_printer = TracePrinter::Text;
            (plan.application, plan.printer) = (true, true);
            return None;
        }
        (Purpose::Record, ..) => {
            if !plan.application {
                (config.selection, config.everything) = (discovery::everything(settings), true);
            }
            return None;
        }
        (Purpose::Replay, ..) => {
            let prints = config.agent.trace_printer != TracePrinter::Disabled;
            if !prints && config.traces.is_none() && !printer_set {
                config.agent.trace_printer = TracePrinter::Text;
            }
            return None;
        }
        (_, true, false) => format!(
            "processes are selected but nothing is done with their spans: at least one exporter is \
             needed; set {} to text, or {} to the URL of an OTLP receiver",
            TRACE_PRINTER.vars.first().unwrap_or(&""),
            OTLP_ENDPOINT.name()
        ),
        (_, false, _) => "no process is selected: at least one feature must be enabled; set \
                          OTEL_EBPF_OPEN_PORT to its ports, OTEL_EBPF_AUTO_TARGET_EXE to a glob over \
                          its executable (\"*\" = every process), or discovery.instrument"
            .to_owned(),
    };
    Some(Problem { line: 0, why })
}
