package streaming.jobs;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.Test;

class JsonRecordsTest {

    private static final Result RESULT = new Result("é7", "file:///p", "n", 4, 0.5, 9);

    @Test
    void aResultIsJsonUnderItsId() {
        ProducerRecord<byte[], byte[]> record =
                new JsonRecords<>("results", Result::id).serialize(RESULT, null, 1_700_000_000_000L);
        assertEquals("results", record.topic());
        assertArrayEquals("é7".getBytes(UTF_8), record.key());
        assertEquals(
                "{\"id\":\"é7\",\"location\":\"file:///p\",\"name\":\"n\",\"bytes\":4,\"score\":0.5,\"count\":9}",
                new String(record.value(), UTF_8));
        assertEquals(1_700_000_000_000L, record.timestamp());
        assertNull(record.partition());
    }

    @Test
    void withoutKeyOrTimestampKafkaChooses() {
        JsonRecords<Result> records = new JsonRecords<>("results", result -> null);
        assertNull(records.serialize(RESULT, null, null).key());
        assertNull(records.serialize(RESULT, null, null).timestamp());
        assertNull(records.serialize(RESULT, null, Long.MIN_VALUE).timestamp());
    }
}
