package streaming.jobs;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetIdentifier;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacetProvider;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.util.function.SerializableFunction;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Kafka records with JSON values. Each keeps the Kafka timestamp of the record that it comes from.
 *
 * @param key what decides the partition; null for any
 */
record JsonRecords<T>(String topic, SerializableFunction<T, String> key)
        implements KafkaRecordSerializationSchema<T>, KafkaDatasetFacetProvider {

    @Override
    public ProducerRecord<byte[], byte[]> serialize(T value, KafkaSinkContext context, Long timestamp) {
        String text = key.apply(value);
        byte[] keyBytes = text == null ? null : text.getBytes(StandardCharsets.UTF_8);
        // Flink marks "no timestamp" with a negative one too; Kafka's producer throws on those.
        Long time = timestamp == null || timestamp < 0 ? null : timestamp;
        return new ProducerRecord<>(topic, null, time, keyBytes, Json.bytes(value));
    }

    /** Where the sink looks for transactions that an earlier run left open. */
    @Override
    public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
        return Optional.of(new DefaultKafkaDatasetFacet(DefaultKafkaDatasetIdentifier.ofTopics(List.of(topic))));
    }
}
