//! Requests, errors and durations of what applications speak.

use super::{COUNTER, DURATIONS, Feature, Limits, Metric, histogram};

const HTTP: &[&str] = &[
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "server.address",
    "server.port",
    "service.name",
    "service.namespace",
    "url.scheme",
];
const MESSAGING: &[&str] = &[
    "messaging.destination.name",
    "messaging.operation.name",
    "messaging.system",
    "server.address",
    "service.name",
    "service.namespace",
];
const SERVICE: &[&str] = &["service.name", "service.namespace"];

/// Duration of HTTP requests that the service answered.
pub const HTTP_SERVER_DURATION: Metric = Metric::new(
    "http.server.request.duration",
    "http_server_request_duration_seconds",
    DURATIONS,
    "s",
    Feature::Application,
)
.selected(HTTP, &["client.address", "url.path"])
.help("Duration of HTTP requests that the service answered.");
/// Size of the bodies of HTTP requests that the service answered.
pub const HTTP_SERVER_REQUEST_SIZE: Metric = Metric::new(
    "http.server.request.body.size",
    "http_server_request_body_size_bytes",
    histogram(Limits::RequestSizes),
    "By",
    Feature::Application,
)
.selected(HTTP, &["client.address", "url.path"])
.help("Size of the bodies of HTTP requests that the service answered.");
/// Size of the bodies of HTTP responses that the service gave.
pub const HTTP_SERVER_RESPONSE_SIZE: Metric = Metric::new(
    "http.server.response.body.size",
    "http_server_response_body_size_bytes",
    histogram(Limits::ResponseSizes),
    "By",
    Feature::Application,
)
.selected(HTTP, &["client.address", "url.path"])
.help("Size of the bodies of HTTP responses that the service gave.");
/// Duration of HTTP requests that the service made.
pub const HTTP_CLIENT_DURATION: Metric = Metric::new(
    "http.client.request.duration",
    "http_client_request_duration_seconds",
    DURATIONS,
    "s",
    Feature::Application,
)
.selected(HTTP, &["url.path"])
.help("Duration of HTTP requests that the service made.");
/// Size of the bodies of HTTP requests that the service made.
pub const HTTP_CLIENT_REQUEST_SIZE: Metric = Metric::new(
    "http.client.request.body.size",
    "http_client_request_body_size_bytes",
    histogram(Limits::RequestSizes),
    "By",
    Feature::Application,
)
.selected(HTTP, &["url.path"])
.help("Size of the bodies of HTTP requests that the service made.");
/// Size of the bodies of HTTP responses that the service got.
pub const HTTP_CLIENT_RESPONSE_SIZE: Metric = Metric::new(
    "http.client.response.body.size",
    "http_client_response_body_size_bytes",
    histogram(Limits::ResponseSizes),
    "By",
    Feature::Application,
)
.selected(HTTP, &["url.path"])
.help("Size of the bodies of HTTP responses that the service got.");
pub(super) const ROWS: &[Metric] = &[
    HTTP_SERVER_DURATION,
    HTTP_SERVER_REQUEST_SIZE,
    HTTP_SERVER_RESPONSE_SIZE,
    HTTP_CLIENT_DURATION,
    HTTP_CLIENT_REQUEST_SIZE,
    HTTP_CLIENT_RESPONSE_SIZE,
    Metric::new(
        "rpc.server.call.duration",
        "rpc_server_call_duration_seconds",
        DURATIONS,
        "s",
        Feature::Application,
    )
    .selected(
        &[
            "rpc.method",
            "rpc.response.status_code",
            "rpc.system.name",
            "server.address",
            "server.port",
            "service.name",
            "service.namespace",
        ],
        &["client.address"],
    )
    .missing("gRPC"),
    Metric::new(
        "rpc.client.call.duration",
        "rpc_client_call_duration_seconds",
        DURATIONS,
        "s",
        Feature::Application,
    )
    .selected(
        &[
            "rpc.method",
            "rpc.response.status_code",
            "rpc.system.name",
            "server.address",
            "service.name",
            "service.namespace",
        ],
        &[],
    )
    .missing("gRPC"),
    Metric::new(
        "db.client.operation.duration",
        "db_client_operation_duration_seconds",
        DURATIONS,
        "s",
        Feature::Application,
    )
    .selected(
        &[
            "db.operation.name",
            "db.system.name",
            "error.type",
            "server.address",
            "service.name",
            "service.namespace",
        ],
        &["db.collection.name"],
    )
    .missing("database protocols"),
    Metric::new(
        "db.server.operation.duration",
        "db_server_operation_duration_seconds",
        DURATIONS,
        "s",
        Feature::Application,
    )
    .selected(
        &[
            "db.operation.name",
            "db.system.name",
            "error.type",
            "server.address",
            "server.port",
            "service.name",
            "service.namespace",
        ],
        &["client.address", "db.collection.name"],
    )
    .missing("database protocols"),
    Metric::new(
        "messaging.client.operation.duration",
        "messaging_client_operation_duration_seconds",
        DURATIONS,
        "s",
        Feature::Application,
    )
    .selected(MESSAGING, &[])
    .missing("messaging protocols"),
    Metric::new(
        "messaging.process.duration",
        "messaging_process_duration_seconds",
        DURATIONS,
        "s",
        Feature::Application,
    )
    .selected(MESSAGING, &[])
    .missing("messaging protocols"),
    Metric::new(
        "gpu.cuda.kernel.launch.calls",
        "gpu_cuda_kernel_launch_calls_total",
        COUNTER,
        "",
        Feature::Application,
    )
    .selected(SERVICE, &[])
    .missing("CUDA"),
    Metric::new(
        "gpu.cuda.graph.launch.calls",
        "gpu_cuda_graph_launch_calls_total",
        COUNTER,
        "",
        Feature::Application,
    )
    .selected(SERVICE, &[])
    .missing("CUDA"),
    Metric::new(
        "gpu.cuda.memory.allocations",
        "gpu_cuda_memory_allocations_bytes_total",
        COUNTER,
        "By",
        Feature::Application,
    )
    .selected(SERVICE, &[])
    .missing("CUDA"),
    Metric::new(
        "gpu.cuda.kernel.grid.size",
        "gpu_cuda_kernel_grid_size",
        histogram(Limits::SdkOrRequestSizes),
        "1",
        Feature::Application,
    )
    .selected(SERVICE, &[])
    .missing("CUDA"),
    Metric::new(
        "gpu.cuda.kernel.block.size",
        "gpu_cuda_kernel_block_size",
        histogram(Limits::SdkOrRequestSizes),
        "1",
        Feature::Application,
    )
    .selected(SERVICE, &[])
    .missing("CUDA"),
    Metric::new(
        "gpu.cuda.memory.copies",
        "gpu_cuda_memory_copies_bytes",
        histogram(Limits::SdkOrRequestSizes),
        "By",
        Feature::Application,
    )
    .selected(&["cuda.memcpy.kind", "service.name", "service.namespace"], &[])
    .missing("CUDA"),
    Metric::new(
        "dns.lookup.duration",
        "dns_lookup_duration_seconds",
        histogram(Limits::SdkOrDurations),
        "s",
        Feature::Application,
    )
    .selected(&["error.type", "service.name", "service.namespace"], &["dns.question.name"])
    .missing("DNS"),
    Metric::new(
        "gen_ai.client.operation.duration",
        "gen_ai_client_operation_duration_seconds",
        histogram(Limits::ModelDurations),
        "s",
        Feature::Application,
    )
    .selected(
        &[
            "error.type",
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.response.model",
            "server.address",
            "server.port",
            "service.name",
            "service.namespace",
        ],
        &[],
    )
    .missing("model providers over HTTP"),
    Metric::new(
        "gen_ai.client.token.usage",
        "gen_ai_client_token_usage",
        histogram(Limits::Tokens),
        "{token}",
        Feature::Application,
    )
    .selected(
        &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.response.model",
            "gen_ai.token.type",
            "server.address",
            "server.port",
            "service.name",
            "service.namespace",
        ],
        &[],
    )
    .missing("model providers over HTTP"),
];
