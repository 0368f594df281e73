package streaming.jobs;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.SocketTimeoutException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.util.Arrays;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;

/** Streams payloads from any Flink FileSystem through one small buffer. Not thread-safe. */
final class PayloadReader {

    private static final int BUFFER_BYTES = 64 * 1024;

    private final long maxBytes;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private final long[] histogram = new long[256];

    PayloadReader(long maxBytes) {
        this.maxBytes = maxBytes;
    }

    /**
     * Reads the payload at a location.
     *
     * @throws RejectedClaimException if it is not there, too large or cannot be read
     * @throws IOException only when the task is being cancelled: that is no fault of the payload's
     */
    Payload read(String location) throws RejectedClaimException, IOException {
        try {
            Path path = new Path(location);
            FileSystem fileSystem = path.getFileSystem();
            requireReadable(fileSystem, path);
            try (FSDataInputStream stream = fileSystem.open(path)) {
                return read(stream);
            }
        } catch (IOException | RuntimeException e) {
            // File systems of plugins throw what they like, also for a location that makes no sense to them.
            if (isCancellation(e)) {
                throw e;
            }
            throw new RejectedClaimException(RejectionReason.PAYLOAD_UNREADABLE, e.toString());
        }
    }

    private void requireReadable(FileSystem fileSystem, Path path) throws RejectedClaimException, IOException {
        FileStatus status;
        try {
            status = fileSystem.getFileStatus(path);
        } catch (FileNotFoundException e) {
            throw new RejectedClaimException(RejectionReason.PAYLOAD_MISSING, e.getMessage());
        }
        // A local pipe or device could block the task for ever.
        boolean local = !fileSystem.isDistributedFS();
        if (status.isDir() || local && !Files.isRegularFile(java.nio.file.Path.of(path.getPath()))) {
            throw new RejectedClaimException(RejectionReason.PAYLOAD_UNREADABLE, path + " is not a file");
        }
        if (status.getLen() > maxBytes) {
            throw tooLarge(status.getLen());
        }
    }

    private Payload read(FSDataInputStream stream) throws RejectedClaimException, IOException {
        Arrays.fill(histogram, 0);
        long bytes = 0;
        for (int read = stream.read(buffer); read != -1; read = stream.read(buffer)) {
            bytes += read;
            if (bytes > maxBytes) {
                // It grew since its size was looked up, or has none, as files in /proc.
                throw tooLarge(bytes);
            }
            for (int i = 0; i < read; i++) {
                histogram[buffer[i] & 0xFF]++;
            }
        }
        return Payload.of(histogram);
    }

    private RejectedClaimException tooLarge(long bytes) {
        return new RejectedClaimException(
                RejectionReason.PAYLOAD_TOO_LARGE,
                "the payload has %d bytes or more, at most %d are read (%s)"
                        .formatted(bytes, maxBytes, Arguments.MAX_PAYLOAD_BYTES));
    }

    /** A time-out of the network is an InterruptedIOException too, but says nothing about this task. */
    private static boolean isCancellation(Exception e) {
        return Thread.currentThread().isInterrupted()
                || e instanceof ClosedByInterruptException
                || e instanceof InterruptedIOException && !(e instanceof SocketTimeoutException);
    }
}
