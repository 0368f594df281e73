package streaming.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.shaded.netty4.io.netty.channel.embedded.EmbeddedChannel;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.DefaultFullHttpRequest;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.FullHttpResponse;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpMethod;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpVersion;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Who may ask what of REST. */
class RestGateTest {
    @TempDir Path directory;
    private Configuration configuration;

    @BeforeEach
    void configure() {
        configuration = new Configuration();
        configuration.set(RecordOptions.DIRECTORY, "file://" + directory.resolve("record"));
        configuration.set(RecordOptions.LOCAL, directory.toString());
    }

    @ParameterizedTest
    @CsvSource({
        "PATCH,/jobs/0?mode=cancel",
        "DELETE,/cluster",
        "POST,/savepoint-disposal",
        "POST,/jobs/0/stop",
        "POST,/jobs/0/savepoints",
        "PUT,/jobs/0/resource-requirements",
        "GET,/jobs/0/yarn-cancel",
        "GET,/v1/jobs/0/yarn-stop",
        "GET,/jobs/0/YARN-cancel",
        "GET,/jobs/0/yarn%2Dcancel",
        "GET,/jobs/0/%79arn-cancel",
    })
    void whatChangesSomethingNeedsTheToken(String method, String path) throws Exception {
        EmbeddedChannel refused = send(method, path, null);
        assertNull(refused.readInbound());
        assertEquals(403, ((FullHttpResponse) refused.readOutbound()).status().code());
        assertNull(send(method, path, "").readInbound());
        assertNull(send(method, path, "guess").readInbound());
        assertNotNull(send(method, path, Token.read(configuration)).readInbound());
    }

    @ParameterizedTest
    @CsvSource({"GET,/jobs/overview", "HEAD,/config", "GET,/taskmanagers/10.0.0.1:6122-ab/metrics?get=a%20b"})
    void whatOnlyReadsIsLetThrough(String method, String path) {
        assertNotNull(send(method, path, null).readInbound());
    }

    @Test
    void theTokenIsTheSameForAllProcessesAndReadableByTheContainerAlone() throws Exception {
        Token.provide(configuration);
        Path file = directory.resolve("rest-token");
        String first = Files.readString(file);
        assertTrue(first.length() > 30);
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        Token.provide(configuration);
        assertEquals(first, Files.readString(file));
    }

    @Test
    void aFlinkThatIsNotOursIsLeftAlone() {
        assertTrue(new RestGate().createHandler(new Configuration(), Map.of()).isEmpty());
    }

    private EmbeddedChannel send(String method, String path, String token) {
        EmbeddedChannel channel =
                new EmbeddedChannel(new RestGate().createHandler(configuration, Map.of()).orElseThrow());
        DefaultFullHttpRequest request =
                new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.valueOf(method), path);
        if (token != null) {
            request.headers().set(RestGate.HEADER, token);
        }
        channel.writeInbound(request);
        return channel;
    }
}
