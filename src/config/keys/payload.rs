//! What is read out of HTTP bodies and headers, and what is written into logs.

use super::super::key::{Key, Kind, PORT, POSITIVE};

const fn switch(path: &'static str, vars: &'static [&'static str], doc: &'static str) -> Key {
    Key::new(path, Kind::Bool, "false", doc).vars(vars)
}

const GATEWAY: &[Key] = &[
    Key::new("host", Kind::Text, "", "Host name, in upper or lower case."),
    Key::new("port", PORT, "0", "TCP port; 0 = any."),
    Key::new("provider", Kind::Text, "", "What it is reported as (gen_ai.system)."),
];

const ACTIONS: Kind = Kind::Word(&["include", "exclude", "obfuscate"]);
const STATUS: Kind = Kind::Int(i64::MIN, i64::MAX);

const RULE: &[Key] = &[
    Key::new("action", ACTIONS, "", "What becomes of what matches.").acted(),
    Key::new("type", Kind::Word(&["headers", "body"]), "", "What the rule is about.").acted(),
    Key::new("scope", Kind::Word(&["request", "response", "all"]), "", "Which message.").acted(),
    Key::new(
        "obfuscation_string",
        Kind::Text,
        "",
        "What is written instead of an obfuscated value.",
    )
    .acted(),
    Key::new("match.patterns", Kind::Globs, "", "Names of headers.").acted(),
    Key::new(
        "match.case_sensitive",
        Kind::Bool,
        "false",
        "Names of headers must match in upper and lower case.",
    )
    .acted(),
    Key::new(
        "match.obfuscation_json_paths",
        Kind::List,
        "",
        "JSONPath of what is obfuscated in a body.",
    ),
    Key::new("match.url_path_patterns", Kind::Globs, "", "Paths of requests; all when absent.")
        .acted(),
    Key::new(
        "match.methods",
        Kind::WordsAnyCase(&["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
        "",
        "Methods of requests; all when absent.",
    )
    .acted(),
    Key::new("match.response_status_code.greater_than", STATUS, "", "Status of the answer.")
        .acted(),
    Key::new("match.response_status_code.greater_equals", STATUS, "", "Status of the answer.")
        .acted(),
    Key::new("match.response_status_code.equals", STATUS, "", "Status of the answer.").acted(),
    Key::new("match.response_status_code.not_equals", STATUS, "", "Status of the answer.").acted(),
    Key::new("match.response_status_code.less_equals", STATUS, "", "Status of the answer.").acted(),
    Key::new("match.response_status_code.less_than", STATUS, "", "Status of the answer.").acted(),
];

const ENRICHED: &[Key] = &[Key::new(
    "service",
    Kind::Selectors(super::discovery::GLOBS),
    "",
    "Processes whose logs are annotated, as in `discovery.instrument`.",
)];

fn is_field_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c == '=' || c.is_whitespace() || c.is_control())
}

const FIELD_NAME: Kind =
    Kind::Such("a name without '=', white space and control characters", is_field_name);

pub(super) const KEYS: &[Key] = &[
    switch(
        "ebpf.payload_extraction.http.graphql.enabled",
        &["OTEL_EBPF_HTTP_GRAPHQL_ENABLED"],
        "Reads GraphQL operations (server side).",
    ),
    switch(
        "ebpf.payload_extraction.http.elasticsearch.enabled",
        &["OTEL_EBPF_HTTP_ELASTICSEARCH_ENABLED"],
        "Reads calls to Elasticsearch and OpenSearch.",
    ),
    switch(
        "ebpf.payload_extraction.http.aws.enabled",
        &["OTEL_EBPF_HTTP_AWS_ENABLED"],
        "Reads calls to S3 and SQS.",
    ),
    switch(
        "ebpf.payload_extraction.http.sqlpp.enabled",
        &["OTEL_EBPF_HTTP_SQLPP_ENABLED"],
        "Reads SQL++ queries (Couchbase).",
    ),
    Key::new(
        "ebpf.payload_extraction.http.sqlpp.endpoint_patterns",
        Kind::List,
        "[/query/service]",
        "Paths of SQL++ queries.",
    )
    .vars(&["OTEL_EBPF_HTTP_SQLPP_ENDPOINT_PATTERNS"]),
    switch(
        "ebpf.payload_extraction.http.jsonrpc.enabled",
        &["OTEL_EBPF_HTTP_JSONRPC_ENABLED"],
        "Reads JSON-RPC calls.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.openai.enabled",
        &["OTEL_EBPF_HTTP_OPENAI_ENABLED"],
        "Reads calls to OpenAI.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.anthropic.enabled",
        &["OTEL_EBPF_HTTP_ANTHROPIC_ENABLED"],
        "Reads calls to Anthropic.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.gemini.enabled",
        &["OTEL_EBPF_HTTP_GEMINI_ENABLED"],
        "Reads calls to Gemini.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.qwen.enabled",
        &["OTEL_EBPF_HTTP_QWEN_ENABLED"],
        "Reads calls to Qwen.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.bedrock.enabled",
        &["OTEL_EBPF_HTTP_BEDROCK_ENABLED"],
        "Reads calls to Bedrock.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.mcp.enabled",
        &["OTEL_EBPF_HTTP_MCP_ENABLED"],
        "Reads calls of the Model Context Protocol.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.embedding.enabled",
        &["OTEL_EBPF_HTTP_GENAI_EMBEDDING_ENABLED"],
        "Reads embedding calls.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.rerank.enabled",
        &["OTEL_EBPF_HTTP_RERANK_ENABLED"],
        "Reads rerank calls.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.retrieval.enabled",
        &["OTEL_EBPF_HTTP_RETRIEVAL_ENABLED"],
        "Reads retrieval calls.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.ollama.enabled",
        &["OTEL_EBPF_HTTP_OLLAMA_ENABLED"],
        "Reads calls to Ollama.",
    ),
    switch(
        "ebpf.payload_extraction.http.genai.openai_compatible.enabled",
        &["OTEL_EBPF_HTTP_OPENAI_COMPATIBLE_ENABLED"],
        "Reads calls to gateways that speak OpenAI's protocol.",
    ),
    Key::new(
        "ebpf.payload_extraction.http.genai.openai_compatible.gateways",
        Kind::Items(GATEWAY),
        "",
        "These gateways.",
    ),
    switch(
        "ebpf.payload_extraction.http.enrichment.enabled",
        &["OTEL_EBPF_HTTP_ENRICHMENT_ENABLED"],
        "Puts headers and bodies onto spans, by rules.",
    )
    .acted(),
    Key::new(
        "ebpf.payload_extraction.http.enrichment.policy.default_action.headers",
        ACTIONS,
        "exclude",
        "What becomes of a header that no rule matches.",
    )
    .acted(),
    Key::new(
        "ebpf.payload_extraction.http.enrichment.policy.default_action.body",
        ACTIONS,
        "exclude",
        "What becomes of a body that no rule matches.",
    ),
    Key::new(
        "ebpf.payload_extraction.http.enrichment.policy.obfuscation_string",
        Kind::Text,
        "'***'",
        "What is written instead of an obfuscated value.",
    )
    .vars(&["OTEL_EBPF_HTTP_ENRICHMENT_OBFUSCATION_STRING"])
    .acted(),
    Key::new(
        "ebpf.payload_extraction.http.enrichment.rules",
        Kind::Items(RULE),
        "",
        "The rules, in order; those about bodies have no effect yet.",
    )
    .acted(),
    Key::new(
        "ebpf.log_enricher.services",
        Kind::Items(ENRICHED),
        "",
        "Whose logs are annotated with trace and span; nobody's when empty.",
    ),
    Key::new(
        "ebpf.log_enricher.field_names.trace_id",
        FIELD_NAME,
        "trace_id",
        "Name of the trace's field; kept where the log has it.",
    ),
    Key::new(
        "ebpf.log_enricher.field_names.span_id",
        FIELD_NAME,
        "span_id",
        "Name of the span's field.",
    ),
    Key::new(
        "ebpf.log_enricher.plain_text.enabled",
        Kind::Bool,
        "true",
        "Annotates lines that are no JSON.",
    ),
    Key::new(
        "ebpf.log_enricher.plain_text.placement",
        Kind::Word(&["prefix", "suffix"]),
        "suffix",
        "Where in the line.",
    ),
    Key::new(
        "ebpf.log_enricher.plain_text.multiline",
        Kind::Word(&["first_line", "last_line", "each_line"]),
        "first_line",
        "In which line of several that are written at once.",
    ),
    Key::new(
        "ebpf.log_enricher.cache_ttl",
        Kind::Duration(60_000_000_001),
        "30m",
        "How long a log file is remembered.",
    )
    .vars(&["OTEL_EBPF_BPF_LOG_ENRICHER_CACHE_TTL"]),
    Key::new(
        "ebpf.log_enricher.cache_size",
        Kind::Int(65, i64::MAX),
        "128",
        "Log files that are remembered.",
    )
    .vars(&["OTEL_EBPF_BPF_LOG_ENRICHER_CACHE_SIZE"]),
    Key::new("ebpf.log_enricher.async_writer_workers", POSITIVE, "8", "Threads that write.")
        .vars(&["OTEL_EBPF_BPF_LOG_ENRICHER_ASYNC_WRITER_WORKERS"]),
    Key::new(
        "ebpf.log_enricher.async_writer_channel_len",
        Kind::Int(101, i64::MAX),
        "500",
        "Lines that may wait to be written.",
    )
    .vars(&["OTEL_EBPF_BPF_LOG_ENRICHER_ASYNC_WRITER_CHANNEL_LEN"]),
];
