//! Where the configuration comes from: it can be read again, and compared with what it was.

use std::path::{Path, PathBuf};

use super::key::Key;
use super::layers::Settings;
use super::secret::MASK;
use super::{CONFIG_PATH, ConfigError, Environment, Loaded, Purpose, keys, load};

/// The file, if any, and the environment.
#[derive(Clone, Debug)]
pub struct Source {
    path: Option<PathBuf>,
    env: Environment,
    purpose: Purpose,
}

impl Source {
    /// The file named by `OTEL_EBPF_CONFIG_PATH`, else `path`, else none; below `env`.
    pub fn new(path: Option<&Path>, env: Environment, purpose: Purpose) -> Self {
        let path = env.get(CONFIG_PATH).map(PathBuf::from).or_else(|| path.map(Path::to_owned));
        Self { path, env, purpose }
    }

    /// The file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        load(self.path(), &self.env, self.purpose)
    }
}

/// A setting that differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: &'static str,
    /// What it was; secrets masked. Empty = not set.
    pub was: String,
    /// What it is now.
    pub is: String,
    /// Whether it takes effect without a restart.
    pub live: bool,
}

impl Loaded {
    /// Takes over what of `new` takes effect without a restart.
    pub fn adopt_live(&mut self, new: &Self) {
        self.config.selection = new.config.selection.clone();
        self.config.everything = new.config.everything;
        self.settings.adopt(&new.settings, |key| key.live);
        self.notices.clone_from(&new.notices);
    }

    /// Settings that the agent acts on and that are others than in `before`.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let differs = |key: &&Key| key.acted && before.settings.get(key) != self.settings.get(key);
        let change = |key: &'static Key| Change {
            name: key.name(),
            was: shown(&before.settings, key),
            is: shown(&self.settings, key),
            live: key.live,
        };
        keys::all().filter(differs).map(change).collect()
    }
}

fn shown(settings: &Settings, key: &Key) -> String {
    match settings.setting(key) {
        None => String::new(),
        Some(setting) if setting.secret || key.secret => MASK.to_owned(),
        Some(setting) => setting.value.shown(),
    }
}
