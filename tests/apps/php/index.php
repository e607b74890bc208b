<?php
// For the built-in server and for php-fpm; what it serves and logs: tests/host/reach/mod.rs.
[, $kind] = explode("/", $_SERVER["REQUEST_URI"]);
$body = file_get_contents("php://input");
header("Content-Type: text/plain");
[$count, $size] = match ($kind) {
    "small" => [1, 200],
    "large" => [1, 1 << 20],
    "chunks" => [3, 100],
    "stream" => [200, 1000],
    "echo" => [1, strlen($body)],
    default => [1, 9],
};
if (!in_array($kind, ["small", "large", "chunks", "stream", "echo"])) {
    http_response_code(404);
}
if ($count == 1) {
    header("Content-Length: $size");
}
for ($i = 0; $i < $count; $i++) {
    echo str_repeat("x", $size);
    flush();
}
if ($log = getenv("ACCESS_LOG")) {
    $sent = $_SERVER["REQUEST_METHOD"] == "HEAD" ? 0 : $count * $size;
    $fields = [$_SERVER["REQUEST_METHOD"], $_SERVER["REQUEST_URI"], http_response_code(), $sent];
    $line = implode(" ", [...$fields, strlen($body), 0, 0]) . "\n";
    file_put_contents($log, $line, FILE_APPEND | LOCK_EX);
}
