import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.Executors;

/**
 * The JDK's own server and client; what they serve and ask for: tests/host/reach/mod.rs.
 *
 * <pre>
 *     Apps server PORT         serves, and logs to $ACCESS_LOG
 *     Apps client BASE PLAN    asks for what the file PLAN says
 * </pre>
 */
final class Apps {
    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "server" -> serve(Integer.parseInt(arguments[1]));
            case "client" -> ask(arguments[1], Path.of(arguments[2]));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void serve(int port) throws IOException {
        Path log = Path.of(System.getenv("ACCESS_LOG"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 128);
        server.createContext("/", exchange -> answer(exchange, log));
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }

    /** An answer of {@code count} pieces; more than one make a chunked body. */
    private record Answer(int status, int count, int size) {
        static Answer to(String path, int sent) {
            return switch (path.split("/")[1]) {
                case "small" -> new Answer(200, 1, 200);
                case "large" -> new Answer(200, 1, 1 << 20);
                case "chunks" -> new Answer(200, 3, 100);
                case "stream" -> new Answer(200, 200, 1000);
                case "echo" -> new Answer(200, 1, sent);
                default -> new Answer(404, 1, 9);
            };
        }
    }

    private static void answer(HttpExchange exchange, Path log) throws IOException {
        String method = exchange.getRequestMethod();
        String path = exchange.getRequestURI().getPath();
        int sent = exchange.getRequestBody().readAllBytes().length;
        Answer answer = Answer.to(path, sent);
        boolean empty = method.equals("HEAD");
        if (empty && answer.count == 1) {
            // The server puts in no length itself where there is no body.
            exchange.getResponseHeaders().set("Content-Length", String.valueOf(answer.size));
        }
        if ("close".equalsIgnoreCase(exchange.getRequestHeaders().getFirst("Connection"))) {
            // The server only closes. A client that is not told may send its next request into
            // that, and once more on another connection: one more exchange than it tells of.
            exchange.getResponseHeaders().set("Connection", "close");
        }
        // No body is -1, a chunked one 0.
        exchange.sendResponseHeaders(
                answer.status, empty ? -1 : answer.count == 1 ? answer.size : 0);
        int size = empty ? 0 : answer.count * answer.size;
        String line = String.format("%s %s %d %d %d 0 0%n", method, path, answer.status, size, sent);
        Files.writeString(log, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        try (OutputStream body = exchange.getResponseBody()) {
            for (int i = 0; !empty && i < answer.count; i++) {
                body.write(new byte[answer.size]);
                body.flush();
            }
        }
    }

    private static void ask(String base, Path plan) throws Exception {
        // Tries HTTP/2 by an upgrade, as it does unless told otherwise.
        HttpClient client = HttpClient.newHttpClient();
        for (String line : Files.readAllLines(plan)) {
            String[] fields = line.split(" ");
            String method = fields[0], path = fields[1], how = fields[3];
            int size = Integer.parseInt(fields[2]);
            byte[] body = new byte[size];
            BodyPublisher publisher =
                    switch (how) {
                        case "chunked" ->
                                BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body));
                        default ->
                                size == 0
                                        ? BodyPublishers.noBody()
                                        : BodyPublishers.ofByteArray(body);
                    };
            HttpRequest.Builder request =
                    HttpRequest.newBuilder(URI.create(base + path)).method(method, publisher);
            if (how.equals("close")) {
                request.version(HttpClient.Version.HTTP_1_1).header("Connection", "close");
            }
            var answer = client.send(request.build(), BodyHandlers.ofByteArray());
            int status = answer.statusCode(), received = answer.body().length;
            System.out.printf("%s %s %d %d %d 0 0%n", method, path, status, received, size);
        }
        // Its threads are no daemons.
        System.exit(0);
    }
}
