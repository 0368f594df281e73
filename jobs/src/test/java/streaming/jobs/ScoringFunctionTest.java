package streaming.jobs;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.PojoTypeInfo;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.ProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScoringFunctionTest {

    private static final int MAX_PARALLELISM = 12;
    private static final int MAX_PAYLOAD_BYTES = 1_000;

    @TempDir
    Path directory;

    private String small;
    private String mixed;
    private String large;

    @BeforeEach
    void writePayloads() throws Exception {
        small = Files.writeString(directory.resolve("small"), "aaaa").toUri().toString();
        mixed = Files.writeString(directory.resolve("mixed"), "abcd").toUri().toString();
        large = Files.writeString(directory.resolve("large"), "a".repeat(MAX_PAYLOAD_BYTES + 1)).toUri().toString();
    }

    private static byte[] claim(String id, String location) {
        return Json.bytes(Map.of("id", id, "location", location, "name", "name of " + id));
    }

    private static OneInputStreamOperatorTestHarness<byte[], Result> subtask(int parallelism, int index, int workMillis)
            throws Exception {
        return new OneInputStreamOperatorTestHarness<>(
                new ProcessOperator<>(new ScoringFunction(MAX_PAYLOAD_BYTES, workMillis)),
                MAX_PARALLELISM,
                parallelism,
                index);
    }

    private static List<DeadLetter> deadLetters(OneInputStreamOperatorTestHarness<byte[], Result> subtask) {
        Queue<StreamRecord<DeadLetter>> letters = subtask.getSideOutput(ScoringFunction.DEAD_LETTERS);
        return letters == null ? List.of() : letters.stream().map(StreamRecord::getValue).toList();
    }

    @Test
    void aClaimIsScoredAgainstThoseBefore() throws Exception {
        try (var subtask = subtask(1, 0, 0)) {
            subtask.open();
            subtask.processElement(claim("1", small), 0);
            subtask.processElement(claim("2", mixed), 0);
            subtask.processElement(claim("3", mixed), 0);
            // Entropies 0, 2 and 2: when the third comes, mean 1 and deviation 1.
            assertEquals(
                    List.of(
                            new Result("1", small, "name of 1", 4, 0, 1),
                            new Result("2", mixed, "name of 2", 4, 0, 2),
                            new Result("3", mixed, "name of 3", 4, 1, 3)),
                    subtask.extractOutputValues());
            assertNull(subtask.getSideOutput(ScoringFunction.DEAD_LETTERS));
        }
    }

    @Test
    void whatCannotBeScoredIsADeadLetterAndTheRestGoesOn() throws Exception {
        Map<String, byte[]> bad = new HashMap<>();
        bad.put("record-too-large", "x".repeat(Claim.MAX_BYTES + 1).getBytes(UTF_8));
        bad.put("not-json", "{".getBytes(UTF_8));
        bad.put("missing-field", "{\"id\": \"1\"}".getBytes(UTF_8));
        bad.put("payload-missing", claim("1", directory.resolve("gone").toUri().toString()));
        bad.put("payload-too-large", claim("1", large));
        bad.put("payload-unreadable", claim("1", directory.toUri().toString()));
        assertEquals(RejectionReason.values().length, bad.size());
        for (Map.Entry<String, byte[]> each : bad.entrySet()) {
            try (var subtask = subtask(1, 0, 0)) {
                subtask.open();
                subtask.processElement(each.getValue(), 0);
                subtask.processElement(claim("2", small), 0);

                List<DeadLetter> letters = deadLetters(subtask);
                assertEquals(1, letters.size(), each.getKey());
                assertEquals(each.getKey(), letters.get(0).reason().text());
                assertTrue(new String(each.getValue(), UTF_8).startsWith(letters.get(0).record()));
                assertEquals(
                        List.of(new Result("2", small, "name of 2", 4, 0, 1)), subtask.extractOutputValues());
            }
        }
    }

    /** Nothing that JSON escapes or Unicode can do may fail the sink behind this function. */
    @Test
    void everyDeadLetterCanBeWritten() throws Exception {
        List<byte[]> records = new ArrayList<>();
        List.of("😀", "\"😀", "{\"id\": \"\\ud83d\"", "{\"\\ud83d\": \\ud83d}", "\u0000", "tru😀")
                .forEach(text -> records.add(text.getBytes(UTF_8)));
        records.add(new byte[] {(byte) 0xed, (byte) 0xa0, (byte) 0x80});
        records.add(claim("1", "s3://\ufffe\n/😀?#%zz"));
        try (var subtask = subtask(1, 0, 0)) {
            subtask.open();
            for (byte[] each : records) {
                subtask.processElement(each, 0);
            }
            List<DeadLetter> letters = deadLetters(subtask);
            assertEquals(records.size(), letters.size());
            for (DeadLetter letter : letters) {
                assertTrue(Json.parse(new String(Json.bytes(letter), UTF_8)).has("record"));
            }
        }
    }

    /** Claims are scored at one parallelism after the other, each restored from a snapshot of the one before. */
    @Test
    void theTotalsOutliveRescalingInBothDirections() throws Exception {
        List<Integer> parallelisms = List.of(1, 4, 2, 12, 3, 1);
        ScoringModel expected = ScoringModel.EMPTY;
        OperatorSubtaskState state = null;
        int parallelismBefore = 0;
        for (int parallelism : parallelisms) {
            OperatorSubtaskState[] snapshots = new OperatorSubtaskState[parallelism];
            long counted = 0;
            for (int index = 0; index < parallelism; index++) {
                try (var subtask = subtask(parallelism, index, 0)) {
                    if (state != null) {
                        subtask.initializeState(AbstractStreamOperatorTestHarness.repartitionOperatorState(
                                state, MAX_PARALLELISM, parallelismBefore, parallelism, index));
                    }
                    subtask.open();
                    for (int i = 0; i < 12 + index; i++) {
                        subtask.processElement(claim(index + "-" + i, i % 3 == 0 ? mixed : small), 0);
                        expected = expected.add(i % 3 == 0 ? 2 : 0);
                    }
                    List<Result> results = subtask.extractOutputValues();
                    counted += results.get(results.size() - 1).count();
                    assertTrue(
                            state == null || results.get(0).score() != 0,
                            "subtask %d of %d started without a model".formatted(index, parallelism));
                    snapshots[index] = subtask.snapshot(parallelism, 0);
                }
            }
            assertEquals(expected.count(), counted, "at parallelism " + parallelism);
            state = AbstractStreamOperatorTestHarness.repackageState(snapshots);
            parallelismBefore = parallelism;
        }
        try (var subtask = subtask(1, 0, 0)) {
            subtask.initializeState(state);
            subtask.open();
            subtask.processElement(claim("last", mixed), 0);
            Result last = subtask.extractOutputValues().get(0);
            assertEquals(expected.count() + 1, last.count());
            assertEquals(expected.score(2), last.score(), 1e-9);
        }
    }

    @Test
    void workIsCpuTime() throws Exception {
        try (var subtask = subtask(1, 0, 20)) {
            subtask.open();
            long before = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
            for (int i = 0; i < 10; i++) {
                subtask.processElement(claim("1", small), 0);
            }
            long spent = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - before;
            assertTrue(spent >= 200_000_000L, spent + " ns");
        }
    }

    /** Flink evolves the state of such types; that of others (Kryo) it cannot, and on Java 17 often not even read. */
    @ParameterizedTest
    @ValueSource(classes = {ScoringModel.class, Result.class, DeadLetter.class})
    void flinkKnowsWhatIsInsideTheTypes(Class<?> type) {
        PojoTypeInfo<?> info = assertInstanceOf(PojoTypeInfo.class, TypeInformation.of(type));
        for (int i = 0; i < info.getArity(); i++) {
            assertTrue(!info.getTypeAt(i).toString().startsWith("GenericType"), info.getFieldNames()[i]);
        }
    }
}
