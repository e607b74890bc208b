//! Language runtimes and processes.

use super::{COUNTER, Feature, GAUGE, Limits, Metric, UP_DOWN, histogram};

const JVM: &[&str] = &["jvm.memory.pool.name", "jvm.memory.type"];
const JVM_LABELS: &[&str] = &[
    "service_name",
    "service_namespace",
    "service_instance_id",
    "jvm_memory_type",
    "jvm_memory_pool_name",
];
const NODE: &[&str] = &["service_name", "service_namespace", "service_instance_id"];
const TARGET: &[&str] = &["*target_info"];
const COMMAND: &[&str] = &[
    "process.command_args",
    "process.command_line",
    "process.executable.name",
    "process.executable.path",
];

/// Processor time that the process used.
pub const PROCESS_CPU_TIME: Metric = Metric::new(
    "process.cpu.time",
    "process_cpu_time_seconds_total",
    COUNTER,
    "s",
    Feature::Process,
)
.selected(&["cpu.mode"], COMMAND)
.help("Processor time that the process used.")
.missing("what processes use");
/// Processor time that the process used, as a part of what it could.
pub const PROCESS_CPU_UTILIZATION: Metric = Metric::new(
    "process.cpu.utilization",
    "process_cpu_utilization_ratio",
    GAUGE,
    "1",
    Feature::Process,
)
.selected(&["cpu.mode"], COMMAND)
.help("Processor time that the process used, as a part of what it could.")
.missing("what processes use");
/// Memory of the process that is resident.
pub const PROCESS_MEMORY: Metric = Metric::new(
    "process.memory.usage",
    "process_memory_usage_bytes",
    UP_DOWN,
    "By",
    Feature::Process,
)
.selected(&[], COMMAND)
.help("Memory of the process that is resident.")
.missing("what processes use");
/// Address space of the process.
pub const PROCESS_MEMORY_VIRTUAL: Metric = Metric::new(
    "process.memory.virtual",
    "process_memory_virtual_bytes",
    UP_DOWN,
    "By",
    Feature::Process,
)
.selected(&[], COMMAND)
.help("Address space of the process.")
.missing("what processes use");
/// Bytes that the process read from storage or wrote to it.
pub const PROCESS_DISK_IO: Metric =
    Metric::new("process.disk.io", "process_disk_io_bytes_total", COUNTER, "By", Feature::Process)
        .selected(&["disk.io.direction"], COMMAND)
        .help("Bytes that the process read from storage or wrote to it.")
        .missing("what processes use");
/// Bytes that the process sent or received.
pub const PROCESS_NETWORK_IO: Metric = Metric::new(
    "process.network.io",
    "process_network_io_bytes_total",
    COUNTER,
    "By",
    Feature::Process,
)
.selected(&["network.io.direction"], COMMAND)
.help("Bytes that the process sent or received.")
.missing("what processes use");
pub(super) const ROWS: &[Metric] = &[
    Metric::new("go.memory.limit", "go_memory_limit_bytes", UP_DOWN, "By", Feature::Runtime)
        .labels(TARGET)
        .missing("the Go runtime"),
    Metric::new("go.memory.gc.goal", "go_memory_gc_goal_bytes", UP_DOWN, "By", Feature::Runtime)
        .labels(TARGET)
        .missing("the Go runtime"),
    Metric::new(
        "go.memory.gc.cycles",
        "go_memory_gc_cycles_total",
        COUNTER,
        "{gc_cycle}",
        Feature::Runtime,
    )
    .labels(TARGET)
    .missing("the Go runtime"),
    Metric::new("go.memory.used", "go_memory_used_bytes", UP_DOWN, "By", Feature::Runtime)
        .with(&["go.memory.type"])
        .labels(&["*target_info", "go_memory_type"])
        .missing("the Go runtime"),
    Metric::new(
        "go.memory.allocated",
        "go_memory_allocated_bytes_total",
        COUNTER,
        "By",
        Feature::Runtime,
    )
    .labels(TARGET)
    .missing("the Go runtime"),
    Metric::new(
        "go.memory.allocations",
        "go_memory_allocations_total",
        COUNTER,
        "{allocation}",
        Feature::Runtime,
    )
    .labels(TARGET)
    .missing("the Go runtime"),
    Metric::new("go.cpu.time", "go_cpu_time_seconds_total", COUNTER, "s", Feature::Runtime)
        .with(&["go.cpu.detailed_state", "go.cpu.state"])
        .labels(&["*target_info", "go_cpu_state", "go_cpu_detailed_state"])
        .missing("the Go runtime"),
    Metric::new(
        "go.goroutine.count",
        "go_goroutine_count",
        UP_DOWN,
        "{goroutine}",
        Feature::Runtime,
    )
    .labels(TARGET)
    .missing("the Go runtime"),
    Metric::new("go.processor.limit", "go_processor_limit", UP_DOWN, "{thread}", Feature::Runtime)
        .labels(TARGET)
        .missing("the Go runtime"),
    Metric::new("go.config.gogc", "go_config_gogc_percent", UP_DOWN, "%", Feature::Runtime)
        .labels(TARGET)
        .missing("the Go runtime"),
    Metric::new(
        "go.memory.gc.pause.duration",
        "go_memory_gc_pause_duration_seconds",
        histogram(Limits::GoTimes),
        "s",
        Feature::Runtime,
    )
    .labels(TARGET)
    .missing("the Go runtime"),
    Metric::new(
        "go.schedule.duration",
        "go_schedule_duration_seconds",
        histogram(Limits::GoTimes),
        "s",
        Feature::Runtime,
    )
    .labels(TARGET)
    .missing("the Go runtime"),
    Metric::new("jvm.memory.used", "jvm_memory_used_bytes", UP_DOWN, "By", Feature::Runtime)
        .with(JVM)
        .labels(JVM_LABELS)
        .missing("the JVM"),
    Metric::new(
        "jvm.memory.committed",
        "jvm_memory_committed_bytes",
        UP_DOWN,
        "By",
        Feature::Runtime,
    )
    .with(JVM)
    .labels(JVM_LABELS)
    .missing("the JVM"),
    Metric::new("jvm.memory.limit", "jvm_memory_limit_bytes", UP_DOWN, "By", Feature::Runtime)
        .with(JVM)
        .labels(JVM_LABELS)
        .missing("the JVM"),
    Metric::new(
        "jvm.memory.used_after_last_gc",
        "jvm_memory_used_after_last_gc_bytes",
        UP_DOWN,
        "By",
        Feature::Runtime,
    )
    .with(JVM)
    .labels(JVM_LABELS)
    .missing("the JVM"),
    Metric::new(
        "nodejs.eventloop.time",
        "nodejs_eventloop_time_seconds_total",
        COUNTER,
        "s",
        Feature::Runtime,
    )
    .with(&["nodejs.eventloop.state"])
    .labels(&["service_name", "service_namespace", "service_instance_id", "nodejs_eventloop_state"])
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.utilization",
        "nodejs_eventloop_utilization_ratio",
        GAUGE,
        "1",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.delay.min",
        "nodejs_eventloop_delay_min_seconds",
        GAUGE,
        "s",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.delay.max",
        "nodejs_eventloop_delay_max_seconds",
        GAUGE,
        "s",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.delay.mean",
        "nodejs_eventloop_delay_mean_seconds",
        GAUGE,
        "s",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.delay.stddev",
        "nodejs_eventloop_delay_stddev_seconds",
        GAUGE,
        "s",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.delay.p50",
        "nodejs_eventloop_delay_p50_seconds",
        GAUGE,
        "s",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.delay.p90",
        "nodejs_eventloop_delay_p90_seconds",
        GAUGE,
        "s",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    Metric::new(
        "nodejs.eventloop.delay.p99",
        "nodejs_eventloop_delay_p99_seconds",
        GAUGE,
        "s",
        Feature::Runtime,
    )
    .labels(NODE)
    .missing("Node.js"),
    PROCESS_CPU_TIME,
    PROCESS_CPU_UTILIZATION,
    PROCESS_MEMORY,
    PROCESS_MEMORY_VIRTUAL,
    PROCESS_DISK_IO,
    PROCESS_NETWORK_IO,
];
