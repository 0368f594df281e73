package streaming.jobs;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClaimTest {

    private static RejectionReason rejection(byte[] value) {
        return assertThrows(RejectedClaimException.class, () -> Claim.parse(value)).reason();
    }

    @Test
    void aClaimIsRead() throws Exception {
        String json = "{\"id\": \"7\", \"location\": \"s3://bucket/a b\", \"name\": \"ünï 😀\", \"x\": {}}";
        assertEquals(new Claim("7", "s3://bucket/a b", "ünï 😀"), Claim.parse(json.getBytes(UTF_8)));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "  ",
                "hello",
                "{",
                "{\"id\": }",
                "😀",
                "{\"id\": \"1\", \"location\": \"l\", \"name\": \"n\"} {}",
                "{\"id\": \"1\", \"location\": \"l\", \"name\": \"\\ud83d\"}",
            })
    void whatIsNotJson(String text) {
        assertEquals(RejectionReason.NOT_JSON, rejection(text.getBytes(UTF_8)));
    }

    @Test
    void whatIsNotUtf8IsNotJson() {
        assertEquals(RejectionReason.NOT_JSON, rejection("{\"id\": \"\u00e9\"}".getBytes(ISO_8859_1)));
    }

    @Test
    void jsonTooDeepToReadIsNotJson() {
        assertEquals(RejectionReason.NOT_JSON, rejection("[".repeat(Claim.MAX_BYTES).getBytes(UTF_8)));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "42",
                "null",
                "[]",
                "{}",
                "{\"location\": \"l\", \"name\": \"n\"}",
                "{\"id\": \"1\", \"name\": \"n\"}",
                "{\"id\": \"1\", \"location\": \"l\"}",
                "{\"id\": 1, \"location\": \"l\", \"name\": \"n\"}",
                "{\"id\": \"1\", \"location\": null, \"name\": \"n\"}",
                "{\"id\": \"1\", \"location\": \"l\", \"name\": \"\"}",
            })
    void whatLacksAField(String text) {
        assertEquals(RejectionReason.MISSING_FIELD, rejection(text.getBytes(UTF_8)));
    }

    @Test
    void theSizeOfARecordIsBounded() throws Exception {
        String head = "{\"id\": \"1\", \"location\": \"l\", \"name\": \"";
        String json = head + "x".repeat(Claim.MAX_BYTES - head.length() - 2) + "\"}";
        assertEquals("1", Claim.parse(json.getBytes(UTF_8)).id());
        assertEquals(RejectionReason.RECORD_TOO_LARGE, rejection((json + " ").getBytes(UTF_8)));
    }
}
