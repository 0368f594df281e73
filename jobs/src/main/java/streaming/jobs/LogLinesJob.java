package streaming.jobs;

import java.io.IOException;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.UUID;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;
import org.apache.flink.util.ParameterTool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Logs numbered lines, and does nothing else of use: what {@code bench/logging} counts at the other end.
 *
 * <p>Arguments: {@code --lines} how many (then it idles), {@code --per-second} how fast (0: as fast as it can), {@code
 * --bytes} of each line's text, {@code --traces-every} after how many lines one has a stack trace of 60 lines, {@code
 * --work-loops} turns of a loop for each record, {@code --records-per-line}, and {@code --directory} where each start of
 * the function keeps two counters: lines that the logger has taken, and records.
 */
public final class LogLinesJob {

    private LogLinesJob() {}

    public static void main(String[] args) throws Exception {
        ParameterTool given = ParameterTool.fromArgs(args);
        Plan plan = new Plan(
                given.getLong("lines"),
                given.getInt("per-second"),
                given.getInt("bytes"),
                given.getInt("traces-every"),
                given.getInt("work-loops"),
                given.getInt("records-per-line"),
                given.getRequired("directory"));
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        environment
                .fromSequence(1, Long.MAX_VALUE)
                .process(new Lines(plan))
                .sinkTo(new DiscardingSink<>());
        environment.execute("log lines");
    }

    record Plan(
            long lines,
            int perSecond,
            int bytes,
            int tracesEvery,
            int workLoops,
            int recordsPerLine,
            String directory)
            implements java.io.Serializable {}

    /** Each start has a name of its own and counts its lines from 0: what is missing shows as a gap. */
    static final class Lines extends ProcessFunction<Long, Void> {

        private static final long serialVersionUID = 1L;
        private static final Logger LOG = LoggerFactory.getLogger(LogLinesJob.class);
        private static final int TRACE_FRAMES = 59;
        private static final int IDLE_MILLIS = 100;

        private final Plan plan;
        private transient String start;
        private transient String padding;
        private transient MappedByteBuffer counters;
        private transient long lines;
        private transient long records;
        private transient long began;
        private transient long random;

        Lines(Plan plan) {
            this.plan = plan;
        }

        @Override
        public void open(OpenContext context) throws IOException {
            start = UUID.randomUUID().toString().substring(0, 8);
            padding = "x".repeat(plan.bytes());
            Path directory = Files.createDirectories(Path.of(plan.directory()));
            try (FileChannel file = FileChannel.open(
                    directory.resolve(start),
                    StandardOpenOption.CREATE,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE)) {
                counters = file.map(FileChannel.MapMode.READ_WRITE, 0, 2 * Long.BYTES);
            }
            began = System.nanoTime();
        }

        @Override
        public void processElement(Long number, Context context, Collector<Void> out) throws InterruptedException {
            if (lines >= plan.lines()) {
                Thread.sleep(IDLE_MILLIS);
                return;
            }
            work();
            counters.putLong(Long.BYTES, ++records);
            if (records % plan.recordsPerLine() != 0) {
                return;
            }
            if (lines % plan.tracesEvery() == plan.tracesEvery() - 1) {
                LOG.warn("line {} {} {} {}", start, lines, padding, random, trace());
            } else {
                LOG.info("line {} {} {} {}", start, lines, padding, random);
            }
            counters.putLong(0, ++lines);
            if (plan.perSecond() > 0) {
                long due = began + lines * 1_000_000_000L / plan.perSecond();
                long early = (due - System.nanoTime()) / 1_000_000;
                if (early > 0) {
                    Thread.sleep(early);
                }
            }
        }

        /** The same work each time, however long it takes. */
        private void work() {
            for (int turn = 0; turn < plan.workLoops(); turn++) {
                random = random * 6364136223846793005L + 1442695040888963407L;
            }
        }

        private static Throwable trace() {
            IllegalStateException trace = new IllegalStateException("on purpose");
            StackTraceElement[] frames = new StackTraceElement[TRACE_FRAMES];
            Arrays.setAll(frames, n -> new StackTraceElement("streaming.jobs.Deep", "call" + n, "Deep.java", n + 1));
            trace.setStackTrace(frames);
            return trace;
        }
    }
}
