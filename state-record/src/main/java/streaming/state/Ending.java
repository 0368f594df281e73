package streaming.state;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The last words of a process, and its end. */
final class Ending {
    private static final Logger LOG = LoggerFactory.getLogger(Ending.class);
    private static final Path TERMINATION_MESSAGE = Path.of("/dev/termination-log"); // of a container in Kubernetes
    private static final int FAILED = 1;

    private Ending() {}

    /** Say what the job started from, or why it does not start: in the log, to probes, and to Kubernetes. */
    static void say(Configuration configuration, String text) {
        LOG.info("{}", text);
        write(Path.of(configuration.get(RecordOptions.LOCAL), "start"), text);
        if (Files.isWritable(TERMINATION_MESSAGE)) {
            write(TERMINATION_MESSAGE, text);
        }
    }

    /** End the process in good order, so that it is started again. */
    static void exit() {
        // From a thread of its own: the hooks of the JVM wait for the one that Flink calls this from.
        new Thread(() -> System.exit(FAILED), "end").start();
    }

    /** End the process at once: nothing that it would still do is right. */
    static void halt() {
        Runtime.getRuntime().halt(FAILED);
    }

    private static void write(Path file, String text) {
        try {
            Files.writeString(file, text + "\n");
        } catch (IOException error) {
            LOG.warn("{} cannot be written: {}", file, error.toString());
        }
    }
}
