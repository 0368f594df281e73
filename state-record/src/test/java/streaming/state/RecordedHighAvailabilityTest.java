package streaming.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExternalizedCheckpointRetention;
import org.apache.flink.configuration.HighAvailabilityOptions;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Flink itself, in this JVM, with the record as its high availability: one cluster after another on one volume. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class RecordedHighAvailabilityTest {
    private static final JobID JOB = JobID.fromHexString("a".repeat(32));

    @TempDir Path volume;
    private Configuration configuration;
    private StateRecord record;

    @BeforeEach
    void configure() {
        configuration = new Configuration();
        configuration.set(HighAvailabilityOptions.HA_MODE, RecordedHighAvailabilityFactory.class.getName());
        configuration.set(RecordOptions.ELECTION, "NONE");
        configuration.set(RecordOptions.DIRECTORY, uri("record"));
        configuration.set(RecordOptions.LOCAL, volume.toString());
        configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, uri("checkpoints"));
        configuration.set(CheckpointingOptions.SAVEPOINT_DIRECTORY, uri("savepoints"));
        configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofMillis(50));
        configuration.set(
                CheckpointingOptions.EXTERNALIZED_CHECKPOINT_RETENTION,
                ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION);
        configuration.set(RestOptions.BIND_PORT, "0");
        record = new StateRecord(new org.apache.flink.core.fs.Path(uri("record")));
    }

    @Test
    void theNextJobManagerGoesOnFromTheNewestCheckpointAndFlinkDeletesItWhenItIsNotNeeded() throws Exception {
        StateRecord.State newest;
        try (MiniCluster cluster = start()) {
            await(() -> newest() != null && newest().id() >= 2);
        }
        newest = newest();
        assertEquals(1, line().start().number());
        assertNull(line().start().state());
        assertTrue(Files.exists(of(newest)));
        try (MiniCluster cluster = start()) {
            assertEquals(newest.uri(), line().start().state());
            await(() -> newest() != null);
            assertTrue(newest().id() > newest.id(), "numbers rise");
            await(() -> Files.notExists(of(newest)));
        }
        assertTrue(line().end().isEmpty());
    }

    @Test
    void aJobThatWasStoppedStaysSoAndGoesOnFromItsSavepoint() throws Exception {
        String savepoint;
        try (MiniCluster cluster = start()) {
            await(() -> newest() != null);
            savepoint = cluster.stopWithSavepoint(JOB, null, false, SavepointFormatType.CANONICAL).get();
            await(() -> line().end().isPresent());
        }
        assertEquals("FINISHED", line().end().orElseThrow().status());
        assertEquals(savepoint, line().end().orElseThrow().state());
        assertTrue(Files.readString(volume.resolve("start")).contains("set restoreFrom: " + savepoint), "at once");
        assertStaysEnded(savepoint);
        // As a person writes it, and not as Flink does.
        configuration.set(RecordOptions.RESTORE_FROM, savepoint.replace("file:/", "file:///") + "/_metadata");
        try (MiniCluster cluster = start()) {
            assertEquals(savepoint, line().start().state());
            assertFalse(line().start().owned());
            assertTrue(line().newest().isEmpty() || !line().newest().get().uri().equals(savepoint));
            await(() -> newest() != null && newest().id() > line().start().highest() + 2);
        }
        assertTrue(Leftovers.isState(new org.apache.flink.core.fs.Path(savepoint)), "what a person named stays");
    }

    @Test
    void aJobThatWasCancelledStaysSoAndItsLastCheckpointIsKept() throws Exception {
        try (MiniCluster cluster = start()) {
            await(() -> newest() != null);
            cluster.cancelJob(JOB).get();
            await(() -> line().end().isPresent());
        }
        String last = line().end().orElseThrow().state();
        assertEquals(newest().uri(), last);
        assertTrue(Leftovers.isState(new org.apache.flink.core.fs.Path(last)));
        assertStaysEnded(last);
    }

    @Test
    void theCheckpointOfAJobThatFinishedByItselfIsKept() throws Exception {
        try (MiniCluster cluster = new MiniCluster(shape())) {
            cluster.start();
            cluster.submitJob(job(100)).get();
            await(() -> line().end().isPresent());
        }
        StateRecord.End end = line().end().orElseThrow();
        assertEquals("FINISHED", end.status());
        assertTrue(end.state() == null || Leftovers.isState(new org.apache.flink.core.fs.Path(end.state())));
    }

    @Test
    void stateThatNoOperatorClaimsIsDroppedOnlyWhereTheConfigurationSaysSo() throws Exception {
        record.completed(record.begin(record.read(), StartingPoint.decide(record.read(), leftovers(), "", "")), state(7));
        for (boolean ignore : new boolean[] {false, true}) {
            configuration.set(StateRecoveryOptions.SAVEPOINT_IGNORE_UNCLAIMED_STATE, ignore);
            StreamGraph plan = job(1);
            new JobStates(configuration).start(plan);
            assertEquals(state(7).uri(), plan.getSavepointRestoreSettings().getRestorePath());
            assertEquals(ignore, plan.getSavepointRestoreSettings().allowNonRestoredState());
            assertEquals(RecoveryClaimMode.CLAIM, plan.getSavepointRestoreSettings().getRecoveryClaimMode());
        }
    }

    private StateRecord.State state(long id) throws Exception {
        Path directory = Files.createDirectories(volume.resolve("checkpoints/x/chk-" + id));
        Files.writeString(directory.resolve("_metadata"), "");
        return new StateRecord.State(uri("checkpoints/x/chk-" + id), id);
    }

    private Leftovers leftovers() {
        var nowhere = new org.apache.flink.core.fs.Path(uri("nowhere"));
        return new Leftovers(nowhere, nowhere);
    }

    private void assertStaysEnded(String state) throws Exception {
        long starts = line().start().number();
        try (MiniCluster cluster = new MiniCluster(shape())) {
            cluster.start();
            ExecutionException refused =
                    assertThrows(ExecutionException.class, () -> cluster.submitJob(job(Long.MAX_VALUE)).get());
            assertFalse(refused.toString().isEmpty());
        }
        assertEquals(starts, line().start().number());
        String told = Files.readString(volume.resolve("start"));
        assertTrue(told.contains("the job ended") && told.contains("set restoreFrom: " + state), told);
    }

    private MiniCluster start() throws Exception {
        MiniCluster cluster = new MiniCluster(shape());
        cluster.start();
        cluster.submitJob(job(Long.MAX_VALUE)).get();
        await(() -> cluster.getJobStatus(JOB).get() == JobStatus.RUNNING);
        return cluster;
    }

    private MiniClusterConfiguration shape() {
        return new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(1)
                .build();
    }

    private StreamGraph job(long numbers) {
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        environment.setParallelism(1);
        environment
                .fromSource(new NumberSequenceSource(1, numbers), WatermarkStrategy.noWatermarks(), "numbers")
                .map(
                        number -> {
                            Thread.sleep(1);
                            return number;
                        })
                .sinkTo(new DiscardingSink<>());
        StreamGraph graph = environment.getStreamGraph();
        graph.setJobId(JOB);
        return graph;
    }

    private StateRecord.Line line() throws Exception {
        return record.read().orElseThrow();
    }

    /** The newest checkpoint of the newest start, or null. */
    private StateRecord.State newest() throws Exception {
        return record.read().flatMap(StateRecord.Line::newest).orElse(null);
    }

    private static Path of(StateRecord.State state) {
        return Path.of(java.net.URI.create(state.uri()));
    }

    private String uri(String directory) {
        return "file://" + volume.resolve(directory);
    }

    private static void await(Callable<Boolean> condition) throws Exception {
        while (!condition.call()) {
            Thread.sleep(20);
        }
    }
}
