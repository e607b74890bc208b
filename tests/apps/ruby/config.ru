# Rack, for puma; what it serves and logs: tests/host/reach/mod.rs.

LOG = File.open(ENV.fetch("ACCESS_LOG"), "a")
LOG.sync = true

# Pieces of a body whose length nobody knows before.
Pieces = Struct.new(:count, :size) do
  def each
    count.times { yield "x" * size }
  end
end

run lambda { |env|
  method, path = env.values_at("REQUEST_METHOD", "PATH_INFO")
  sent = env["rack.input"].read
  status, count, size = {
    "small" => [200, 1, 200],
    "large" => [200, 1, 1 << 20],
    "chunks" => [200, 3, 100],
    "stream" => [200, 200, 1000],
    "echo" => [200, 1, sent.bytesize],
  }.fetch(path.split("/")[1], [404, 1, 9])
  length = method == "HEAD" ? 0 : count * size
  LOG.write("#{method} #{path} #{status} #{length} #{sent.bytesize} 0 0\n")
  headers = { "Content-Type" => "text/plain" }
  headers["Content-Length"] = size.to_s if count == 1
  [status, headers, Pieces.new(method == "HEAD" ? 0 : count, size)]
}
