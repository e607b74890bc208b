//! What spans and metrics say of where they come from.

use super::super::key::{DURATION, Key, Kind, SOME_DURATION};

const SELECTED: Kind = Kind::Fields(&[
    Key::new("include", Kind::List, "", "Attributes that are there, as globs."),
    Key::new("exclude", Kind::List, "", "Attributes that are not, as globs."),
]);

fn is_informers(text: &str) -> bool {
    ["node", "nodes", "service", "services"].contains(&text.to_lowercase().as_str())
}

fn is_no_directory(path: &str) -> bool {
    !std::path::Path::new(path).is_dir()
}

pub(super) const KEYS: &[Key] = &[
    Key::new("attributes.instance_id.dns", Kind::Bool, "true", "Asks DNS for the host's full name.")
        .vars(&["OTEL_EBPF_HOSTNAME_DNS_RESOLUTION"]),
    Key::new("attributes.instance_id.override_hostname", Kind::Text, "", "The host's name in service.instance.id.")
        .vars(&["OTEL_EBPF_HOSTNAME"]),
    Key::new("attributes.host_id.override", Kind::Text, "", "host.id.")
        .vars(&["OTEL_EBPF_HOST_ID"]),
    Key::new("attributes.metadata_retry.timeout", DURATION, "30s", "How long metadata of node and cloud is asked for.")
        .vars(&["OTEL_EBPF_METADATA_RETRY_TIMEOUT"]),
    Key::new("attributes.metadata_retry.start_interval", DURATION, "500ms", "How long to wait before the first retry.")
        .vars(&["OTEL_EBPF_METADATA_RETRY_START_INTERVAL"]),
    Key::new("attributes.metadata_retry.max_interval", DURATION, "5s", "How long to wait before a retry at most.")
        .vars(&["OTEL_EBPF_METADATA_RETRY_MAX_INTERVAL"]),
    Key::new("attributes.rename_unresolved_hosts", Kind::Text, "unresolved", "What a host without a name is called; empty leaves it as it is.")
        .vars(&["OTEL_EBPF_RENAME_UNRESOLVED_HOSTS"])
        .acted(),
    Key::new("attributes.rename_unresolved_hosts_outgoing", Kind::Text, "outgoing", "The same for a host that is called.")
        .vars(&["OTEL_EBPF_RENAME_UNRESOLVED_HOSTS_OUTGOING"])
        .acted(),
    Key::new("attributes.rename_unresolved_hosts_incoming", Kind::Text, "incoming", "The same for a host that calls.")
        .vars(&["OTEL_EBPF_RENAME_UNRESOLVED_HOSTS_INCOMING"])
        .acted(),
    Key::new("attributes.metric_span_names_limit", Kind::Int(i64::MIN, i64::MAX), "100", "Span names that a service's span metrics have before the rest is AGGREGATED; 0 or less = no limit.")
        .vars(&["OTEL_EBPF_METRIC_SPAN_NAMES_LIMIT"])
        .acted(),
    Key::new("attributes.sensitive_query_params.add", Kind::List, "", "Query parameters whose values are hidden besides those built in.")
        .vars(&["OTEL_EBPF_SENSITIVE_QUERY_PARAMS_ADD"])
        .acted(),
    Key::new("attributes.sensitive_query_params.remove", Kind::List, "", "Built-in ones whose values are shown.")
        .vars(&["OTEL_EBPF_SENSITIVE_QUERY_PARAMS_REMOVE"])
        .acted(),
    Key::new("attributes.extra_group_attributes", Kind::Map(&Kind::List), "", "Attributes that a group has besides; the only group is `k8s_app_meta`."),
    Key::new("attributes.select", Kind::Map(&SELECTED), "", "Attributes by metric (a name or a glob), or of `traces` or `resource`.")
        .acted(),
    Key::new("attributes.kubernetes.enable", Kind::Word(&["true", "false", "autodetect"]), "autodetect", "Asks Kubernetes for metadata; `autodetect` = where a configuration for it is found.")
        .vars(&["OTEL_EBPF_KUBE_METADATA_ENABLE"]),
    Key::new("attributes.kubernetes.cluster_name", Kind::Text, "", "k8s.cluster.name; found out when absent.")
        .vars(&["OTEL_EBPF_KUBE_CLUSTER_NAME"]),
    Key::new("attributes.kubernetes.kubeconfig_path", Kind::Such("a file", is_no_directory), "", "Where the configuration for Kubernetes is; $HOME/.kube/config or the pod's own when absent.")
        .vars(&["KUBECONFIG"]),
    Key::new("attributes.kubernetes.informers_sync_timeout", SOME_DURATION, "30s", "How long the start waits for metadata.")
        .vars(&["OTEL_EBPF_KUBE_INFORMERS_SYNC_TIMEOUT"]),
    Key::new("attributes.kubernetes.reconnect_initial_interval", SOME_DURATION, "5s", "How long to wait before the first new connection.")
        .vars(&["OTEL_EBPF_KUBE_RECONNECT_INITIAL_INTERVAL"]),
    Key::new("attributes.kubernetes.informers_resync_period", DURATION, "30m", "How often everything is looked at again.")
        .vars(&["OTEL_EBPF_KUBE_INFORMERS_RESYNC_PERIOD"]),
    Key::new("attributes.kubernetes.drop_external", Kind::Bool, "false", "Drops flows to and from what Kubernetes does not know.")
        .vars(&["OTEL_EBPF_NETWORK_DROP_EXTERNAL"]),
    Key::new("attributes.kubernetes.disable_informers", Kind::SomeOf("node or service", is_informers), "", "Resources that are not asked for.")
        .vars(&["OTEL_EBPF_KUBE_DISABLE_INFORMERS"]),
    Key::new("attributes.kubernetes.meta_cache_address", Kind::Text, "", "host:port of a cache that is asked instead of the API server.")
        .vars(&["OTEL_EBPF_KUBE_META_CACHE_ADDRESS"]),
    Key::new("attributes.kubernetes.meta_restrict_local_node", Kind::Bool, "false", "Asks for pods of this node only.")
        .vars(&["OTEL_EBPF_KUBE_META_RESTRICT_LOCAL_NODE"]),
    Key::new("attributes.kubernetes.meta_source_labels.service_name", Kind::Text, "", "Label that holds service.name.")
        .vars(&["OTEL_EBPF_KUBE_META_SOURCE_LABEL_SERVICE_NAME"])
        .deprecated("attributes.kubernetes.resource_labels"),
    Key::new("attributes.kubernetes.meta_source_labels.service_namespace", Kind::Text, "", "Label that holds service.namespace.")
        .vars(&["OTEL_EBPF_KUBE_META_SOURCE_LABEL_SERVICE_NAMESPACE"])
        .deprecated("attributes.kubernetes.resource_labels"),
    Key::new(
        "attributes.kubernetes.resource_labels",
        Kind::Map(&Kind::List),
        "{service.name: [app.kubernetes.io/instance, app.kubernetes.io/name], \
          service.namespace: [app.kubernetes.io/part-of], \
          service.version: [app.kubernetes.io/version]}",
        "Labels that hold a resource attribute; the first that a pod has counts.",
    ),
    Key::new("attributes.kubernetes.service_name_template", Kind::Text, "", "A Go template that makes service.name out of `.Meta` and `.ContainerName`.")
        .vars(&["OTEL_EBPF_SERVICE_NAME_TEMPLATE"]),
];
