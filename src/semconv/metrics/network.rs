//! Flows and TCP statistics.

use super::{COUNTER, Feature, Limits, Metric, histogram};

const ENDS: &[&str] = &[
    "client.port",
    "dst.address",
    "dst.name",
    "dst.port",
    "dst.zone",
    "iface",
    "iface.direction",
    "network.protocol.name",
    "network.type",
    "obi.ip",
    "server.port",
    "src.address",
    "src.name",
    "src.port",
    "src.zone",
    "transport",
];
const ADDRESSES: &[&str] = &["dst.address", "src.address"];

pub(super) const ROWS: &[Metric] = &[
    Metric::new(
        "obi.network.flow.bytes",
        "obi_network_flow_bytes_total",
        COUNTER,
        "{bytes}",
        Feature::Network,
    )
    .selected(&["direction"], ENDS)
    .missing("flows"),
    Metric::new(
        "obi.network.flow.packets",
        "obi_network_flow_packets_total",
        COUNTER,
        "{packets}",
        Feature::NetworkPackets,
    )
    .selected(&["direction"], ENDS)
    .missing("flows"),
    Metric::new(
        "obi.network.inter.zone.bytes",
        "obi_network_inter_zone_bytes_total",
        COUNTER,
        "{bytes}",
        Feature::NetworkZones,
    )
    .selected(
        &["dst.zone", "k8s.cluster.name", "src.zone"],
        &[
            "client.port",
            "direction",
            "dst.address",
            "dst.name",
            "dst.port",
            "iface",
            "iface.direction",
            "network.protocol.name",
            "network.type",
            "obi.ip",
            "server.port",
            "src.address",
            "src.name",
            "src.port",
            "transport",
        ],
    )
    .missing("flows"),
    Metric::new(
        "obi.stat.tcp.rtt",
        "obi_stat_tcp_rtt_seconds",
        histogram(Limits::RoundTrips),
        "s",
        Feature::StatsRoundTrips,
    )
    .selected(
        ADDRESSES,
        &[
            "dst.name",
            "dst.port",
            "dst.zone",
            "network.tcp.handshake.role",
            "obi.ip",
            "src.name",
            "src.port",
            "src.zone",
        ],
    )
    .missing("TCP statistics"),
    Metric::new(
        "obi.stat.tcp.failed.connections",
        "obi_stat_tcp_failed_connections_total",
        COUNTER,
        "",
        Feature::StatsFailed,
    )
    .selected(
        ADDRESSES,
        &[
            "dst.name",
            "dst.port",
            "dst.zone",
            "network.tcp.handshake.role",
            "obi.ip",
            "reason",
            "src.name",
            "src.port",
            "src.zone",
        ],
    )
    .missing("TCP statistics"),
    Metric::new(
        "obi.stat.tcp.retransmits",
        "obi_stat_tcp_retransmits_total",
        COUNTER,
        "",
        Feature::StatsRetransmits,
    )
    .selected(
        ADDRESSES,
        &["dst.name", "dst.port", "dst.zone", "obi.ip", "src.name", "src.port", "src.zone"],
    )
    .missing("TCP statistics"),
    Metric::new("obi.stat.tcp.io", "obi_stat_tcp_io_bytes_total", COUNTER, "By", Feature::StatsIo)
        .selected(
            &["dst.address", "network.io.direction", "src.address"],
            &["dst.name", "dst.port", "dst.zone", "obi.ip", "src.name", "src.port", "src.zone"],
        )
        .missing("TCP statistics"),
];
