package streaming.jobs;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class DeadLetterTest {

    /** Below Kafka's default bound for a message, with room for its own fields. */
    private static final int KAFKA_MESSAGE_BYTES = 1_000_000;

    private static DeadLetter letter(byte[] record) {
        return DeadLetter.of(record, new RejectedClaimException(RejectionReason.NOT_JSON, "why"));
    }

    @Test
    void theRecordIsKeptAsText() {
        DeadLetter letter = letter("né \"1\"".getBytes(UTF_8));
        assertEquals(
                "{\"reason\":\"not-json\",\"detail\":\"why\",\"record\":\"né \\\"1\\\"\"}",
                new String(Json.bytes(letter), UTF_8));
    }

    @Test
    void bytesThatAreNoTextAreKeptAsBase64() {
        assertEquals("/wA=", letter(new byte[] {(byte) 0xff, 0}).record());
    }

    @Test
    void aLargeRecordIsCutBetweenCharacters() {
        // One byte, then characters of four: the bound falls inside one of them.
        byte[] record = ("x" + "😀".repeat(Claim.MAX_BYTES)).getBytes(UTF_8);
        assertEquals("x" + "😀".repeat(Claim.MAX_BYTES / 4 - 1), letter(record).record());
    }

    @Test
    void theLargestDeadLetterFitsIntoAMessage() {
        byte[] escaped = new byte[5 * Claim.MAX_BYTES];
        Arrays.fill(escaped, (byte) 1);
        byte[] binary = new byte[5 * Claim.MAX_BYTES];
        Arrays.fill(binary, (byte) 0xff);
        assertTrue(Json.bytes(letter(escaped)).length < KAFKA_MESSAGE_BYTES);
        assertTrue(Json.bytes(letter(binary)).length < KAFKA_MESSAGE_BYTES);
    }

    @Test
    void aDetailWithHalfACharacterDoesNotFailTheSink() {
        DeadLetter letter = DeadLetter.of(
                new byte[0], new RejectedClaimException(RejectionReason.NOT_JSON, "x".repeat(999) + "😀"));
        assertEquals(
                "{\"reason\":\"not-json\",\"detail\":\"" + "x".repeat(999) + "?\",\"record\":\"\"}",
                new String(Json.bytes(letter), UTF_8));
    }
}
