package streaming.jobs;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;

/**
 * A record that was not scored.
 *
 * @param detail for people; its wording may change
 * @param record the record's value as text, base64 if it is not UTF-8; cut at {@link Claim#MAX_BYTES}
 */
public record DeadLetter(RejectionReason reason, String detail, String record) {

    private static final int MAX_DETAIL_CHARS = 1_000;

    static DeadLetter of(byte[] value, RejectedClaimException rejection) {
        String detail = String.valueOf(rejection.getMessage());
        return new DeadLetter(
                rejection.reason(), detail.substring(0, Math.min(detail.length(), MAX_DETAIL_CHARS)), text(cut(value)));
    }

    /** Between characters, so that cut UTF-8 is still UTF-8. */
    private static byte[] cut(byte[] value) {
        if (value.length <= Claim.MAX_BYTES) {
            return value;
        }
        int end = Claim.MAX_BYTES;
        while (end > Claim.MAX_BYTES - 4 && (value[end] & 0xC0) == 0x80) {
            end--;
        }
        return Arrays.copyOf(value, end);
    }

    private static String text(byte[] value) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString();
        } catch (CharacterCodingException e) {
            return Base64.getEncoder().encodeToString(value);
        }
    }
}
