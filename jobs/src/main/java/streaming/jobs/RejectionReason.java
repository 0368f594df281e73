package streaming.jobs;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** Why a record became a dead letter; in JSON {@code not-json}, {@code payload-missing} and so on. */
public enum RejectionReason {
    RECORD_TOO_LARGE,
    NOT_JSON,
    MISSING_FIELD,
    PAYLOAD_MISSING,
    PAYLOAD_TOO_LARGE,
    PAYLOAD_UNREADABLE;

    @JsonValue
    String text() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
