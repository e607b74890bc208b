//! The kernel side.

use super::super::key::{COUNT, DURATION, Key, Kind, POSITIVE, SOME_DURATION};

pub(in crate::config) const FRONT_END: Key = Key::new(
    "ebpf.front_end",
    Kind::Word(&["auto", "tracepoint", "fentry", "kprobe"]),
    "auto",
    "Which hooks see the data; `auto` takes the first that works.",
)
.vars(&["OTEL_EBPF_BPF_FRONT_END"])
.acted();

/// What propagates trace context.
fn is_propagation(text: &str) -> bool {
    match text {
        "" | "disabled" | "all" => true,
        list => list.split(',').all(|word| ["headers", "tcp", "ip"].contains(&word.trim())),
    }
}

const CAPTURE: Kind = Kind::Int(0, 65_536);

pub(super) const KEYS: &[Key] = &[
    FRONT_END,
    Key::new("ebpf.bpf_debug", Kind::Bool, "false", "Logs what the eBPF programs print.")
        .vars(&["OTEL_EBPF_BPF_DEBUG"]),
    Key::new("ebpf.protocol_debug_print", Kind::Bool, "false", "Logs what the protocol parsers see.")
        .vars(&["OTEL_EBPF_PROTOCOL_DEBUG_PRINT"]),
    Key::new("ebpf.wakeup_len", COUNT, "500", "Records in the ring at which its reader is woken; 0 = each.")
        .vars(&["OTEL_EBPF_BPF_WAKEUP_LEN"]),
    Key::new("ebpf.stats_wakeup_data_bytes", COUNT, "4096", "Bytes in the ring of statistics at which its reader is woken; 0 = each record.")
        .vars(&["OTEL_EBPF_STATS_WAKEUP_DATA_BYTES"]),
    Key::new("ebpf.batch_length", POSITIVE, "100", "Records that go through the pipeline together.")
        .vars(&["OTEL_EBPF_BPF_BATCH_LENGTH"]),
    Key::new("ebpf.batch_timeout", DURATION, "1s", "How long a record waits for others.")
        .vars(&["OTEL_EBPF_BPF_BATCH_TIMEOUT"]),
    Key::new("ebpf.track_request_headers", Kind::Bool, "false", "Reads `traceparent` of requests that come in.")
        .vars(&["OTEL_EBPF_BPF_TRACK_REQUEST_HEADERS"]),
    Key::new("ebpf.http_request_timeout", DURATION, "0s", "How long an HTTP request waits for its answer before it counts as status 408; 0 = for ever.")
        .vars(&["OTEL_EBPF_BPF_HTTP_REQUEST_TIMEOUT"]),
    Key::new("ebpf.go_http_client_buffer_timeout", DURATION, "1s", "How long a call of Go's HTTP client waits for its bytes; 0 = not at all.")
        .vars(&["OTEL_EBPF_BPF_GO_HTTP_CLIENT_BUFFER_TIMEOUT"]),
    Key::new(
        "ebpf.context_propagation",
        Kind::Such("disabled, all, headers, tcp, or headers,tcp", is_propagation),
        "disabled",
        "How trace context is passed on: in HTTP headers, in a TCP option, or both (`all`).",
    )
    .vars(&["OTEL_EBPF_BPF_CONTEXT_PROPAGATION"]),
    Key::new("ebpf.override_bpfloop_enabled", Kind::Bool, "false", "Takes it that the kernel has bpf_loop.")
        .vars(&["OTEL_EBPF_OVERRIDE_BPF_LOOP_ENABLED"]),
    Key::new("ebpf.traffic_control_backend", Kind::Word(&["auto", "tc", "tcx"]), "auto", "How programs are attached to network interfaces.")
        .vars(&["OTEL_EBPF_BPF_TC_BACKEND"]),
    Key::new("ebpf.disable_black_box_cp", Kind::Bool, "false", "For tests: calls on the same host are not linked.")
        .vars(&["OTEL_EBPF_BPF_DISABLE_BLACK_BOX_CP"]),
    Key::new("ebpf.high_request_volume", Kind::Bool, "false", "A span is told as soon as its answer begins.")
        .vars(&["OTEL_EBPF_BPF_HIGH_REQUEST_VOLUME"]),
    Key::new("ebpf.heuristic_sql_detect", Kind::Bool, "false", "Finds SQL in protocols that are not known.")
        .vars(&["OTEL_EBPF_HEURISTIC_SQL_DETECT"]),
    Key::new("ebpf.instrument_cuda", Kind::Word(&["auto", "on", "off"]), "auto", "Observes CUDA; `auto` = where nvidia-smi is installed.")
        .vars(&["OTEL_EBPF_INSTRUMENT_CUDA"]),
    Key::new("ebpf.max_transaction_time", SOME_DURATION, "5m", "How long a request may be the parent of new calls.")
        .vars(&["OTEL_EBPF_BPF_MAX_TRANSACTION_TIME"]),
    Key::new("ebpf.dns_request_timeout", SOME_DURATION, "5s", "After how long a DNS query without answer has failed.")
        .vars(&["OTEL_EBPF_BPF_DNS_REQUEST_TIMEOUT"]),
    Key::new("ebpf.bpf_fs_path", Kind::Text, "/sys/fs/bpf/", "Where the BPF file system is mounted.")
        .vars(&["OTEL_EBPF_BPF_FS_PATH"]),
    Key::new("ebpf.force_bpf_map_reader", Kind::AnyCase(&["auto", "batch", "legacy", ""]), "auto", "How maps of flows are read.")
        .vars(&["OTEL_EBPF_FORCE_BPF_MAP_READER"]),
    Key::new("ebpf.maps_config.global_scale_factor", Kind::Int(-3, 3), "0", "Sizes of the BPF maps, times two to this power."),
    Key::new("ebpf.redis_db_cache.enabled", Kind::Bool, "false", "Remembers which Redis database a connection uses.")
        .vars(&["OTEL_EBPF_BPF_REDIS_DB_CACHE_ENABLED"]),
    Key::new("ebpf.redis_db_cache.max_size", POSITIVE, "1000", "Of how many connections.")
        .vars(&["OTEL_EBPF_BPF_REDIS_DB_CACHE_MAX_SIZE"]),
    Key::new("ebpf.mysql_prepared_statements_cache_size", POSITIVE, "1024", "MySQL statements that are remembered.")
        .vars(&["OTEL_EBPF_BPF_MYSQL_PREPARED_STATEMENTS_CACHE_SIZE"]),
    Key::new("ebpf.postgres_prepared_statements_cache_size", POSITIVE, "1024", "PostgreSQL statements that are remembered.")
        .vars(&["OTEL_EBPF_BPF_POSTGRES_PREPARED_STATEMENTS_CACHE_SIZE"]),
    Key::new("ebpf.mssql_prepared_statements_cache_size", POSITIVE, "1024", "SQL Server statements that are remembered.")
        .vars(&["OTEL_EBPF_BPF_MSSQL_PREPARED_STATEMENTS_CACHE_SIZE"]),
    Key::new("ebpf.mongo_requests_cache_size", POSITIVE, "1024", "MongoDB requests that may be under way.")
        .vars(&["OTEL_EBPF_BPF_MONGO_REQUESTS_CACHE_SIZE"]),
    Key::new("ebpf.kafka_topic_uuid_cache_size", POSITIVE, "1024", "Kafka topics whose names are remembered.")
        .vars(&["OTEL_KAFKA_TOPIC_UUID_CACHE_SIZE"]),
    Key::new("ebpf.couchbase_db_cache_size", POSITIVE, "1024", "Couchbase connections whose bucket is remembered.")
        .vars(&["OTEL_EBPF_COUCHBASE_DB_CACHE_SIZE"]),
    Key::new("ebpf.buffer_sizes.http", Kind::Int(0, 262_144), "0", "Bytes that are captured of an HTTP body, each way; 0 = none.")
        .vars(&["OTEL_EBPF_BPF_BUFFER_SIZE_HTTP"]),
    Key::new("ebpf.buffer_sizes.mysql", CAPTURE, "0", "The same of a MySQL message.")
        .vars(&["OTEL_EBPF_BPF_BUFFER_SIZE_MYSQL"]),
    Key::new("ebpf.buffer_sizes.postgres", CAPTURE, "0", "The same of a PostgreSQL message.")
        .vars(&["OTEL_EBPF_BPF_BUFFER_SIZE_POSTGRES"]),
    Key::new("ebpf.buffer_sizes.mssql", CAPTURE, "0", "The same of a SQL Server message.")
        .vars(&["OTEL_EBPF_BPF_BUFFER_SIZE_MSSQL"]),
    Key::new("ebpf.buffer_sizes.kafka", CAPTURE, "0", "The same of a Kafka message.")
        .vars(&["OTEL_EBPF_BPF_BUFFER_SIZE_KAFKA"]),
    Key::new("ebpf.buffer_sizes.tcp", CAPTURE, "0", "The same of any other protocol.")
        .vars(&["OTEL_EBPF_BPF_BUFFER_SIZE_TCP"]),
];
