package streaming.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The job in reactive mode, as on the platform: TaskManagers come and go, the counter and the model stay right. */
class ReactiveRescalingTest {

    private static final int CLAIMS = 20_000;

    /** What one subtask saw in its latest run: at which parallelism, its first and its last count. */
    private record Seen(int parallelism, long first, long last) {}

    private static final Map<Integer, Seen> SEEN = new ConcurrentHashMap<>();
    private static final Set<String> IDS = ConcurrentHashMap.newKeySet();
    private static volatile boolean rescaled;

    @TempDir
    Path directory;

    @Test
    @Timeout(240)
    void noClaimIsLostOrCountedTwice() throws Exception {
        Files.writeString(directory.resolve("0"), "aaaa");
        Files.writeString(directory.resolve("1"), "abcd");
        try (MiniCluster cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration())
                // With one, the MiniCluster would never let TaskManagers talk to each other.
                .setNumTaskManagers(2)
                .setNumSlotsPerTaskManager(1)
                .build())) {
            cluster.start();
            JobID job = cluster.submitJob(graph()).get().getJobID();
            await("parallelism 2", () -> runsAt(2));

            awaitCheckpoint(cluster, job);
            cluster.startTaskManager();
            cluster.startTaskManager();
            await("parallelism 4", () -> runsAt(4));

            awaitCheckpoint(cluster, job);
            cluster.terminateTaskManager(0).get();
            await("parallelism 3", () -> runsAt(3));

            rescaled = true;
            JobResult result = cluster.requestJobResult(job).get();
            assertEquals(JobStatus.FINISHED, result.getJobStatus().orElseThrow());
        }
        assertEquals(CLAIMS, IDS.size());
        SEEN.values().removeIf(seen -> seen.parallelism != 3);
        assertEquals(CLAIMS, SEEN.values().stream().mapToLong(Seen::last).sum());
        SEEN.values().forEach(seen -> assertTrue(seen.first > 1, "a subtask started from nothing: " + seen));
    }

    private static Configuration configuration() {
        Configuration configuration = new Configuration();
        Map.of(
                        "scheduler-mode", "reactive",
                        "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", "0 ms",
                        "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "0 ms",
                        "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", "100 ms",
                        "restart-strategy.type", "fixed-delay",
                        "restart-strategy.fixed-delay.attempts", "10",
                        "restart-strategy.fixed-delay.delay", "100 ms",
                        "rest.bind-port", "0")
                .forEach(configuration::setString);
        return configuration;
    }

    private JobGraph graph() {
        Configuration configuration = new Configuration();
        configuration.setString("execution.checkpointing.interval", "200 ms");
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        DataStream<byte[]> records = environment
                .fromSource(
                        new DataGeneratorSource<>(
                                new Claims(directory.toUri().toString()),
                                CLAIMS,
                                PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO),
                        WatermarkStrategy.noWatermarks(),
                        "claims")
                .rebalance();
        ClaimsJob.score(records, ArgumentsTest.parse()).map(new Recorder()).sinkTo(new DiscardingSink<>());
        return environment.getStreamGraph().getJobGraph();
    }

    private static boolean runsAt(int parallelism) {
        return SEEN.values().stream().filter(seen -> seen.parallelism == parallelism).count() == parallelism;
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < end, "waited too long for " + what);
            TimeUnit.MILLISECONDS.sleep(20);
        }
    }

    private static void awaitCheckpoint(MiniCluster cluster, JobID job) throws Exception {
        long before = checkpoints(cluster, job);
        await("a checkpoint", () -> checkpoints(cluster, job) > before);
    }

    private static long checkpoints(MiniCluster cluster, JobID job) {
        return cluster.getExecutionGraph(job)
                .join()
                .getCheckpointStatsSnapshot()
                .getCounts()
                .getNumberOfCompletedCheckpoints();
    }

    /** Slow until the rescaling is done, so that the claims last that long: 100 seconds. */
    private record Claims(String directory) implements GeneratorFunction<Long, byte[]> {
        @Override
        public byte[] map(Long number) throws Exception {
            if (!rescaled) {
                TimeUnit.MILLISECONDS.sleep(5);
            }
            return Json.bytes(Map.of("id", "id-" + number, "location", directory + number % 2, "name", "claim"));
        }
    }

    private static final class Recorder extends RichMapFunction<Result, Result> {

        private static final long serialVersionUID = 1L;

        private transient Seen seen;

        @Override
        public Result map(Result result) {
            TaskInfo task = getRuntimeContext().getTaskInfo();
            long first = seen == null ? result.count() : seen.first;
            seen = new Seen(task.getNumberOfParallelSubtasks(), first, result.count());
            SEEN.put(task.getIndexOfThisSubtask(), seen);
            IDS.add(result.id());
            return result;
        }
    }
}
