package streaming.jobs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.dag.Transformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClaimsJobTest {

    private static StreamExecutionEnvironment environment(String... options) {
        Configuration configuration = new Configuration();
        // Flink itself refuses an operator without a uid then, and a type that only Kryo can serialize.
        configuration.setString("pipeline.auto-generate-uids", "false");
        configuration.setString("pipeline.generic-types", "false");
        for (int i = 0; i < options.length; i += 2) {
            configuration.setString(options[i], options[i + 1]);
        }
        return StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    }

    private static String refusal(StreamExecutionEnvironment environment, Arguments arguments) {
        return assertThrows(IllegalArgumentException.class, () -> ClaimsJob.build(environment, arguments)).getMessage();
    }

    @ParameterizedTest
    @ValueSource(strings = {"NONE", "AT_LEAST_ONCE", "EXACTLY_ONCE"})
    void everyOperatorHasItsUidAndAName(String guarantee) {
        StreamExecutionEnvironment environment = environment("execution.checkpointing.interval", "10 s");
        ClaimsJob.build(environment, ArgumentsTest.parse("--delivery-guarantee", guarantee));
        Map<String, String> names = new TreeMap<>();
        for (Transformation<?> each : environment.getTransformations()) {
            names.put(each.getUid(), each.getName());
        }
        // State is found again by these uids: a change here loses it.
        assertEquals(
                Map.of("scoring", "score claims", "results", "write results", "dead-letters", "write dead-letters"),
                names);
        var stream = environment.getStreamGraph(false);
        assertEquals(
                "read events",
                stream.getStreamNode(stream.getSourceIDs().iterator().next())
                        .getOperatorName()
                        .replace("Source: ", ""));
        assertDoesNotThrow(() -> environment.getStreamGraph().getJobGraph());
    }

    @Test
    void parallelismIsLeftToTheCluster() {
        StreamExecutionEnvironment environment =
                environment("execution.checkpointing.interval", "10 s", "pipeline.max-parallelism", "24");
        int parallelism = environment.getParallelism();
        ClaimsJob.build(environment, ArgumentsTest.parse());
        assertEquals(24, environment.getMaxParallelism());
        assertEquals(parallelism, environment.getParallelism());
        environment.getStreamGraph().getJobGraph().getVertices().forEach(vertex -> {
            assertEquals(parallelism, vertex.getParallelism());
            assertEquals(24, vertex.getMaxParallelism());
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"AT_LEAST_ONCE", "EXACTLY_ONCE"})
    void aGuaranteeNeedsCheckpoints(String guarantee) {
        assertEquals(
                "argument --delivery-guarantee is '%s', and checkpoints are off: ".formatted(guarantee)
                        + "set execution.checkpointing.interval in the cluster's configuration, or use NONE",
                refusal(environment(), ArgumentsTest.parse("--delivery-guarantee", guarantee)));
    }

    @Test
    void withoutAGuaranteeCheckpointsMayBeOff() {
        assertDoesNotThrow(
                () -> ClaimsJob.build(environment(), ArgumentsTest.parse("--delivery-guarantee", "NONE")));
    }

    @Test
    void exactlyOnceNeedsExactlyOnceCheckpoints() {
        assertEquals(
                "argument --delivery-guarantee is 'EXACTLY_ONCE', and the cluster's configuration has "
                        + "execution.checkpointing.mode: AT_LEAST_ONCE. It must be EXACTLY_ONCE too",
                refusal(
                        environment(
                                "execution.checkpointing.interval", "10 s",
                                "execution.checkpointing.mode", "AT_LEAST_ONCE"),
                        ArgumentsTest.parse()));
    }

    @Test
    void aTransactionOutlivesACheckpointInterval() {
        assertEquals(
                "argument --transaction-timeout-millis is '10000': it must be more than "
                        + "execution.checkpointing.interval, which is 10000, by the longest checkpoint and restart",
                refusal(
                        environment("execution.checkpointing.interval", "10 s"),
                        ArgumentsTest.parse("--transaction-timeout-millis", "10000")));
    }

    @Test
    void aWrongArgumentFailsMain() {
        assertThrows(IllegalArgumentException.class, () -> ClaimsJob.main(new String[] {"--nonsense"}));
    }

    @Test
    void aRecordWithoutAValueIsNotDropped() {
        ClaimsJob.RawValue schema = new ClaimsJob.RawValue();
        assertArrayEquals(new byte[0], schema.deserialize(null));
        assertArrayEquals(new byte[] {1}, schema.deserialize(new byte[] {1}));
    }
}
