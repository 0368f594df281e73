package streaming.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PayloadReaderTest {

    private static final int MAX_BYTES = 200_000;

    @TempDir
    Path directory;

    private final PayloadReader reader = new PayloadReader(MAX_BYTES);

    private String file(int bytes) throws IOException {
        byte[] content = new byte[bytes];
        for (int i = 0; i < bytes; i++) {
            content[i] = (byte) i;
        }
        return Files.write(directory.resolve("payload"), content).toUri().toString();
    }

    private RejectedClaimException rejection(String location) {
        return assertThrows(RejectedClaimException.class, () -> reader.read(location));
    }

    @Test
    void sizeAndEntropyAreThoseOfTheWholePayload() throws Exception {
        Payload payload = reader.read(file(131_072));
        assertEquals(131_072, payload.bytes());
        assertEquals(8.0, payload.entropy(), 1e-9);
    }

    @Test
    void oneReadLeavesNothingForTheNext() throws Exception {
        reader.read(file(1_000));
        assertEquals(new Payload(1, 0), reader.read(file(1)));
        assertEquals(new Payload(0, 0), reader.read(file(0)));
    }

    @Test
    void theBoundItselfIsAllowed() throws Exception {
        assertEquals(MAX_BYTES, reader.read(file(MAX_BYTES)).bytes());
        assertEquals(
                RejectionReason.PAYLOAD_TOO_LARGE, rejection(file(MAX_BYTES + 1)).reason());
    }

    /** Its size is 0 until it is read. */
    @Test
    void theBoundHoldsWhileReading() {
        PayloadReader strict = new PayloadReader(10);
        RejectedClaimException rejection =
                assertThrows(RejectedClaimException.class, () -> strict.read("file:///proc/self/status"));
        assertEquals(RejectionReason.PAYLOAD_TOO_LARGE, rejection.reason());
    }

    @Test
    void whatIsNotThereIsMissing() {
        String location = directory.resolve("gone").toUri().toString();
        RejectedClaimException rejection = rejection(location);
        assertEquals(RejectionReason.PAYLOAD_MISSING, rejection.reason());
        assertTrue(rejection.getMessage().contains("gone"), rejection.getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "file:///tmp",
                "file:///dev/zero",
                "nosuchscheme://bucket/key",
                "relative/path",
                "s3:",
                "::",
                " ",
                "file:///a\u0000b",
                "file://host:notaport/x",
            })
    void whatIsNoReadableFile(String location) {
        RejectionReason reason = rejection(location).reason();
        assertTrue(
                reason == RejectionReason.PAYLOAD_UNREADABLE || reason == RejectionReason.PAYLOAD_MISSING,
                reason.text());
    }

    @Test
    @Timeout(value = 10, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void aPipeDoesNotBlock() throws Exception {
        File pipe = directory.resolve("pipe").toFile();
        assertTrue(new ProcessBuilder("mkfifo", pipe.getPath()).start().waitFor(5, TimeUnit.SECONDS));
        assertTrue(pipe.exists());
        assertEquals(
                RejectionReason.PAYLOAD_UNREADABLE,
                rejection(pipe.toURI().toString()).reason());
    }

    /** A cancelled task must not write dead letters for claims that are good. */
    @Test
    void cancellationIsNotAFaultOfThePayload() {
        Thread.currentThread().interrupt();
        try {
            assertThrows(IOException.class, () -> reader.read("nosuchscheme://bucket/key"));
        } finally {
            assertTrue(Thread.interrupted());
        }
    }
}
