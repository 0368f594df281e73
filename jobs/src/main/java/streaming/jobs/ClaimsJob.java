package streaming.jobs;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.CheckpointConfig;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads claims from Kafka, scores their payloads, and writes results and dead letters to Kafka.
 *
 * <p>Parallelism, checkpoints, restarts and state backend are the cluster's to configure and are not set here.
 */
public final class ClaimsJob {

    private static final Logger LOG = LoggerFactory.getLogger(ClaimsJob.class);

    /** How soon partitions that were added to the input topic are read; the connector's default is 5 minutes. */
    private static final String PARTITION_DISCOVERY_MILLIS = "60000";

    private ClaimsJob() {}

    /**
     * Runs the job.
     *
     * @throws IllegalArgumentException if an argument is wrong or does not fit the cluster's checkpoint settings
     */
    public static void main(String[] args) throws Exception {
        Arguments arguments = Arguments.parse(args);
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        build(environment, arguments);
        LOG.info("Starting with {}", arguments);
        environment.execute("claims");
    }

    /** Adds the whole job to an environment. The uids tie state to operators: never change them. */
    static void build(StreamExecutionEnvironment environment, Arguments arguments) {
        requireCheckpoints(environment.getCheckpointConfig(), arguments);
        DataStream<byte[]> records = environment
                .fromSource(source(arguments), WatermarkStrategy.noWatermarks(), "read " + arguments.inputTopic())
                .uid("claims");
        SingleOutputStreamOperator<Result> results = score(records, arguments);
        results.sinkTo(sink(arguments, "results", new JsonRecords<>(arguments.outputTopic(), Result::id)))
                .name("write " + arguments.outputTopic())
                .uid("results");
        results.getSideOutput(ScoringFunction.DEAD_LETTERS)
                .sinkTo(sink(arguments, "dead-letters", new JsonRecords<>(arguments.deadLetterTopic(), letter -> null)))
                .name("write " + arguments.deadLetterTopic())
                .uid("dead-letters");
    }

    /** The part between source and sinks. */
    static SingleOutputStreamOperator<Result> score(DataStream<byte[]> records, Arguments arguments) {
        return records.process(new ScoringFunction(arguments.maxPayloadBytes(), arguments.workMillis()))
                .name("score claims")
                .uid("scoring");
    }

    private static void requireCheckpoints(CheckpointConfig checkpoints, Arguments arguments) {
        DeliveryGuarantee guarantee = arguments.deliveryGuarantee();
        if (guarantee == DeliveryGuarantee.NONE) {
            return;
        }
        String interval = CheckpointingOptions.CHECKPOINTING_INTERVAL.key();
        if (!checkpoints.isCheckpointingEnabled()) {
            throw new IllegalArgumentException(
                    "argument %s is '%s', and checkpoints are off: set %s in the cluster's configuration, or use NONE"
                            .formatted(Arguments.DELIVERY_GUARANTEE, guarantee.name(), interval));
        }
        if (guarantee != DeliveryGuarantee.EXACTLY_ONCE) {
            return;
        }
        if (checkpoints.getCheckpointingConsistencyMode() != CheckpointingMode.EXACTLY_ONCE) {
            throw new IllegalArgumentException(
                    "argument %s is '%s', and the cluster's configuration has %s: %s. It must be EXACTLY_ONCE too"
                            .formatted(
                                    Arguments.DELIVERY_GUARANTEE,
                                    guarantee.name(),
                                    CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE.key(),
                                    checkpoints.getCheckpointingConsistencyMode()));
        }
        // A transaction stays open from one checkpoint to the next; were it to time out before, its records are lost.
        if (arguments.transactionTimeoutMillis() <= checkpoints.getCheckpointInterval()) {
            throw new IllegalArgumentException(
                    "argument %s is '%d': it must be more than %s, which is %d, by the longest checkpoint and restart"
                            .formatted(
                                    Arguments.TRANSACTION_TIMEOUT_MILLIS,
                                    arguments.transactionTimeoutMillis(),
                                    interval,
                                    checkpoints.getCheckpointInterval()));
        }
    }

    @SuppressWarnings("deprecation") // The connector's own signature still asks for Kafka's OffsetResetStrategy.
    private static KafkaSource<byte[]> source(Arguments arguments) {
        return KafkaSource.<byte[]>builder()
                .setBootstrapServers(arguments.bootstrapServers())
                .setTopics(arguments.inputTopic())
                .setGroupId(arguments.groupId())
                .setStartingOffsets(OffsetsInitializer.committedOffsets(OffsetResetStrategy.EARLIEST))
                .setProperty("partition.discovery.interval.ms", PARTITION_DISCOVERY_MILLIS)
                // The input may be the exactly-once output of another job.
                .setProperty("isolation.level", "read_committed")
                .setValueOnlyDeserializer(new RawValue())
                .build();
    }

    private static <T> KafkaSink<T> sink(
            Arguments arguments, String name, JsonRecords<T> records) {
        return KafkaSink.<T>builder()
                .setBootstrapServers(arguments.bootstrapServers())
                .setRecordSerializer(records)
                .setDeliveryGuarantee(arguments.deliveryGuarantee())
                // A few transactional ids used again and again: by default each checkpoint makes new ones, which the
                // brokers keep in memory for a week.
                .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
                .setTransactionalIdPrefix(arguments.transactionalIdPrefix() + "-" + name)
                .setProperty("transaction.timeout.ms", Integer.toString(arguments.transactionTimeoutMillis()))
                .build();
    }

    /** The bytes as they are, so that the job, not the connector, decides what a bad record means. */
    static final class RawValue extends AbstractDeserializationSchema<byte[]> {

        private static final long serialVersionUID = 1L;

        /** A record without a value is no claim either; null would be dropped without a word. */
        @Override
        public byte[] deserialize(byte[] value) {
            return value == null ? new byte[0] : value;
        }
    }
}
