package streaming.jobs;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.flink.connector.base.DeliveryGuarantee;

/**
 * The job's command line, {@code --name value} pairs only.
 *
 * @param transactionTimeoutMillis how long Kafka keeps an open transaction before it aborts it (EXACTLY_ONCE)
 * @param transactionalIdPrefix what the ids of this job's transactions start with; no other job on the same Kafka may
 *     use it, or the two fence each other off
 * @param maxPayloadBytes a larger payload becomes a dead letter
 * @param workMillis extra CPU time burnt for each record
 */
record Arguments(
        String bootstrapServers,
        String inputTopic,
        String outputTopic,
        String deadLetterTopic,
        String groupId,
        DeliveryGuarantee deliveryGuarantee,
        int transactionTimeoutMillis,
        String transactionalIdPrefix,
        long maxPayloadBytes,
        int workMillis) {

    static final String BOOTSTRAP_SERVERS = "--bootstrap-servers";
    static final String INPUT_TOPIC = "--input-topic";
    static final String OUTPUT_TOPIC = "--output-topic";
    static final String DEAD_LETTER_TOPIC = "--dead-letter-topic";
    static final String GROUP_ID = "--group-id";
    static final String DELIVERY_GUARANTEE = "--delivery-guarantee";
    static final String TRANSACTION_TIMEOUT_MILLIS = "--transaction-timeout-millis";
    static final String TRANSACTIONAL_ID_PREFIX = "--transactional-id-prefix";
    static final String MAX_PAYLOAD_BYTES = "--max-payload-bytes";
    static final String WORK_MILLIS = "--work-millis";

    private static final List<String> NAMES = List.of(
            BOOTSTRAP_SERVERS,
            INPUT_TOPIC,
            OUTPUT_TOPIC,
            DEAD_LETTER_TOPIC,
            GROUP_ID,
            DELIVERY_GUARANTEE,
            TRANSACTION_TIMEOUT_MILLIS,
            TRANSACTIONAL_ID_PREFIX,
            MAX_PAYLOAD_BYTES,
            WORK_MILLIS);

    /** Kafka's default for {@code transaction.max.timeout.ms}: brokers refuse a producer that asks for more. */
    private static final int MAX_TRANSACTION_TIMEOUT_MILLIS = 900_000;

    private static final int DEFAULT_TRANSACTION_TIMEOUT_MILLIS = 600_000;
    private static final long MAX_PAYLOAD_BYTES_BOUND = 1L << 30;
    private static final long DEFAULT_MAX_PAYLOAD_BYTES = 64L << 20;
    private static final int MAX_WORK_MILLIS = 1_000;

    private static final Pattern SERVERS = Pattern.compile("[^\\s,]+:\\d{1,5}(,[^\\s,]+:\\d{1,5})*");
    private static final Pattern TOPIC = Pattern.compile("(?!\\.{1,2}$)[a-zA-Z0-9._-]{1,249}");
    private static final Pattern WORD = Pattern.compile("\\S{1,200}");

    /**
     * Reads the command line.
     *
     * @throws IllegalArgumentException naming the first argument that is wrong, its value and what it may be
     */
    static Arguments parse(String... args) {
        Map<String, String> given = new HashMap<>();
        for (int i = 0; i < args.length; i += 2) {
            String name = args[i];
            if (!NAMES.contains(name)) {
                throw new IllegalArgumentException(
                        "unknown argument '%s': known are %s".formatted(name, String.join(", ", NAMES)));
            }
            if (i + 1 == args.length || NAMES.contains(args[i + 1])) {
                throw new IllegalArgumentException("argument %s has no value: give it as '%s value'"
                                .formatted(name, name));
            }
            if (given.put(name, args[i + 1]) != null) {
                throw new IllegalArgumentException("argument %s is given twice: give it once".formatted(name));
            }
        }
        String groupId = text(given, GROUP_ID, "claims", WORD, "1 to 200 characters without spaces");
        Arguments arguments = new Arguments(
                text(given, BOOTSTRAP_SERVERS, null, SERVERS, "host:port, or several with commas between them"),
                topic(given, INPUT_TOPIC),
                topic(given, OUTPUT_TOPIC),
                topic(given, DEAD_LETTER_TOPIC),
                groupId,
                guarantee(given),
                (int) number(
                        given,
                        TRANSACTION_TIMEOUT_MILLIS,
                        DEFAULT_TRANSACTION_TIMEOUT_MILLIS,
                        1,
                        MAX_TRANSACTION_TIMEOUT_MILLIS),
                text(given, TRANSACTIONAL_ID_PREFIX, groupId, WORD, "1 to 200 characters without spaces"),
                number(given, MAX_PAYLOAD_BYTES, DEFAULT_MAX_PAYLOAD_BYTES, 1, MAX_PAYLOAD_BYTES_BOUND),
                (int) number(given, WORK_MILLIS, 0, 0, MAX_WORK_MILLIS));
        arguments.requireDistinctTopics();
        return arguments;
    }

    /** A job that reads what it writes feeds itself for ever. */
    private void requireDistinctTopics() {
        if (outputTopic.equals(inputTopic)) {
            throw sameTopic(OUTPUT_TOPIC, outputTopic, INPUT_TOPIC);
        }
        if (deadLetterTopic.equals(inputTopic)) {
            throw sameTopic(DEAD_LETTER_TOPIC, deadLetterTopic, INPUT_TOPIC);
        }
        if (deadLetterTopic.equals(outputTopic)) {
            throw sameTopic(DEAD_LETTER_TOPIC, deadLetterTopic, OUTPUT_TOPIC);
        }
    }

    private static IllegalArgumentException sameTopic(String name, String value, String other) {
        return new IllegalArgumentException(
                "argument %s is '%s', the same as %s: it must be a topic of its own".formatted(name, value, other));
    }

    private static String topic(Map<String, String> given, String name) {
        return text(given, name, null, TOPIC, "1 to 249 letters, digits, '.', '_' or '-'");
    }

    private static String text(Map<String, String> given, String name, String fallback, Pattern pattern, String bound) {
        String value = given.getOrDefault(name, fallback);
        if (value == null) {
            throw new IllegalArgumentException("argument %s is missing: it must be %s".formatted(name, bound));
        }
        if (!pattern.matcher(value).matches()) {
            throw new IllegalArgumentException("argument %s is '%s': it must be %s".formatted(name, value, bound));
        }
        return value;
    }

    private static DeliveryGuarantee guarantee(Map<String, String> given) {
        String allowed = "NONE|AT_LEAST_ONCE|EXACTLY_ONCE";
        String value = text(given, DELIVERY_GUARANTEE, null, Pattern.compile(allowed), "one of " + allowed);
        return DeliveryGuarantee.valueOf(value);
    }

    private static long number(Map<String, String> given, String name, long fallback, long min, long max) {
        String value = given.getOrDefault(name, Long.toString(fallback));
        try {
            long number = Long.parseLong(value);
            if (number >= min && number <= max) {
                return number;
            }
        } catch (NumberFormatException notANumber) {
            // Told below: a wrong number and no number at all have the same remedy.
        }
        throw new IllegalArgumentException(
                "argument %s is '%s': it must be a whole number from %d to %d".formatted(name, value, min, max));
    }
}
