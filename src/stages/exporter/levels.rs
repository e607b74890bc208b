//! Metrics that are no sums of spans: who is observed, and by whom. They are read when they are asked
//! for, and kept nowhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::aggregate::Way;
use super::otlp::resource_of;
use crate::config::{MetricsConfig, MetricsOutput};
use crate::model::living::Living;
use crate::model::select::ResourceSelect;
use crate::model::service::Service;
use crate::semconv::metrics::{
    BUILD_INFO, Feature, Metric, TARGET_INFO, TRACES_HOST_INFO, TRACES_TARGET_INFO,
};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    /// Of what.
    pub(super) metric: &'static Metric,
    /// Its attributes, or labels, in order.
    pub(super) labels: Vec<(String, String)>,
    /// Whether it is of what is beyond a limit.
    pub(super) overflow: bool,
    /// The value.
    pub(super) value: Amount,
}

/// The value of a level.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Amount {
    /// A whole number.
    Int(u64),
    /// Any other.
    Float(f64),
    /// How many values lie between limits.
    Histogram(Histogram),
}

/// How many values lie up to each limit and above the one before, and beyond the last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    /// Ascending.
    pub(super) limits: Vec<f64>,
    /// One more than limits.
    pub(super) counts: Vec<u64>,
    /// Of all values.
    pub(super) sum: f64,
}

/// What is known without spans, for one way out.
#[derive(Debug)]
pub(super) struct Levels {
    living: Living,
    way: Way,
    features: BTreeSet<Feature>,
    build_info: bool,
    resource: ResourceSelect,
    /// Resource attributes that are labels, too.
    extra: Vec<String>,
}

impl Levels {
    pub(super) fn new(
        living: Living,
        way: Way,
        config: &MetricsConfig,
        output: &MetricsOutput,
    ) -> Self {
        Self {
            living,
            way,
            features: config.features.iter().copied().collect(),
            build_info: output.build_info,
            resource: config.select.resource().clone(),
            extra: output.extra_resource.clone(),
        }
    }

    /// Which attributes resources have.
    pub(super) fn resource(&self) -> &ResourceSelect {
        &self.resource
    }

    /// What holds now, metric by metric.
    pub(super) fn read(&self) -> Vec<Level> {
        let services = self.services();
        let with = |features: &'static [Feature]| {
            services.iter().filter(move |service| self.has_any(service, features))
        };
        let mut all = Vec::new();
        all.extend(with(&APPLICATION).map(|service| self.target_info(service)));
        all.extend(with(&SPAN_METRICS).map(|service| self.traces_target_info(service)));
        if let Some(service) = with(&[Feature::Host]).next() {
            let name = self.name("host.id", "cloud_host_id");
            all.push(level(&TRACES_HOST_INFO, vec![(name, service.host_id.clone())]));
        }
        if self.way == Way::Prometheus && self.build_info {
            let languages: BTreeSet<&str> = services.iter().map(|s| s.language).collect();
            all.extend(languages.into_iter().map(build_info));
        }
        all
    }

    /// Whether a service has metrics of one of these families.
    fn has_any(&self, service: &Service, features: &[Feature]) -> bool {
        match &service.wishes.features {
            Some(own) => own.iter().any(|feature| features.contains(feature)),
            None => self.features.iter().any(|feature| features.contains(feature)),
        }
    }

    /// Each service once that has metrics, however many processes it has.
    fn services(&self) -> Vec<Arc<Service>> {
        let mut seen = BTreeSet::new();
        let all = self.living.all().into_iter().map(|(_, service)| service);
        let all = all.filter(|service| service.wishes.metrics());
        all.filter(|s| seen.insert((s.name.clone(), s.namespace.clone(), s.instance_id.clone())))
            .collect()
    }

    fn name(&self, over_otlp: &str, for_prometheus: &str) -> String {
        match self.way {
            Way::Otlp => over_otlp.to_owned(),
            Way::Prometheus => for_prometheus.to_owned(),
        }
    }

    fn target_info(&self, service: &Service) -> Level {
        let labels = match self.way {
            Way::Prometheus => {
                let attributes = resource_of(service, &self.resource);
                let extra = self.extra.iter().map(|key| {
                    let value = attributes.iter().find(|(name, _)| name == key);
                    let value = value.map_or("", |(_, value)| value);
                    (key.replace('.', "_"), value.to_owned())
                });
                let mut labels = prometheus_labels(service, &self.resource);
                let known: Vec<_> = extra
                    .filter(|(name, _)| labels.iter().all(|(other, _)| other != name))
                    .collect();
                labels.extend(known);
                labels
            }
            Way::Otlp => {
                let identity = [("instance", service.instance_id.clone()), ("job", service.job())];
                let identity = identity.map(|(key, value)| (key.to_owned(), value));
                identity.into_iter().chain(owned(resource_of(service, &self.resource))).collect()
            }
        };
        level(&TARGET_INFO, labels)
    }

    fn traces_target_info(&self, service: &Service) -> Level {
        let labels = match self.way {
            Way::Prometheus => prometheus_labels(service, &self.resource),
            Way::Otlp => {
                let mut labels = owned(resource_of(service, &self.resource));
                labels.retain(|(key, _)| key != "host.name");
                labels.push(("source".to_owned(), "obi".to_owned()));
                if service.namespace.is_empty() {
                    labels.push(("service.namespace".to_owned(), String::new()));
                }
                labels
            }
        };
        level(&TRACES_TARGET_INFO, labels)
    }
}

const APPLICATION: [Feature; 8] = [
    Feature::Application,
    Feature::Span,
    Feature::SpanOtel,
    Feature::SpanSizes,
    Feature::ServiceGraph,
    Feature::Host,
    Feature::Runtime,
    Feature::Process,
];
const SPAN_METRICS: [Feature; 3] = [Feature::Span, Feature::SpanOtel, Feature::SpanSizes];

fn level(metric: &'static Metric, labels: Vec<(String, String)>) -> Level {
    Level { metric, labels, overflow: false, value: Amount::Int(1) }
}

fn owned(attributes: Vec<(&str, &str)>) -> Vec<(String, String)> {
    attributes.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The labels of both target metrics, whose set is fixed but for those that the user does not want.
fn prometheus_labels(service: &Service, select: &ResourceSelect) -> Vec<(String, String)> {
    let attributes = resource_of(service, select);
    let of = |label: &&str| {
        let key = label.replace('_', ".");
        let value = match *label {
            "instance" => service.instance_id.clone(),
            "job" => service.job(),
            "source" => "obi".to_owned(),
            _ => {
                let found = attributes.iter().find(|(name, _)| *name == key);
                found.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
            }
        };
        ((*label).to_owned(), value)
    };
    let is_left = |label: &&&str| select.has(label);
    TARGET_INFO.labels.unwrap_or_default().iter().filter(is_left).map(of).collect()
}

/// The processor, as Go names it.
const GOARCH: &str = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => "amd64",
    b"aarch64" => "arm64",
    _ => std::env::consts::ARCH,
};

/// Which build this is: names over OTLP and for Prometheus, and values.
pub(super) fn build() -> [(&'static str, &'static str, &'static str); 5] {
    [
        ("obi.goarch", "goarch", GOARCH),
        ("obi.goos", "goos", std::env::consts::OS),
        ("obi.goversion", "goversion", ""),
        ("obi.version", "version", env!("CARGO_PKG_VERSION")),
        ("obi.revision", "revision", ""),
    ]
}

fn build_info(language: &str) -> Level {
    let build = build().map(|(_, name, value)| (name, value));
    let values = build.into_iter().chain([("target_lang", language)]);
    level(&BUILD_INFO, owned(values.collect()))
}
