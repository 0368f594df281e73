package streaming.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ArgumentsTest {

    static final List<String> REQUIRED = List.of(
            "--bootstrap-servers", "kafka:9092",
            "--input-topic", "events",
            "--output-topic", "results",
            "--dead-letter-topic", "dead-letters",
            "--delivery-guarantee", "EXACTLY_ONCE");

    /** The required arguments, with others added or put in their place. */
    static Arguments parse(String... more) {
        return Arguments.parse(with(more));
    }

    private static String[] with(String... more) {
        List<String> args = new ArrayList<>(REQUIRED);
        for (int i = 0; i < more.length; i += 2) {
            int at = args.indexOf(more[i]);
            if (at >= 0) {
                args.set(at + 1, more[i + 1]);
            } else {
                args.add(more[i]);
                args.add(more[i + 1]);
            }
        }
        return args.toArray(String[]::new);
    }

    private static String error(String... args) {
        return assertThrows(IllegalArgumentException.class, () -> Arguments.parse(args)).getMessage();
    }

    @Test
    void whatIsNotGivenHasADefault() {
        assertEquals(
                new Arguments(
                        "kafka:9092",
                        "events",
                        "results",
                        "dead-letters",
                        "claims",
                        DeliveryGuarantee.EXACTLY_ONCE,
                        600_000,
                        "claims",
                        67_108_864,
                        0),
                parse());
    }

    @Test
    void whatIsGivenCounts() {
        assertEquals(
                new Arguments(
                        "a:1,b:2", "e", "r", "d", "g", DeliveryGuarantee.AT_LEAST_ONCE, 60_000, "p", 1_000, 5),
                Arguments.parse(
                        "--work-millis", "5",
                        "--max-payload-bytes", "1000",
                        "--transactional-id-prefix", "p",
                        "--transaction-timeout-millis", "60000",
                        "--delivery-guarantee", "AT_LEAST_ONCE",
                        "--group-id", "g",
                        "--dead-letter-topic", "d",
                        "--output-topic", "r",
                        "--input-topic", "e",
                        "--bootstrap-servers", "a:1,b:2"));
    }

    @Test
    void transactionsAreNamedAfterTheGroup() {
        assertEquals("orders", parse("--group-id", "orders").transactionalIdPrefix());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--bootstrap-servers", "--input-topic", "--output-topic", "--dead-letter-topic", "--delivery-guarantee"
            })
    void eachRequiredArgumentIsMissed(String name) {
        List<String> args = new ArrayList<>(REQUIRED);
        int at = args.indexOf(name);
        args.subList(at, at + 2).clear();
        String message = error(args.toArray(String[]::new));
        assertTrue(message.startsWith("argument " + name + " is missing: it must be "), message);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--bootstrap-servers|kafka|host:port, or several with commas between them",
                "--bootstrap-servers|kafka:9092, other:9092|host:port, or several with commas between them",
                "--input-topic|two words|1 to 249 letters, digits, '.', '_' or '-'",
                "--output-topic|..|1 to 249 letters, digits, '.', '_' or '-'",
                "--dead-letter-topic||1 to 249 letters, digits, '.', '_' or '-'",
                "--delivery-guarantee|exactly_once|one of NONE|AT_LEAST_ONCE|EXACTLY_ONCE",
                "--group-id|a b|1 to 200 characters without spaces",
                "--transactional-id-prefix||1 to 200 characters without spaces",
                "--transaction-timeout-millis|0|a whole number from 1 to 900000",
                "--transaction-timeout-millis|900001|a whole number from 1 to 900000",
                "--max-payload-bytes|1073741825|a whole number from 1 to 1073741824",
                "--max-payload-bytes|64m|a whole number from 1 to 1073741824",
                "--work-millis|-1|a whole number from 0 to 1000",
                "--work-millis|99999999999999999999|a whole number from 0 to 1000",
            })
    void aWrongValueIsNamedWithItsBound(String line) {
        String[] cells = line.split("\\|", 3);
        assertEquals(
                "argument %s is '%s': it must be %s".formatted(cells[0], cells[1], cells[2]),
                error(with(cells[0], cells[1])));
    }

    @Test
    void boundsThemselvesAreAllowed() {
        assertEquals(900_000, parse("--transaction-timeout-millis", "900000").transactionTimeoutMillis());
        assertEquals(1L << 30, parse("--max-payload-bytes", "1073741824").maxPayloadBytes());
        assertEquals(1_000, parse("--work-millis", "1000").workMillis());
    }

    @ParameterizedTest
    @CsvSource({
        "--output-topic, events, --input-topic",
        "--dead-letter-topic, events, --input-topic",
        "--dead-letter-topic, results, --output-topic",
    })
    void aJobMustNotFeedItself(String name, String value, String other) {
        assertEquals(
                "argument %s is '%s', the same as %s: it must be a topic of its own".formatted(name, value, other),
                error(with(name, value)));
    }

    @Test
    void anUnknownArgumentIsNamedWithTheKnownOnes() {
        String message = error(with("--paralelism", "4"));
        assertEquals(
                "unknown argument '--paralelism': known are --bootstrap-servers, --input-topic, --output-topic, "
                        + "--dead-letter-topic, --group-id, --delivery-guarantee, --transaction-timeout-millis, "
                        + "--transactional-id-prefix, --max-payload-bytes, --work-millis",
                message);
    }

    @Test
    void anArgumentNeedsItsValue() {
        String expected = "argument --group-id has no value: give it as '--group-id value'";
        assertEquals(expected, error("--group-id"));
        assertEquals(expected, error("--group-id", "--work-millis", "5"));
    }

    @Test
    void anArgumentIsGivenOnce() {
        assertEquals(
                "argument --group-id is given twice: give it once", error("--group-id", "a", "--group-id", "b"));
    }
}
