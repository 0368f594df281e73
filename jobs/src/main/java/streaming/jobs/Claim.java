package streaming.jobs;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** What travels through Kafka instead of a payload: who it is, where the payload lies, and its name. */
record Claim(String id, String location, String name) {

    /**
     * A claim is a ticket, so it is small. The bound also keeps every result and dead letter, with their JSON escapes,
     * below Kafka's 1 MiB for a message: one that is larger would fail the sink, again after each restart.
     */
    static final int MAX_BYTES = 64 * 1024;

    /**
     * Reads a record's value.
     *
     * @throws RejectedClaimException if it is no claim
     */
    static Claim parse(byte[] value) throws RejectedClaimException {
        if (value.length > MAX_BYTES) {
            throw new RejectedClaimException(
                    RejectionReason.RECORD_TOO_LARGE,
                    "the record has %d bytes, a claim at most %d".formatted(value.length, MAX_BYTES));
        }
        JsonNode node = json(value);
        if (!node.isObject()) {
            throw new RejectedClaimException(
                    RejectionReason.MISSING_FIELD, "the record is not an object with id, location and name");
        }
        return new Claim(field(node, "id"), field(node, "location"), field(node, "name"));
    }

    private static JsonNode json(byte[] value) throws RejectedClaimException {
        JsonNode node;
        try {
            // Decoded first, and strictly: Jackson alone lets some malformed UTF-8 through.
            String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString();
            node = Json.parse(text);
        } catch (CharacterCodingException e) {
            throw new RejectedClaimException(RejectionReason.NOT_JSON, "the record is not UTF-8");
        } catch (JsonProcessingException e) {
            throw new RejectedClaimException(RejectionReason.NOT_JSON, e.getOriginalMessage());
        }
        if (node.isMissingNode()) {
            throw new RejectedClaimException(RejectionReason.NOT_JSON, "the record is empty");
        }
        return node;
    }

    private static String field(JsonNode node, String name) throws RejectedClaimException {
        JsonNode field = node.path(name);
        if (!field.isTextual() || field.textValue().isEmpty()) {
            throw new RejectedClaimException(
                    RejectionReason.MISSING_FIELD, "the field '%s' must be a string that is not empty".formatted(name));
        }
        String text = field.textValue();
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            // Half of a surrogate pair, written as an escape: it cannot be passed on unchanged.
            throw new RejectedClaimException(
                    RejectionReason.NOT_JSON, "the field '%s' is not Unicode text".formatted(name));
        }
        return text;
    }
}
