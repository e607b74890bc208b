//! Which attributes there are: the user's choice among those that a metric, a span or a resource knows
//! (`attributes.select`).

use super::selector::Pattern;

/// The choice, section by section.
#[derive(Clone, Debug, Default)]
pub struct AttributeSelect {
    sections: Vec<Section>,
    resource: ResourceSelect,
}

/// Which attributes a resource has: all but these.
#[derive(Clone, Debug, Default)]
pub struct ResourceSelect {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl ResourceSelect {
    /// Whether it has the attribute `name`, if somebody knows it.
    pub fn has(&self, name: &str) -> bool {
        !any_matches(&self.exclude, name)
            && (self.include.is_empty() || any_matches(&self.include, name))
    }
}

/// What one section says.
#[derive(Clone, Debug)]
pub struct Section {
    /// Metrics that it is about, over their [`canonical`] names.
    pub metrics: Pattern,
    /// Attributes that are there, over [`comparable`] names; empty = it says nothing of them.
    pub include: Vec<Pattern>,
    /// Attributes that are not.
    pub exclude: Vec<Pattern>,
}

impl AttributeSelect {
    /// The sections in the order in which they apply: that of their keys as text.
    pub fn new(mut sections: Vec<(String, Section)>) -> Self {
        sections.sort_by(|(a, _), (b, _)| a.cmp(b));
        let of_resource = sections.iter().find(|(key, _)| key == "resource");
        let resource = of_resource.map(|(_, Section { include, exclude, .. })| ResourceSelect {
            include: include.clone(),
            exclude: exclude.clone(),
        });
        Self {
            sections: sections.into_iter().map(|(_, section)| section).collect(),
            resource: resource.unwrap_or_default(),
        }
    }

    /// The choice for resources: that of the section `resource`, whatever other sections match.
    pub fn resource(&self) -> &ResourceSelect {
        &self.resource
    }

    /// The attributes of the metric `name`, sorted: of `default` and `optional`, which are all that
    /// it knows, those that the sections leave.
    pub fn choose(
        &self,
        name: &str,
        default: &[&'static str],
        optional: &[&'static str],
    ) -> Vec<&'static str> {
        let name = canonical(name);
        let mut sections = self.sections.iter().filter(|s| s.metrics.matches(&name)).peekable();
        let from_default = sections.peek().is_none_or(|first| first.include.is_empty());
        let mut chosen = if from_default { default.to_vec() } else { Vec::new() };
        for section in sections {
            let known = default.iter().chain(optional);
            chosen.extend(known.filter(|name| any_matches(&section.include, name)));
            chosen.retain(|name| !any_matches(&section.exclude, name));
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}

fn any_matches(patterns: &[Pattern], attribute: &str) -> bool {
    let attribute = comparable(attribute);
    patterns.iter().any(|pattern| pattern.matches(&attribute))
}

/// A metric's name, however it is written: over OTLP or for Prometheus, with or without the suffixes
/// of a unit, or of a histogram's part.
pub fn canonical(metric: &str) -> String {
    let name = metric.replace('_', ".");
    let name = without_one(&name, &[".ratio", ".bucket", ".sum", ".count", ".total"]);
    without_one(name, &[".bytes", ".seconds"]).to_owned()
}

fn without_one<'a>(name: &'a str, suffixes: &[&str]) -> &'a str {
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// An attribute's name, or a pattern over it, so that dots and underscores are equal.
pub fn comparable(attribute: &str) -> String {
    attribute.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `*` at the end is all that these patterns need.
    fn pattern(text: &str) -> Pattern {
        let text = text.to_owned();
        Pattern::new(text.clone(), move |name| match text.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == text,
        })
    }

    fn select(sections: &[(&str, &[&str], &[&str])]) -> AttributeSelect {
        let patterns = |of: &[&str]| of.iter().map(|p| pattern(&comparable(p))).collect();
        let section = |(key, include, exclude): &(&str, &[&str], &[&str])| {
            let metrics = pattern(&canonical(key));
            let section =
                Section { metrics, include: patterns(include), exclude: patterns(exclude) };
            ((*key).to_owned(), section)
        };
        AttributeSelect::new(sections.iter().map(section).collect())
    }

    const METRIC: &str = "http.server.request.duration";

    fn chosen(sections: &[(&str, &[&str], &[&str])]) -> Vec<&'static str> {
        select(sections).choose(METRIC, &["http.route", "server.port"], &["url.path"])
    }

    #[test]
    fn without_a_section_there_are_the_defaults() {
        assert_eq!(chosen(&[]), ["http.route", "server.port"]);
        assert_eq!(chosen(&[("http.client*", &["url_path"], &[])]), ["http.route", "server.port"]);
    }

    #[test]
    fn an_include_replaces_the_defaults_and_names_only_what_is_known() {
        assert_eq!(chosen(&[(METRIC, &["url_path", "nonsense"], &[])]), ["url.path"]);
    }

    #[test]
    fn an_exclude_alone_takes_away_from_the_defaults() {
        assert_eq!(chosen(&[(METRIC, &[], &["server.*"])]), ["http.route"]);
    }

    #[test]
    fn sections_apply_from_the_most_general_and_only_the_first_starts_from_the_defaults() {
        let general: (&str, &[&str], &[&str]) = ("*", &[], &["http.route"]);
        assert_eq!(chosen(&[(METRIC, &["url.path"], &[]), general]), ["server.port", "url.path"]);
        let general: (&str, &[&str], &[&str]) = ("*", &["url.path"], &[]);
        assert_eq!(chosen(&[(METRIC, &[], &["nothing"]), general]), ["url.path"]);
    }

    #[test]
    fn a_resource_loses_what_is_excluded_or_not_included_by_its_own_section_alone() {
        let has = |sections: &[(&str, &[&str], &[&str])]| {
            let select = select(sections);
            ["host.id", "host.name", "service.name"].map(|name| select.resource().has(name))
        };
        assert_eq!(has(&[]), [true; 3]);
        assert_eq!(has(&[("*", &["nothing"], &["host_id"])]), [true; 3]);
        assert_eq!(has(&[("resource", &[], &["host.*"])]), [false, false, true]);
        assert_eq!(has(&[("resource", &["host*"], &["host.id"])]), [false, true, false]);
        assert_eq!(has(&[("resource", &["*"], &["service.name"])]), [true, true, false]);
    }

    #[test]
    fn a_metric_is_known_by_both_names_and_by_its_parts() {
        for name in [
            "http_server_request_duration_seconds_bucket",
            "http_server_request_duration_seconds_count",
            "http.server.request.duration",
            "http_server_request_duration",
        ] {
            assert_eq!(canonical(name), METRIC);
            assert_eq!(chosen(&[(name, &["url.path"], &[])]), ["url.path"]);
        }
        assert_eq!(canonical("obi.network.flow.bytes"), "obi.network.flow");
        assert_eq!(canonical("obi_network_flow_bytes_total"), "obi.network.flow");
    }
}
