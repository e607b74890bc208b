//! Flows and TCP statistics.

use super::super::key::{COUNT, DURATION, Key, Kind};

const PROTOCOLS: Kind = Kind::Words(&[
    "TCP", "UDP", "IP", "ICMP", "IGMP", "IPIP", "EGP", "PUP", "IDP", "TP", "DCCP", "IPV6", "RSVP",
    "GRE", "ESP", "AH", "MTP", "BEETPH", "ENCAP", "PIM", "COMP", "L2TP", "SCTP", "UDPLITE", "MPLS",
    "ETHERNET", "RAW",
]);

fn is_agent_interface(text: &str) -> bool {
    matches!(text, "external" | "local")
        || text.strip_prefix("name:").is_some_and(|name| !name.is_empty())
}

const INTERFACE: Kind =
    Kind::Such("external, local, or name: and an interface", is_agent_interface);
const IP_TYPE: Kind = Kind::Word(&["any", "ipv4", "ipv6"]);
const DNS_TYPE: Kind = Kind::Word(&["none", "local", "ebpf"]);

const DNS_TYPE_VARS: &[&str] =
    &["OTEL_EBPF_REVERSE_DNS_TYPE", "OTEL_EBPF_NETWORK_REVERSE_DNS_TYPE"];
const DNS_LEN_VARS: &[&str] =
    &["OTEL_EBPF_REVERSE_DNS_CACHE_LEN", "OTEL_EBPF_NETWORK_REVERSE_DNS_CACHE_LEN"];
const DNS_TTL_VARS: &[&str] =
    &["OTEL_EBPF_REVERSE_DNS_CACHE_TTL", "OTEL_EBPF_NETWORK_REVERSE_DNS_CACHE_TTL"];
const IPINFO_VARS: &[&str] =
    &["OTEL_EBPF_GEOIP_IPINFO_PATH", "OTEL_EBPF_NETWORK_GEOIP_IPINFO_PATH"];
const COUNTRY_VARS: &[&str] =
    &["OTEL_EBPF_GEOIP_MAXMIND_COUNTRY_PATH", "OTEL_EBPF_NETWORK_GEOIP_MAXMIND_COUNTRY_PATH"];
const ASN_VARS: &[&str] =
    &["OTEL_EBPF_GEOIP_MAXMIND_ASN_PATH", "OTEL_EBPF_NETWORK_GEOIP_MAXMIND_ASN_PATH"];
const GEOIP_LEN_VARS: &[&str] = &["OTEL_EBPF_GEOIP_CACHE_LEN", "OTEL_EBPF_NETWORK_GEOIP_CACHE_LEN"];
const GEOIP_TTL_VARS: &[&str] = &["OTEL_EBPF_GEOIP_CACHE_TTL", "OTEL_EBPF_NETWORK_GEOIP_CACHE_TTL"];

const DNS: &str =
    "Asks for names of addresses: the resolver (`local`) or by watching answers (`ebpf`).";
const DNS_LEN: &str = "Names that are remembered.";
const IPINFO: &str = "A database of ipinfo.io; goes before MaxMind's.";
const MAXMIND: &str = "A database of MaxMind; both are needed.";
const GEOIP_LEN: &str = "Addresses that are remembered.";
const HOW_LONG: &str = "How long.";
const CIDRS: &str = "Networks whose name, or notation, becomes src.cidr and dst.cidr.";
const AGENT_IP: &str = "obi.ip.";
const AGENT_IFACE: &str = "Interface whose address that is.";
const AGENT_TYPE: &str = "Which of its addresses.";

pub(super) const KEYS: &[Key] = &[
    Key::new("network.enable", Kind::Bool, "false", "Observes flows.")
        .vars(&["OTEL_EBPF_NETWORK_METRICS"])
        .deprecated("network in metrics.features"),
    Key::new(
        "network.source",
        Kind::Word(&["socket_filter", "tc"]),
        "socket_filter",
        "Where packets are seen.",
    )
    .vars(&["OTEL_EBPF_NETWORK_SOURCE"]),
    Key::new("network.agent_ip", Kind::Ip, "", AGENT_IP).vars(&["OTEL_EBPF_NETWORK_AGENT_IP"]),
    Key::new("network.agent_ip_iface", INTERFACE, "external", AGENT_IFACE)
        .vars(&["OTEL_EBPF_NETWORK_AGENT_IP_IFACE"]),
    Key::new("network.agent_ip_type", IP_TYPE, "any", AGENT_TYPE)
        .vars(&["OTEL_EBPF_NETWORK_AGENT_IP_TYPE"]),
    Key::new(
        "network.interfaces",
        Kind::List,
        "",
        "Interfaces that are observed, by name or `/regular expression/`; all when empty.",
    )
    .vars(&["OTEL_EBPF_NETWORK_INTERFACES"]),
    Key::new("network.exclude_interfaces", Kind::List, "[lo]", "Interfaces that are not.")
        .vars(&["OTEL_EBPF_NETWORK_EXCLUDE_INTERFACES"]),
    Key::new("network.protocols", PROTOCOLS, "", "Protocols that are kept; all when empty.")
        .vars(&["OTEL_EBPF_NETWORK_PROTOCOLS"]),
    Key::new(
        "network.exclude_protocols",
        PROTOCOLS,
        "",
        "Protocols that are not, where the former is empty.",
    )
    .vars(&["OTEL_EBPF_NETWORK_EXCLUDE_PROTOCOLS"]),
    Key::new(
        "network.cache_max_flows",
        COUNT,
        "5000",
        "Flows that are summed up at the same time.",
    )
    .vars(&["OTEL_EBPF_NETWORK_CACHE_MAX_FLOWS"]),
    Key::new("network.cache_active_timeout", DURATION, "5s", "How often they are told.")
        .vars(&["OTEL_EBPF_NETWORK_CACHE_ACTIVE_TIMEOUT"]),
    Key::new(
        "network.deduper",
        Kind::Word(&["first_come", "none"]),
        "first_come",
        "Counts a packet that passes several interfaces once.",
    )
    .vars(&["OTEL_EBPF_NETWORK_DEDUPER"]),
    Key::new(
        "network.deduper_fc_ttl",
        DURATION,
        "0s",
        "How long the first interface counts; 0 = twice `cache_active_timeout`.",
    )
    .vars(&["OTEL_EBPF_NETWORK_DEDUPER_FC_TTL"]),
    Key::new(
        "network.direction",
        Kind::Word(&["both", "ingress", "egress"]),
        "both",
        "Which way packets are seen, with `tc`.",
    )
    .vars(&["OTEL_EBPF_NETWORK_DIRECTION"]),
    Key::new("network.sampling", COUNT, "0", "One of so many packets is looked at; 0 = each.")
        .vars(&["OTEL_EBPF_NETWORK_SAMPLING"]),
    Key::new(
        "network.guess_ports",
        Kind::Word(&["disable", "ordinal"]),
        "disable",
        "Takes the higher port for the client's where nothing tells.",
    )
    .vars(&["OTEL_EBPF_NETWORK_GUESS_PORTS"]),
    Key::new(
        "network.listen_interfaces",
        Kind::Word(&["watch", "poll"]),
        "watch",
        "How new interfaces are found.",
    )
    .vars(&["OTEL_EBPF_NETWORK_LISTEN_INTERFACES"]),
    Key::new(
        "network.listen_poll_period",
        DURATION,
        "10s",
        "How often they are looked for, with `poll`.",
    )
    .vars(&["OTEL_EBPF_NETWORK_LISTEN_POLL_PERIOD"]),
    Key::new("network.print_flows", Kind::Bool, "false", "Prints flows on stdout.")
        .vars(&["OTEL_EBPF_NETWORK_PRINT_FLOWS"]),
    Key::new("network.cidrs", Kind::Cidrs, "", CIDRS).vars(&["OTEL_EBPF_NETWORK_CIDRS"]),
    Key::new("network.reverse_dns.type", DNS_TYPE, "none", DNS).vars(DNS_TYPE_VARS).expanded(),
    Key::new("network.reverse_dns.cache_len", COUNT, "256", DNS_LEN).vars(DNS_LEN_VARS).expanded(),
    Key::new("network.reverse_dns.cache_expiry", DURATION, "1h", HOW_LONG)
        .vars(DNS_TTL_VARS)
        .expanded(),
    Key::new("network.geo_ip.ipinfo.path", Kind::Text, "", IPINFO).vars(IPINFO_VARS).expanded(),
    Key::new("network.geo_ip.maxmind.country_path", Kind::Text, "", MAXMIND)
        .vars(COUNTRY_VARS)
        .expanded(),
    Key::new("network.geo_ip.maxmind.asn_path", Kind::Text, "", MAXMIND).vars(ASN_VARS).expanded(),
    Key::new("network.geo_ip.cache_len", COUNT, "512", GEOIP_LEN).vars(GEOIP_LEN_VARS).expanded(),
    Key::new("network.geo_ip.cache_expiry", DURATION, "1h", HOW_LONG)
        .vars(GEOIP_TTL_VARS)
        .expanded(),
    Key::new("stats.agent_ip", Kind::Ip, "", AGENT_IP).vars(&["OTEL_EBPF_STATS_AGENT_IP"]),
    Key::new("stats.agent_ip_iface", INTERFACE, "external", AGENT_IFACE)
        .vars(&["OTEL_EBPF_STATS_AGENT_IP_IFACE"]),
    Key::new("stats.agent_ip_type", IP_TYPE, "any", AGENT_TYPE)
        .vars(&["OTEL_EBPF_STATS_AGENT_IP_TYPE"]),
    Key::new("stats.cidrs", Kind::Cidrs, "", CIDRS).vars(&["OTEL_EBPF_STATS_CIDRS"]),
    Key::new("stats.print_stats", Kind::Bool, "false", "Prints statistics on stdout.")
        .vars(&["OTEL_EBPF_STATS_PRINT_STATS"]),
    Key::new("stats.reverse_dns.type", DNS_TYPE, "none", DNS).vars(DNS_TYPE_VARS).expanded(),
    Key::new("stats.reverse_dns.cache_len", COUNT, "256", DNS_LEN).vars(DNS_LEN_VARS).expanded(),
    Key::new("stats.reverse_dns.cache_expiry", DURATION, "1h", HOW_LONG)
        .vars(DNS_TTL_VARS)
        .expanded(),
    Key::new("stats.geo_ip.ipinfo.path", Kind::Text, "", IPINFO).vars(IPINFO_VARS).expanded(),
    Key::new("stats.geo_ip.maxmind.country_path", Kind::Text, "", MAXMIND)
        .vars(COUNTRY_VARS)
        .expanded(),
    Key::new("stats.geo_ip.maxmind.asn_path", Kind::Text, "", MAXMIND).vars(ASN_VARS).expanded(),
    Key::new("stats.geo_ip.cache_len", COUNT, "512", GEOIP_LEN).vars(GEOIP_LEN_VARS).expanded(),
    Key::new("stats.geo_ip.cache_expiry", DURATION, "1h", HOW_LONG).vars(GEOIP_TTL_VARS).expanded(),
];
